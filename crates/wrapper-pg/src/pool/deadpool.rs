//! deadpool.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use deadpool_postgres::{Connect, Hook, HookError, Manager, ManagerConfig};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::JoinHandle,
};
use tokio_postgres::{Client, Config, NoTls, config::SslMode};
use wrapper_core::{BoxFuture, Error};

use super::{is_read_only, open};
use crate::Connector;

impl Connector {
    /// A manager for [`deadpool_postgres::Pool`], with a fresh token for every physical connection.
    ///
    /// An error of a connect arrives as the cause of deadpool's; [`Error::find`] gets it back.
    pub fn deadpool_manager(&self) -> Manager {
        self.deadpool_manager_with(ManagerConfig::default())
    }

    /// The same with a recycling method of one's own.
    pub fn deadpool_manager_with(&self, config: ManagerConfig) -> Manager {
        Manager::from_connect(Config::new(), Opens(self.clone()), config)
    }
}

/// A hook for [`pre_recycle`](deadpool_postgres::PoolBuilder::pre_recycle) that drops a connection that turns out to lead to a
/// read-only server, as after a failover. It costs a round trip each time a connection is taken out.
pub fn expect_writer() -> Hook {
    Hook::async_fn(|client, _| {
        Box::pin(async move {
            match is_read_only(client).await {
                Ok(false) => Ok(()),
                Ok(true) => Err(HookError::message("the pooled connection leads to a read-only server")),
                Err(error) => Err(HookError::Backend(error)),
            }
        })
    })
}

/// Opens the connections of a pool.
struct Opens(Connector);

impl Connect for Opens {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(async move {
            match open(&self.0).await {
                Ok(opened) => Ok(opened),
                Err(error) => Err(carried(error).await),
            }
        })
    }
}

/// Packs our error into one of the driver's, which nobody else can construct: a connect over a stream that fails with it.
async fn carried(error: Error) -> tokio_postgres::Error {
    let mut config = Config::new();
    config.user("nobody").ssl_mode(SslMode::Disable);
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
    async fn error_survives_the_trip_through_the_drivers() {
        let carrier = carried(Error::new(ErrorKind::Login, "refused")).await;

        assert_eq!(Error::find(&carrier).expect("found").kind(), ErrorKind::Login);
    }
}
