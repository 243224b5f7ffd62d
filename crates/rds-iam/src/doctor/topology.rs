//! The topology of the cluster, if a plugin follows its writer.

use wrapper_core::text::escape_control;
use wrapper_topology::Topology;

use super::{
    cause::Code,
    report::{Report, StepName},
};
use crate::connector::Connector;

/// Reports the instances that the login found, or why it found none.
pub(super) fn report(report: &mut Report, connector: &Connector) {
    let Some(topology) = connector.topology() else { return };
    if !connector.leads_to_instances() {
        let fact = "instance names cannot be derived from the host, so the plugin is inactive";
        let remedy = "use the cluster endpoint, or set clusterInstanceHostPattern if the instances can be \
                      reached by name";
        return report.warning(StepName::Topology, fact, Code::Topology, remedy);
    }
    match found(topology) {
        Some(fact) => report.ok(StepName::Topology, fact),
        None if topology.missing_grants().is_some() => {
            let grants = topology.missing_grants().unwrap_or_default();
            let fact = "the user lacks the privileges to read the topology";
            report.warning(StepName::Topology, fact, Code::Topology, grants);
        }
        None => {
            let fact = "the server does not belong to a known cluster, so the plugin has no effect";
            let remedy = "remove the plugin, or use the endpoint of an Aurora or Multi-AZ DB cluster";
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
