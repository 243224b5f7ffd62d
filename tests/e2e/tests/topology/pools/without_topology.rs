//! Pools of hosts whose cluster nobody can be asked for.

use super::*;

/// A host without a topology whose name leads to another server once the flag is set, as after a
/// failover of a Multi-AZ instance.
struct Moving {
    rig: ClusterFixture,
    has_moved: Arc<AtomicBool>,
    resolver: Arc<dyn Resolver>,
    /// The name that is configured; the certificate and the tokens are for the instance's own.
    host: Option<&'static str>,
}

/// The name of the instance itself, and the names of proxies in front of it.
const WITHOUT_TOPOLOGY: [Option<&str>; 3] = [
    None,
    Some("app.proxy-abc123.us-east-2.rds.amazonaws.com"),
    Some("ro.endpoint.proxy-abc123.us-east-2.rds.amazonaws.com"),
];

impl Moving {
    async fn start(deployment: Deployment, host: Option<&'static str>) -> Self {
        let rig = ClusterFixture::start(deployment).await;
        let (dns, has_moved) = (rig.cluster.dns(), Arc::new(AtomicBool::new(false)));
        let [first, other] = ["a", "b"].map(|id| rig.cluster.node(id).host().to_owned());
        let flag = Arc::clone(&has_moved);
        let resolver =
            resolver_fn(move |_| dns.resolve(if flag.load(Ordering::SeqCst) { &other } else { &first }));
        Self { rig, has_moved, resolver: Arc::new(resolver), host }
    }

    fn url(&self, plugin: &str) -> String {
        let url = self.rig.url(plugin, "");
        self.host.map_or(url.clone(), |host| url.replace(self.rig.cluster.endpoint(), host))
    }

    /// The parameters by which the certificate and the tokens are the instance's.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let names = self.host.map(|_| ["iamHost", "tlsServerName"]);
        let own = self.rig.cluster.endpoint();
        names.into_iter().flatten().map(|name| (name, own.to_owned())).collect()
    }

    fn pg(&self, plugin: &str) -> pg::Connector {
        let builder = pg::Connector::builder(self.rig.registry()).connection_string(self.url(plugin));
        let builder = builder.resolver(Arc::clone(&self.resolver));
        let set = |builder: pg::ConnectorBuilder, (name, value)| builder.parameter(name, value);
        self.parameters().into_iter().fold(builder, set).build().expect("builds")
    }

    fn my(&self, plugin: &str) -> my::Connector {
        let builder = my::Connector::builder(self.rig.registry()).connection_string(self.url(plugin));
        let builder = builder.resolver(Arc::clone(&self.resolver));
        let set = |builder: my::ConnectorBuilder, (name, value)| builder.parameter(name, value);
        self.parameters().into_iter().fold(builder, set).build().expect("builds")
    }

    fn accepted(&self) -> (usize, usize) {
        (self.rig.cluster.node("a").accepted(), self.rig.cluster.node("b").accepted())
    }
}

fn every_host_and_plugin() -> impl Iterator<Item = (Option<&'static str>, &'static str)> {
    let plugins = ["initialConnection", "failover2"];
    WITHOUT_TOPOLOGY.into_iter().flat_map(move |host| plugins.into_iter().map(move |plugin| (host, plugin)))
}

#[tokio::test]
async fn login_at_another_address_of_a_host_without_topology_cuts_the_connections_of_postgres() {
    for (host, plugin) in every_host_and_plugin() {
        let moving = Moving::start(Deployment::InstancePostgres, host).await;
        let connector = moving.pg(plugin);
        let open = async || {
            let (client, connection) = connector.connect().await.expect("is let in");
            tokio::spawn(connection);
            client
        };
        let former = open().await;
        let same = open().await;
        assert!(!former.is_closed() && !same.is_closed(), "{host:?} {plugin}");

        moving.has_moved.store(true, Ordering::SeqCst);
        let newer = open().await;

        until("the former ones are cut", || former.is_closed() && same.is_closed()).await;
        assert!(!newer.is_closed(), "{host:?} {plugin}");
        assert_eq!(moving.accepted(), (2, 1), "{host:?} {plugin}: nobody else logs in");
    }
}

#[tokio::test]
async fn login_at_another_address_of_a_host_without_topology_outdates_the_connections_of_mysql_pools() {
    for (host, plugin) in every_host_and_plugin() {
        let moving = Moving::start(Deployment::InstanceMysql, host).await;
        let connector = moving.my(plugin);
        let pool = connector.deadpool_builder().max_size(2).build().expect("builds");
        drop(pool.get().await.expect("is let in"));
        drop(pool.get().await.expect("is the same"));
        assert_eq!(moving.accepted(), (1, 0), "{host:?} {plugin}");

        moving.has_moved.store(true, Ordering::SeqCst);
        drop(connector.connect().await.expect("is let in"));
        drop(pool.get().await.expect("is let in"));

        assert_eq!(moving.accepted(), (1, 2), "{host:?} {plugin}");
    }
}
