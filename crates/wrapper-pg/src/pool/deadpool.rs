//! deadpool.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

pub use deadpool_postgres::{Client, Pool, PoolBuilder, PoolError, RecyclingMethod};
use deadpool_postgres::{Connect, Hook, HookError, Manager, ManagerConfig, Runtime};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::JoinHandle,
};
use tokio_postgres::{Config, NoTls, config::SslMode};
use wrapper_adapter::{PoolRules, takes_writes};
use wrapper_core::{BoxFuture, Error};

use super::{
    open,
    opened::{Opened, hand_over},
};
use crate::{Connector, session};

/// Sets up a [`deadpool_postgres::Pool`] whose connections come from a connector.
///
/// ```
/// # use std::time::Duration;
/// # async fn set_up(connector: wrapper_pg::Connector) -> Result<(), Box<dyn std::error::Error>> {
/// use wrapper_pg::deadpool::{Pool, RecyclingMethod};
///
/// let settings = connector.deadpool().expect_writer().recycling_method(RecyclingMethod::Verified);
/// let pool: Pool =
///     settings.builder().max_size(16).wait_timeout(Some(Duration::from_secs(10))).build()?;
/// let client = pool.get().await.map_err(|error| connector.last_error().explain(error))?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings make no pool by themselves"]
pub struct Deadpool {
    connector: Connector,
    recycling: ManagerConfig,
    rules: PoolRules,
}

impl Deadpool {
    /// Sets the check of a connection before it is handed out again; by default only for being
    /// closed, so that one with a frozen server is handed out.
    pub fn recycling_method(mut self, method: RecyclingMethod) -> Self {
        self.recycling = ManagerConfig { recycling_method: method };
        self
    }

    wrapper_adapter::pool_methods!();

    /// Creates a pool's builder with these settings, a runtime, and the hooks and the deadline of
    /// recycling.
    pub fn builder(self) -> PoolBuilder {
        let (connector, rules, opened) = (self.connector.clone(), self.rules.clone(), Opened::default());
        // The first hook, as `hand_over` asks for.
        let builder = Pool::builder(self.into_manager(true)).post_create(noted(opened.clone()));
        let builder = builder.runtime(Runtime::Tokio1).recycle_timeout(Some(rules.deadline()));
        let builder = match rules.expects_writer() {
            true => builder.pre_recycle(verified_writer(rules.clone())),
            false => builder,
        };
        // Hooks run in this order, and the first refusal ends the check.
        builder.pre_recycle(verified_by_plugins(connector, rules, opened))
    }

    /// Returns the manager alone, which queries the role at the connect only and has no deadline.
    fn manager(self) -> Manager {
        self.into_manager(false)
    }

    fn into_manager(self, hands_over: bool) -> Manager {
        let opens = Opens { connector: self.connector, rules: self.rules, hands_over };
        // An empty configuration, which `Opens` ignores: the connector has its own.
        Manager::from_connect(Config::new(), opens, self.recycling)
    }
}

impl Connector {
    /// Returns settings for a [`deadpool_postgres::Pool`], with a fresh token for every physical
    /// connection.
    pub fn deadpool(&self) -> Deadpool {
        Deadpool { connector: self.clone(), recycling: ManagerConfig::default(), rules: self.rules.clone() }
    }

    /// Returns a builder of a [`deadpool_postgres::Pool`] with a fresh token for every physical
    /// connection, a runtime, and five seconds as the limit of recycling;
    /// [`deadpool`](Self::deadpool) has more settings.
    ///
    /// An error of a connect arrives as the cause of deadpool's; [`Error::find`] gets it back.
    pub fn deadpool_builder(&self) -> PoolBuilder {
        self.deadpool().builder()
    }

    /// Returns a manager for your own builder, for which `recycle_timeout` and `runtime`
    /// should be set as [`deadpool_builder`](Self::deadpool_builder) does.
    ///
    /// Plugins do not judge the connections of such a pool when they are taken out: only the
    /// builder has the hooks for that.
    pub fn deadpool_manager(&self) -> Manager {
        self.deadpool().manager()
    }

    /// As [`deadpool_manager`](Self::deadpool_manager), with your own recycling method, which
    /// without a `recycle_timeout` waits for a frozen server without limit.
    pub fn deadpool_manager_with(&self, config: ManagerConfig) -> Manager {
        Deadpool { recycling: config, ..self.deadpool() }.manager()
    }
}

/// Returns a hook that remembers how a connection was opened.
fn noted(opened: Opened) -> Hook {
    Hook::sync_fn(move |client, _| {
        opened.note(client);
        Ok(())
    })
}

/// Returns a hook that drops a connection that a plugin refuses.
fn verified_by_plugins(connector: Connector, rules: PoolRules, opened: Opened) -> Hook {
    Hook::async_fn(move |client, _| {
        let (connector, rules, established) = (connector.clone(), rules.clone(), opened.of(client));
        Box::pin(async move {
            let mut session = session(client);
            let check = connector.hosts.check(&mut session, established.as_ref());
            let answers = async { check.await.map(|()| true) };
            rules.check(answers).await.map_err(|error| HookError::message(error.to_string()))
        })
    })
}

/// Returns a hook that drops a connection to a read-only server, or one that does not answer.
fn verified_writer(rules: PoolRules) -> Hook {
    Hook::async_fn(move |client, _| {
        let rules = rules.clone();
        Box::pin(async move {
            match rules.check(takes_writes(&mut session(client))).await {
                Ok(()) => Ok(()),
                // The pool discards the text and opens another connection.
                Err(error) => Err(HookError::message(error.to_string())),
            }
        })
    })
}

/// Opens the connections of a pool.
struct Opens {
    connector: Connector,
    rules: PoolRules,
    /// Whether a hook of the pool takes the facts about each connection.
    hands_over: bool,
}

impl Connect for Opens {
    fn connect(
        &self,
        _: &Config,
    ) -> BoxFuture<'_, Result<(tokio_postgres::Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(async move {
            match open(&self.connector, &self.rules).await {
                Ok(opened) => {
                    if self.hands_over {
                        hand_over(opened.established);
                    }
                    // The pool's client ends the task when it is dropped.
                    Ok((opened.client, opened.driving.into_task()))
                }
                Err(error) => Err(carried(error).await),
            }
        })
    }
}

/// Wraps our error in one of the driver's, which has no public constructor: by a connect over a
/// stream that fails with it.
async fn carried(error: Error) -> tokio_postgres::Error {
    let mut config = Config::new();
    config.user("unused").ssl_mode(SslMode::Disable);
    match config.connect_raw(Fails(Some(error)), NoTls).await {
        Err(carrier) => carrier,
        // The driver's first step is to write the startup message, which `Fails` refuses.
        Ok(_) => unreachable!("a stream that takes no byte carries no login"),
    }
}

/// A stream whose first write fails with an error.
struct Fails(Option<Error>);

impl AsyncRead for Fails {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Fails {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        // Given away once; `Error::find` reads it out of the `io::Error` again.
        let error = self.0.take().map_or_else(|| io::ErrorKind::BrokenPipe.into(), io::Error::other);
        Poll::Ready(Err(error))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use wrapper_core::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn error_is_found_in_the_drivers() {
        let carrier = carried(Error::new(ErrorKind::Login, "refused")).await;

        assert_eq!(Error::find(&carrier).expect("found").kind(), ErrorKind::Login);
    }
}
