//! The names of a cluster, and where they point.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use super::state::State;

/// Resolves the names of a cluster, as [`Cluster::dns`](crate::Cluster::dns) gives it; clones share
/// all.
///
/// Instances' names stay where they are. The writer endpoint follows the writer, the reader
/// endpoint gives one living reader after the other, each at once, unless [`hold`](Self::hold)
/// keeps them back.
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

    /// Keeps the endpoints where they point, even when the writer moves: stale DNS.
    pub fn hold(&self) {
        self.state.members().dns_held = true;
    }

    /// Lets the endpoints point where they belong, now and from now on.
    pub fn release(&self) {
        self.state.members().dns_held = false;
        self.state.publish();
    }
}
