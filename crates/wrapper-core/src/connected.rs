//! The result of a connect: the driver's connection, and what is known about it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tokio::time::Instant;

use crate::AbortHandle;

/// The role of a server: the one that a connect asks for, or that a plugin found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reads only.
    Reader,
    /// Reads and writes.
    Writer,
}

/// Holds a new connection and what is known about it.
///
/// A plugin returns it as `next` gave it, or adds what it has found out, such as the role.
#[non_exhaustive]
pub struct Connected<C> {
    /// The driver's own connection.
    pub connection: C,
    /// What is known about it.
    pub established: Established,
}

impl<C> Connected<C> {
    pub(crate) fn new(connection: C, established: Established) -> Self {
        Self { connection, established }
    }
}

// A derive would ask for `C: Debug`, and a driver's `Debug` may print the password.
impl<C> fmt::Debug for Connected<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected").field("established", &self.established).finish_non_exhaustive()
    }
}

/// Describes an open connection: where it leads, and what plugins found out about it.
///
/// The end of the chain fills it in; clones share the facts.
///
/// It is one pointer, because every plugin moves it from the future of the next into its own.
#[derive(Clone, Debug)]
pub struct Established(Arc<Facts>);

/// The facts; copied by the first change to a clone.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The configured host; compared by pointer, because two entries may share a name.
    pub(crate) configured_host: Arc<str>,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) addresses: Arc<[IpAddr]>,
    pub(crate) instance: Option<Arc<str>>,
    pub(crate) role: Option<Role>,
    pub(crate) abort: AbortHandle,
    pub(crate) at: Instant,
}

impl Established {
    pub(crate) fn new(facts: Facts) -> Self {
        Self(Arc::new(facts))
    }

    pub(crate) fn configured_host(&self) -> &Arc<str> {
        &self.0.configured_host
    }

    /// Returns the host that was dialled, wherever plugins led the connect to.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// Returns the TCP port.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Returns the address behind the host, where the adapter told it.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address
    }

    /// Returns all addresses that the host had at the connect, where the adapter told them.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.0.addresses
    }

    /// Returns the instance of a cluster, where a plugin named one.
    pub fn instance(&self) -> Option<&str> {
        self.0.instance.as_deref()
    }

    /// Records the instance that the server turned out to be.
    pub fn set_instance(&mut self, instance: &str) {
        Arc::make_mut(&mut self.0).instance = Some(instance.into());
    }

    /// Returns the role that a plugin verified; `None` if no plugin asked.
    pub fn role(&self) -> Option<Role> {
        self.0.role
    }

    /// Notes the role that the server turned out to have.
    pub fn set_role(&mut self, role: Role) {
        Arc::make_mut(&mut self.0).role = Some(role);
    }

    /// Returns the handle that ends the connection from elsewhere, where its adapter supports that.
    pub fn abort_handle(&self) -> &AbortHandle {
        &self.0.abort
    }

    /// Returns when the connection was open.
    pub fn at(&self) -> Instant {
        self.0.at
    }
}
