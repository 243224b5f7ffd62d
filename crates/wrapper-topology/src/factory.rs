//! The plugins by their codes and parameters.

use std::sync::{Arc, Once};

use host_pattern::{Endpoint, EndpointKind};
use wrapper_core::{
    BuildContext, Cause, ConnectRequest, Error, ErrorKind, Events, Factory, Options, Parameter, Plugin,
    Result,
};

use crate::{
    FAILOVER_PARAMETERS, FailoverPlugin, INITIAL_CONNECTION_PARAMETERS, InitialConnectionPlugin, Topology,
    knowledge::Naming,
    parameters::{RequestedRole, RouteOptions},
    router::{Cover, Router, leads_to_one_server, wanted_at},
};

/// Creates the plugin `initialConnection`.
///
/// By default each connector has its own topology; connectors of a factory with a given topology
/// share that one. In a connector with `failover2` that plugin does all of the work, in its own
/// topology: give both factories the same one.
#[derive(Clone, Debug, Default)]
pub struct InitialConnectionFactory(Option<Topology>);

/// Creates the plugin `failover2`.
///
/// By default each connector has its own topology and monitor; connectors of a factory with a given
/// topology share those.
#[derive(Clone, Debug, Default)]
pub struct FailoverFactory(Option<Topology>);

impl InitialConnectionFactory {
    /// Creates a factory of plugins that share this topology.
    pub fn new(topology: Topology) -> Self {
        Self(Some(topology))
    }
}

impl FailoverFactory {
    /// Creates a factory of plugins that share this topology.
    pub fn new(topology: Topology) -> Self {
        Self(Some(topology))
    }
}

impl<C: Send + 'static> Factory<C> for InitialConnectionFactory {
    fn code(&self) -> &str {
        InitialConnectionPlugin::CODE
    }

    fn covers(&self) -> &[&str] {
        &["auroraInitialConnectionStrategy", "auroraStaleDns", "staleDns"]
    }

    fn parameters(&self) -> &[Parameter] {
        INITIAL_CONNECTION_PARAMETERS
    }

    fn weight(&self) -> i32 {
        390
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Plugin<C>>> {
        let router = router(self.0.as_ref(), context, InitialConnectionPlugin::CODE)?;
        Ok(Arc::new(InitialConnectionPlugin(router)))
    }
}

impl<C: Send + 'static> Factory<C> for FailoverFactory {
    fn code(&self) -> &str {
        FailoverPlugin::CODE
    }

    fn covers(&self) -> &[&str] {
        &["auroraConnectionTracker", "connectionTracker", "failover", "failoverV2"]
    }

    fn parameters(&self) -> &[Parameter] {
        FAILOVER_PARAMETERS
    }

    fn weight(&self) -> i32 {
        710
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Plugin<C>>> {
        Ok(Arc::new(FailoverPlugin(router(self.0.as_ref(), context, FailoverPlugin::CODE)?)))
    }

    fn explain(&self, _: &ConnectRequest, error: Error) -> Error {
        match error.diagnosis().first().map(Cause::code) {
            Some(Cause::ROLE_PLUGIN_MISSING) => error.with_diagnosis([Cause::new(
                Cause::ROLE_PLUGIN_MISSING,
                "plugin `failover2` is not enabled",
                "add plugins=failover2, at the endpoint of a cluster",
            )]),
            _ => error,
        }
    }
}

