//! The cluster behind the endpoint, where a plugin follows its writer.

use wrapper_core::text::escape_control;
use wrapper_topology::Topology;

use super::{
    cause::Code,
    report::{Report, StepName},
};
use crate::connector::Connector;

/// Tells what the login found out of the cluster, or why that is nothing.
pub(super) fn report(report: &mut Report, connector: &Connector) {
    let Some(topology) = connector.topology() else { return };
    if !connector.leads_to_instances() {
        let fact = "the host does not tell how instances are named, so that the plugin is off";
        let remedy = "name the cluster's endpoint, or set clusterInstanceHostPattern if the instances can be \
                      reached by name";
        return report.warning(StepName::Topology, fact, Code::Topology, remedy);
    }
    match found(topology) {
        Some(fact) => report.ok(StepName::Topology, fact),
        None if topology.missing_grants().is_some() => {
            let grants = topology.missing_grants().unwrap_or_default();
            let fact = "the user may not ask which instances there are";
            report.warning(StepName::Topology, fact, Code::Topology, grants);
        }
        None => {
            let fact = "the server belongs to no cluster that is known, so that nothing is led anywhere";
            let remedy = "leave the plugin out, or name the endpoint of an Aurora or Multi-AZ DB cluster";
            report.warning(StepName::Topology, fact, Code::Topology, remedy);
        }
    }
}

/// Names the instances, the writer first; `None` if none was found.
fn found(topology: &Topology) -> Option<String> {
    let known = topology.snapshot();
    let name = |id: &str| format!("`{}`", escape_control(id));
    let writer =
        known.writer().map_or("no writer".to_owned(), |writer| format!("writer {}", name(writer.id())));
    let readers: Vec<_> = known.readers().map(|reader| name(reader.id())).collect();
    let readers = match &readers[..] {
        [] => "no reader".to_owned(),
        [reader] => format!("reader {reader}"),
        readers => format!("readers {}", readers.join(", ")),
    };
    (!known.instances().is_empty()).then(|| format!("{writer}, {readers}"))
}
