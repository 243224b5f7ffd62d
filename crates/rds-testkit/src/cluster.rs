//! A cluster of servers that fails over.

mod bind;
mod builder;
mod dns;
mod node;
mod sql;
mod state;
#[cfg(test)]
mod tests;
mod view;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use self::builder::ClusterBuilder;
pub use self::dns::Dns;
pub use self::node::Node;
pub(crate) use self::sql::answer_without_cluster;
pub(crate) use self::state::NodeView;
use self::state::State;
pub use self::view::{Instance, Lie, View};
use crate::access_key::AccessKey;
use crate::server::Engine;
use crate::tls::CertificateAuthority;
use crate::token_policy::{TokenPolicy, percent_encoded};

/// The kinds of database deployments that a [`Cluster`] can be.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Deployment {
    /// An Aurora MySQL cluster.
    AuroraMysql,
    /// An Aurora PostgreSQL cluster.
    #[default]
    AuroraPostgres,
    /// An RDS for MySQL instance with read replicas: no cluster endpoints, no topology.
    InstanceMysql,
    /// An RDS for PostgreSQL instance with read replicas: no cluster endpoints, no topology.
    InstancePostgres,
    /// A Multi-AZ DB cluster of MySQL.
    MultiAzMysql,
    /// A Multi-AZ DB cluster of PostgreSQL, with the extension `rds_tools`.
    MultiAzPostgres,
}

/// A cluster of servers on loopback addresses, with endpoints, topology tables and failover.
///
/// All nodes listen on one port, each on its own address, so that one instance pattern and one port
/// serve the cluster; on a system with one loopback address, each node has its own port. They share
/// the certificate authority, the token policy and the clock.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), rds_testkit::Error> {
/// use rds_testkit::Cluster;
///
/// let cluster = Cluster::builder().writer("a").readers(["b", "c"]).start().await?;
/// assert_eq!(cluster.endpoint(), "app.cluster-abc123.us-east-2.rds.amazonaws.com");
/// let before = cluster.dns().resolve(cluster.endpoint()).unwrap();
///
/// cluster.fail_over("b");
///
/// assert_eq!(cluster.writer().id(), "b");
/// assert_ne!(cluster.dns().resolve(cluster.endpoint()).unwrap(), before);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Cluster {
    state: Arc<State>,
    nodes: Vec<Node>,
}

impl Cluster {
    /// Creates a builder; it needs a [`writer`](ClusterBuilder::writer).
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// Returns the kind of deployment.
    #[must_use]
    pub fn deployment(&self) -> Deployment {
        self.state.deployment
    }