/// Builds the router. Connects to hosts without a cluster are left alone, with one log line per
/// host.
fn router(topology: Option<&Topology>, context: &BuildContext<'_>, code: &str) -> Result<Router> {
    let (options, requests) = (context.options(), context.requests());
    let codes = options.get(&Options::PLUGINS);
    // `failover2` does all of its work if both are named, and listens once.
    let is_covered = code != FailoverPlugin::CODE
        && codes.is_some_and(|codes| codes.iter().any(|code| code == FailoverPlugin::CODE));
    let route = RouteOptions::read(options)?;
    let cover = match (is_covered, topology) {
        (false, _) => Cover::None,
        (true, None) => Cover::Whole,
        (true, Some(_)) => Cover::OfGiven(Once::new()),
    };
    let topology = topology.cloned().unwrap_or_default();
    let is_fixed = topology.is_fixed();
    let naming = match is_fixed {
        true => None,
        false => naming(options, requests)?,
    };
    let mut hosts: Vec<(Arc<str>, RequestedRole)> = Vec::new();
    for request in requests.iter().filter(|_| !is_covered) {
        let by_kind = match (is_fixed, &naming) {
            (true, _) => Some(RequestedRole::Writer),
            (false, Some(naming)) => wanted_at(request.host(), naming.is_given),
            (false, None) => None,
        };
        match by_kind {
            Some(wanted) => hosts.push((request.host().into(), wanted)),
            // Only a login at another address reveals a failover there.
            None if leads_to_one_server(request.host()) => {
                tracing::debug!(host = request.host(), plugin = code, "the host has no topology");
            }
            None => {
                let host = request.host();
                tracing::warn!(host, plugin = code, "{}", why_off(host, options));
            }
        }
    }
    let rates = (code == FailoverPlugin::CODE).then_some(route.rates);
    let events = if is_covered { &Events::none() } else { context.events() };
    let listeners = topology.bind(naming.map(|naming| naming.naming), rates, events)?;
    Ok(Router::new(topology, route, hosts, code == FailoverPlugin::CODE, listeners).covered(cover))
}

/// The naming of instances, and whether a parameter set it.
struct Named {
    naming: Naming,
    is_given: bool,
}

fn naming(options: &Options, requests: &[ConnectRequest]) -> Result<Option<Named>> {
    for request in requests {
        if endpoint_kind(request.host()) == Some(EndpointKind::GlobalWriter) {
            return Err(configuration(format!(
                "`{}` is the writer endpoint of a global database with instances in several regions: \
                 configure the regional cluster's writer endpoint",
                request.host()
            )));
        }
    }
    let Some(first) = requests.first() else { return Ok(None) };
    let port = first.port();
    if let Some(pattern) = options.get(&Options::CLUSTER_INSTANCE_HOST_PATTERN) {
        let pattern = pattern.clone();
        return Ok(Some(Named { naming: Naming { pattern, port }, is_given: true }));
    }
    // A tunnel to the cluster endpoint does not lead to the instances.
    if options.contains("iamHost") {
        return Ok(None);
    }
    let endpoint = Endpoint::parse(first.host()).ok();
    let pattern = endpoint.and_then(|endpoint| endpoint.instance_pattern());
    Ok(pattern.map(|pattern| Named { naming: Naming { pattern, port }, is_given: false }))
}

fn why_off(host: &str, options: &Options) -> &'static str {
    match endpoint_kind(host) {
        Some(EndpointKind::Dsql) => "the plugin is off: DSQL has no instances",
        Some(EndpointKind::ShardGroup) => "the plugin is off: a shard group has no instances to choose from",
        _ if options.contains("iamHost") => {
            "the plugin is off: with `iamHost` the instances may be unreachable by name; set \
             `clusterInstanceHostPattern` if they are reachable"
        }
        _ => {
            "the plugin is off: the names of the instances do not follow from the host; set \
             `clusterInstanceHostPattern`"
        }
    }
}

