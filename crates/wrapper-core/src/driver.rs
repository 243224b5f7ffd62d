//! What a database driver is to the chain.

use std::{future::Future, pin::Pin, sync::Arc};

use crate::{ConnectRequest, Engine, Result};

/// A future on the heap: what makes the traits here usable as trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Opens connections of one database driver: the end of every chain.
///
/// An implementation
/// - connects to the request's host and nowhere else, trying the request's addresses (or what the host resolves
///   to) in order, and stops at the first that answers the login with a refusal;
/// - takes the password from the request alone, through
///   [`Password::expose_for`](crate::Password::expose_for), and tells the truth there about the transport;
/// - verifies the server's certificate against the request's server name, else its host;
/// - maps the driver's errors to [`ErrorKind`](crate::ErrorKind)s, and marks a refused login that a newer password may
///   mend by [`Error::with_stale_password`](crate::Error::with_stale_password);
/// - notes on the request's [`Progress`](crate::Progress) what it is doing;
/// - leaves nothing behind when its future is dropped.
pub trait Driver: Send + Sync + 'static {
    /// What a connect gives: the driver's own type.
    type Connection: Send + 'static;

    /// The port of the database engine, where none is given.
    fn default_port(&self) -> u16;

    /// Returns the database engine.
    fn engine(&self) -> Engine;

    /// Opens one connection.
    ///
    /// # Errors
    ///
    /// Whatever kept the connection from being opened, by kind.
    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<Self::Connection>>;
}

impl<D: Driver> Driver for Arc<D> {
    type Connection = D::Connection;

    fn default_port(&self) -> u16 {
        (**self).default_port()
    }

    fn engine(&self) -> Engine {
        (**self).engine()
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<Self::Connection>> {
        (**self).connect(request)
    }
}
