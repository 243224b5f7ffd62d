//! The database driver at the end of the chain.

use std::{
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
};

use crate::{ConnectRequest, Engine, Result, adapter::Rows};

/// A boxed future, which keeps the traits here usable as trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Opens connections of one database driver: the end of every chain.
///
/// An implementation
/// - connects to the request's host and nowhere else, trying the request's addresses (or what the
///   host resolves to) in order, and stops at the first that answers the login with a refusal;
/// - takes the password from the request alone, through
///   [`Password::expose_for`](crate::Password::expose_for), and tells the truth there about the
///   transport;
/// - verifies the server's certificate against the request's server name, else its host;
/// - maps the driver's errors to [`ErrorKind`](crate::ErrorKind)s, and marks a refused login that a
///   newer password may mend by [`Error::with_stale_password`](crate::Error::with_stale_password);
/// - notes its current phase on the request's [`Progress`](crate::adapter::Progress);
/// - puts the request's [`AbortRegistration`](crate::adapter::AbortRegistration) into the
///   connection's stream if it owns that, and drops it otherwise;
/// - leaves nothing behind when its future is dropped.
pub trait Driver: Send + Sync + 'static {
    /// The driver's own connection type.
    type Connection: Send + 'static;

    /// Returns the engine that the servers are of: a plugin chooses its statements by it.
    fn engine(&self) -> Engine;

    /// Opens one connection.
    ///
    /// # Errors
    ///
    /// The error that kept the connection from being opened.
    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<Self::Connection>>;

    /// Queries a connection before it is handed out, leaving it as good as new.
    ///
    /// # Errors
    ///
    /// A server's refusal carries a [`ServerError`](crate::ServerError); after any other error the
    /// connection is ended.
    fn query<'a>(&'a self, connection: &'a mut Self::Connection, sql: &'a str)
    -> BoxFuture<'a, Result<Rows>>;

    /// Returns a value that the server reported by itself on a connection before it is handed out;
    /// `None` where the driver shows none.
    fn parameter(&self, connection: &Self::Connection, name: &str) -> Option<String> {
        let _ = (connection, name);
        None
    }

    /// Closes a connection that nobody uses any more, with the goodbye of its protocol if servers
    /// count or log connections without one; by default it is dropped.
    fn close(&self, connection: Self::Connection) -> BoxFuture<'_, ()> {
        drop(connection);
        Box::pin(ready(()))
    }
}

impl<D: Driver + ?Sized> Driver for Arc<D> {
    type Connection = D::Connection;

    fn engine(&self) -> Engine {
        (**self).engine()
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<Self::Connection>> {
        (**self).connect(request)
    }

    fn query<'a>(
        &'a self,
        connection: &'a mut Self::Connection,
        sql: &'a str,
    ) -> BoxFuture<'a, Result<Rows>> {
        (**self).query(connection, sql)
    }

    fn parameter(&self, connection: &Self::Connection, name: &str) -> Option<String> {
        (**self).parameter(connection, name)
    }

    fn close(&self, connection: Self::Connection) -> BoxFuture<'_, ()> {
        (**self).close(connection)
    }
}