fn endpoint_kind(host: &str) -> Option<EndpointKind> {
    Endpoint::parse(host).ok().map(|endpoint| endpoint.kind())
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::{Level, Metadata, Subscriber, span};
    use wrapper_core::{
        BoxFuture, Engine, Event, Registry,
        adapter::{Driver, RawParameters, Rows, Suspicion, Wrapper},
    };

    use super::*;

    /// Returns the plugins of a connector for host `a`.
    fn chain(registry: &Registry<()>, plugins: &str, events: &Events) -> Vec<Arc<dyn Plugin<()>>> {
        let mut given = RawParameters::new();
        given.configure("plugins", plugins).expect("is a parameter");
        let requests = [ConnectRequest::new("a", 5432, "jane")];
        registry.build_with_events(&given, &requests, events).expect("builds").0
    }

    /// Accepts every login.
    struct Server;

    impl Driver for Server {
        type Connection = ();

        fn engine(&self) -> Engine {
            Engine::Postgres
        }

        fn connect(&self, _: ConnectRequest) -> BoxFuture<'_, Result<()>> {
            Box::pin(async { Ok(()) })
        }

        fn query<'a>(&'a self, (): &'a mut (), _: &'a str) -> BoxFuture<'a, Result<Rows>> {
            Box::pin(async {
                let mut rows = Rows::new(["role"]);
                rows.push([Some("f")])?;
                Ok(rows)
            })
        }
    }

    /// Counts the warnings of this crate.
    struct Warnings(Arc<AtomicUsize>);

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == Level::WARN && metadata.target().starts_with("wrapper_topology")
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    #[tokio::test]
    async fn given_topology_that_another_covers_is_warned_of_once() {
        let given = || Topology::fixed("a", ["b"]).expect("are hosts");
        let shared = given();
        let failover = |topology| Registry::<()>::new().with(FailoverFactory::new(topology));
        for (plugins, registry, expected) in [
            (
                "initialConnection,failover2",
                failover(given()).with(InitialConnectionFactory::new(given())),
                1,
            ),
            ("initialConnection", failover(given()).with(InitialConnectionFactory::new(given())), 0),
            (
                "initialConnection,failover2",
                failover(shared.clone()).with(InitialConnectionFactory::new(shared)),
                0,
            ),
            ("initialConnection,failover2", failover(given()).with(InitialConnectionFactory::default()), 0),
        ] {
            let warnings = Arc::new(AtomicUsize::new(0));
            let _heard = tracing::subscriber::set_default(Warnings(Arc::clone(&warnings)));
            let wrapper = Wrapper::new(Server, chain(&registry, plugins, &Events::none()));

            for _ in 0..2 {
                wrapper.connect(ConnectRequest::new("a", 5432, "jane")).await.expect("is let in");
            }

            assert_eq!(warnings.load(Ordering::SeqCst), expected, "{plugins}");
        }
    }

    #[test]
    fn suspicion_of_a_connector_with_both_plugins_is_counted_once() {
        for plugins in ["initialConnection", "initialConnection,failover2", "failover2"] {
            let topology = Topology::fixed("a", ["b"]).expect("are hosts");
            let registry = Registry::<()>::new()
                .with(InitialConnectionFactory::new(topology.clone()))
                .with(FailoverFactory::new(topology.clone()));

            for plugin in chain(&registry, plugins, &Events::none()) {
                plugin.suspect(Suspicion::ConnectionLost);
            }

            assert_eq!(topology.stats().suspicions, 1, "{plugins}");
        }
    }

    #[test]
    fn listener_of_a_connector_with_both_plugins_hears_each_event_once() {
        let topology = Topology::fixed("a", ["b"]).expect("are hosts");
        let registry = Registry::<()>::new()
            .with(InitialConnectionFactory::new(topology.clone()))
            .with(FailoverFactory::new(topology.clone()));
        for plugins in ["initialConnection", "initialConnection,failover2", "failover2"] {
            let heard = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&heard);
            let events = Events::none().with(move |event| {
                if matches!(event, Event::Paced(_)) {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
            let _chain = chain(&registry, plugins, &events);

            topology.tell(|listeners| {
                let event = Event::Paced(wrapper_core::events::Paced::new(std::time::Duration::ZERO));
                listeners.iter().for_each(|events| events.emit(&event));
            });

            assert_eq!(heard.load(Ordering::SeqCst), 1, "{plugins}");
        }
    }
}
