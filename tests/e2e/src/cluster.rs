//! A cluster that fails over, with connectors of both engines and a note of every name that they
//! resolve.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rds_testkit::{Cluster, ClusterBuilder, Deployment};
use rds_wrapper::{
    IamFactory, Registry,
    host::{Resolver, resolver_fn},
    mysql as my, pg, plugins,
};
use tokio::time::{Instant, sleep};

/// A cluster beside the names that were resolved.
#[derive(Debug)]
pub struct ClusterFixture {
    /// The cluster.
    pub cluster: Cluster,
    names: Arc<Mutex<BTreeSet<String>>>,
}

impl ClusterFixture {
    /// Starts a cluster of three, whose writer is `a`.
    pub async fn start(deployment: Deployment) -> Self {
        Self::start_with(Cluster::builder().deployment(deployment).writer("a").readers(["b", "c"])).await
    }

    /// Starts a cluster as described.
    pub async fn start_with(builder: ClusterBuilder) -> Self {
        let cluster = builder.start().await.expect("the cluster starts");
        Self { cluster, names: Arc::default() }
    }

    /// Every name that was resolved so far.
    pub fn names(&self) -> BTreeSet<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The plugins, with tokens that the cluster takes.
    pub fn registry<C: Send + 'static>(&self) -> Registry<C> {
        plugins().with(IamFactory::new(self.cluster.token_provider().expect("the tokens can be built")))
    }

    /// The cluster's URL with these plugins and further parameters.
    pub fn url(&self, plugins: &str, more: &str) -> String {
        let url = self.cluster.url().replace("plugins=iam", &format!("plugins={plugins},iam"));
        format!("{url}{more}")
    }

    /// The same at the reader endpoint.
    pub fn reader_url(&self, plugins: &str, more: &str) -> String {
        let reader = self.cluster.reader_endpoint().expect("has one");
        self.url(plugins, more).replace(self.cluster.endpoint(), reader)
    }

    fn resolver(&self) -> impl Resolver + use<> {
        let (dns, names) = (self.cluster.dns(), Arc::clone(&self.names));
        resolver_fn(move |host| {
            names.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
            dns.resolve(host)
        })
    }

    /// A builder of a PostgreSQL connector.
    pub fn pg(&self, url: impl Into<String>) -> pg::ConnectorBuilder {
        self.pg_with(self.registry(), url)
    }

    /// The same with plugins of one's own.
    pub fn pg_with(
        &self,
        plugins: Registry<pg::PgConnection>,
        url: impl Into<String>,
    ) -> pg::ConnectorBuilder {
        pg::Connector::builder(plugins).connection_string(url).resolver(self.resolver())
    }

    /// A builder of a MySQL connector.
    pub fn my(&self, url: impl Into<String>) -> my::ConnectorBuilder {
        my::Connector::builder(self.registry()).connection_string(url).resolver(self.resolver())
    }

    /// How many logins every node has let in so far.
    pub fn logins(&self) -> usize {
        self.cluster.nodes().iter().map(rds_testkit::Node::accepted).sum()
    }
}

/// Waits until something is so, for ten seconds at most.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}