    /// Returns the writer endpoint; of an instance with read replicas, the instance's own name.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.state.endpoint
    }

    /// Returns the reader endpoint, if the deployment has one.
    #[must_use]
    pub fn reader_endpoint(&self) -> Option<&str> {
        self.state.reader_endpoint.as_deref()
    }

    /// Returns the pattern of the instances' names: `?.` and the domain.
    #[must_use]
    pub fn instance_pattern(&self) -> String {
        format!("?.{}", self.state.domain)
    }

    /// Returns the port of all nodes; where each has its own, the port of the first.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.nodes[0].port()
    }

    /// Returns the resolver of the cluster's names, which can be made to lag behind.
    #[must_use]
    pub fn dns(&self) -> Dns {
        Dns::new(self.state.clone())
    }

    /// Returns a URL of the writer endpoint for an `rds-wrapper` application with
    /// [`dns`](Self::dns) as its resolver.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match self.state.deployment.engine() {
            Engine::Mysql => "mysql",
            Engine::Postgres => "postgres",
        };
        format!(
            "{scheme}://{}@{}:{}/app?plugins=iam&sslrootcert={}",
            percent_encoded(self.user()),
            self.endpoint(),
            self.port(),
            percent_encoded(&self.ca_file().to_string_lossy()),
        )
    }

    /// Returns a node by the id of its instance.
    ///
    /// # Panics
    ///
    /// If the cluster has no such node.
    #[must_use]
    #[track_caller]
    pub fn node(&self, id: &str) -> &Node {
        match self.nodes.iter().find(|node| node.id() == id) {
            Some(node) => node,
            None => panic!("the cluster has no node {id:?}"),
        }
    }

    /// Returns all nodes, in the order in which the builder named them.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the node that is the writer.
    #[must_use]
    pub fn writer(&self) -> &Node {
        &self.nodes[self.state.members().writer]
    }

    /// Returns the first user that logs in by token.
    #[must_use]
    pub fn user(&self) -> &str {
        self.nodes[0].user()
    }

    /// Returns the region that tokens must be signed for.
    #[must_use]
    pub fn region(&self) -> &str {
        self.nodes[0].region()
    }

    /// Returns the certificate authority that issued the certificates of all nodes.
    #[must_use]
    pub fn ca(&self) -> &CertificateAuthority {
        self.nodes[0].ca()
    }

    /// Returns the certificate that clients must trust, as a file that is removed with the cluster.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        self.nodes[0].ca_file()
    }

    /// Returns the first access key: the credentials for the program under test.
    #[must_use]
    pub fn access_key(&self) -> &AccessKey {
        self.nodes[0].access_key()
    }

    /// Returns the token policy of all nodes, which can be changed while the cluster runs.
    #[must_use]
    pub fn token_policy(&self) -> &TokenPolicy {
        self.nodes[0].token_policy()
    }

    /// Returns a token provider with the first access key and the cluster's clock, for every name
    /// of the cluster.
    ///
    /// # Errors
    ///
    /// None today; building is fallible like every builder's.
    #[cfg(feature = "iam-token-provider")]
    pub fn token_provider(&self) -> crate::Result<iam_token_provider::IamTokenProvider> {
        crate::provider::provider(self.access_key(), self.token_policy())
    }

    /// Moves the cluster's clock forward.
    pub fn advance(&self, by: Duration) {
        self.token_policy().advance(by);
    }

    /// Makes another node the writer, at once.
    ///
    /// As at Aurora, all nodes drop their sessions; in a Multi-AZ DB cluster and at an instance,
    /// the old and the new writer do. The endpoints follow unless [`Dns::hold`] is in force. A
    /// killed node stays down.
    ///
    /// # Panics
    ///
    /// If the cluster has no such node.
    #[track_caller]
    pub fn fail_over(&self, to: &str) {
        let to = self.position(to);
        // One lock over all of it: the topology names the writer that takes writes, and of two
        // calls at once one wins as a whole.
        let mut members = self.state.members();
        let from = std::mem::replace(&mut members.writer, to);
        members.list.iter_mut().for_each(|member| member.promoted = false);
        // Demote before promoting: no client sees two writers.
        for (_, node) in self.nodes.iter().enumerate().filter(|(at, _)| *at != to) {
            node.shared().set_read_only(true);
        }
        self.nodes[to].shared().set_read_only(false);
        members.publish();
        drop(members);
        // Names move before sessions end: a client that reconnects at once finds the new writer.
        for (at, node) in self.nodes.iter().enumerate() {
            if self.state.deployment.is_aurora() || at == from || at == to {
                node.drop_connections();
            }
        }
    }

    /// Promotes a node to a writer of its own, like a read replica; the other nodes are not told.
    ///
    /// Its sessions end. In an Aurora or Multi-AZ cluster this is a split brain: two nodes claim to
    /// be the writer.
    ///
    /// # Panics
    ///
    /// If the cluster has no such node.
    #[track_caller]
    pub fn promote(&self, id: &str) {
        let at = self.position(id);
        let mut members = self.state.members();
        members.list[at].promoted = true;
        self.nodes[at].shared().set_read_only(false);
        drop(members);
        self.nodes[at].drop_connections();
    }

    /// Kills a node: connections end, connects are refused; its row in the topology ages.
    ///
    /// # Panics
    ///
    /// If the cluster has no such node.
    pub async fn kill(&self, id: &str) {
        let at = self.position(id);
        self.nodes[at].running().stop().await;
        let now = self.token_policy().now();
        self.state.members().list[at].down_since.get_or_insert(now);
        self.state.publish();
    }

    /// Restarts a node, killed or not: its sessions end, and it is thawed. Its role is unchanged.
    ///
    /// # Errors
    ///
    /// Fails if the system does not give a killed node its port again.
    ///
    /// # Panics
    ///
    /// If the cluster has no such node.
    pub async fn restart(&self, id: &str) -> io::Result<()> {
        let at = self.position(id);
        self.nodes[at].drop_connections();
        self.nodes[at].running().resume().await?;
        self.state.members().list[at].down_since = None;
        self.state.publish();
        Ok(())
    }

    /// Freezes a node like a stopped process: the system accepts connections, but none is answered.
    ///
    /// # Panics
    ///
    /// If the cluster has no such node.
    #[track_caller]
    pub fn freeze(&self, id: &str) {
        self.node(id).freeze();
    }

    /// Resumes a frozen node.
    ///
    /// # Panics
    ///
    /// If the cluster has no such node.
    #[track_caller]
    pub fn thaw(&self, id: &str) {
        self.node(id).thaw();
    }

    /// Makes a node report this topology, true or not, until [`agree`](Self::agree).
    ///
    /// # Panics
    ///
    /// If the cluster has no such node.
    #[track_caller]
    pub fn disagree(&self, id: &str, view: View) {
        let at = self.position(id);
        self.state.members().list[at].view = Some(view);
    }

    /// Makes a node report something false about itself until [`agree`](Self::agree); lies
    /// accumulate.
    ///
    /// # Panics
    ///
    /// If the cluster has no such node.
    #[track_caller]
    pub fn lie(&self, id: &str, lie: Lie) {
        let at = self.position(id);
        self.state.members().list[at].lies.push(lie);
    }

    /// Ends the effect of [`disagree`](Self::disagree) and [`lie`](Self::lie) on a node.
    ///
    /// # Panics
    ///
    /// If the cluster has no such node.
    #[track_caller]
    pub fn agree(&self, id: &str) {
        let at = self.position(id);
        let member = &mut self.state.members().list[at];
        member.view = None;
        member.lies.clear();
    }

    #[track_caller]
    fn position(&self, id: &str) -> usize {
        self.node(id).position()
    }
}

impl Deployment {
    pub(crate) fn engine(self) -> Engine {
        match self {
            Self::AuroraMysql | Self::InstanceMysql | Self::MultiAzMysql => Engine::Mysql,
            Self::AuroraPostgres | Self::InstancePostgres | Self::MultiAzPostgres => Engine::Postgres,
        }
    }

    fn is_aurora(self) -> bool {
        matches!(self, Self::AuroraMysql | Self::AuroraPostgres)
    }

    /// Returns whether the cluster has endpoints beside the names of its instances.
    fn has_endpoints(self) -> bool {
        !matches!(self, Self::InstanceMysql | Self::InstancePostgres)
    }
}
