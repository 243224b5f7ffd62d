//! The names of a cluster, and where they point.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use super::state::State;

/// Resolves the names of a cluster; returned by [`Cluster::dns`](crate::Cluster::dns). Clones share
/// everything.
///
/// The names of instances never move. The writer endpoint follows the writer and the reader
/// endpoint rotates over the live readers, both without delay unless [`hold`](Self::hold) is in
/// force.
///
/// ```text
/// let dns = cluster.dns();
/// let builder = Connector::builder(rds_wrapper::plugins())
///     .connection_string(cluster.url())
///     .resolver(rds_wrapper::host::resolver_fn(move |host| dns.resolve(host)));
/// ```
#[derive(Clone, Debug)]
pub struct Dns {
    state: Arc<State>,
}

impl Dns {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Resolves a name, ignoring case and a dot at its end.
    ///
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound) for a name that is not the cluster's.
    pub fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.state.resolve(host).map(|address| vec![address]).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("{host} is no name of the cluster"))
        })
    }

    /// Freezes the endpoints at their current targets even if the writer moves: stale DNS.
    pub fn hold(&self) {
        self.state.members().dns_held = true;
    }

    /// Lets the endpoints follow the cluster again.
    pub fn release(&self) {
        self.state.members().dns_held = false;
        self.state.publish();
    }
}
