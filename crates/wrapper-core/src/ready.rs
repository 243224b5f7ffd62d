//! Connects that complete at once, to measure the chain and its plugins.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use crate::{
    BoxFuture, ConnectRequest, Engine, Next, Opening, Plugin, Result,
    adapter::{Driver, Rows},
};

/// Connects immediately, to nothing, and keeps no record of it.
///
/// Every query gets the answer of a closure; [`MockDriver`](crate::adapter::MockDriver) keeps the
/// requests as well, which grows with their number.
pub struct ReadyDriver<F = fn(&str) -> Result<Rows>>(F);

impl ReadyDriver {
    /// Creates a driver whose servers answer every query with nothing.
    pub fn new() -> Self {
        Self(|_| Ok(Rows::default()))
    }
}

impl Default for ReadyDriver {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Fn(&str) -> Result<Rows>> ReadyDriver<F> {
    /// Creates a driver whose servers answer by a closure.
    pub fn answering(answer: F) -> Self {
        Self(answer)
    }
}

impl<F: Fn(&str) -> Result<Rows> + Send + Sync + 'static> Driver for ReadyDriver<F> {
    type Connection = ();

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self, _: ConnectRequest) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn query<'a>(&'a self, (): &'a mut (), sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(async { (self.0)(sql) })
    }

    /// The server is not a standby.
    fn parameter(&self, (): &(), name: &str) -> Option<String> {
        (name == "in_hot_standby").then(|| "off".to_owned())
    }
}

/// Passes each request on, in a future of its own.
#[derive(Debug)]
pub struct PassThrough;

impl<C: Send + 'static> Plugin<C> for PassThrough {
    fn code(&self) -> &str {
        "passThrough"
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        Box::pin(async move { next.run(request).await })
    }
}

/// Polls a future once.
///
/// # Panics
///
/// If it has to wait.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits"),
    }
}
