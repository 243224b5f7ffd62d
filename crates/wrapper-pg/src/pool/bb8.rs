//! bb8.

use bb8::ManageConnection;
use tokio_postgres::Client;
use wrapper_core::{Error, ErrorKind, Result};

use super::{is_read_only, open};
use crate::Connector;

/// Manages the connections of a [`bb8::Pool`].
#[derive(Clone, Debug)]
pub struct Bb8Manager {
    connector: Connector,
    expects_writer: bool,
}

impl Bb8Manager {
    /// A manager whose connections come from a connector.
    pub fn new(connector: Connector) -> Self {
        Self { connector, expects_writer: false }
    }

    /// Drops a connection that turns out to lead to a read-only server when it is taken out of the pool, as after a
    /// failover; off by default, because it costs a round trip in place of the empty query.
    #[must_use]
    pub fn expect_writer(mut self) -> Self {
        self.expects_writer = true;
        self
    }
}

impl Connector {
    /// A manager for [`bb8::Pool`], with a fresh token for every physical connection.
    pub fn bb8_manager(&self) -> Bb8Manager {
        Bb8Manager::new(self.clone())
    }
}

impl ManageConnection for Bb8Manager {
    type Connection = Client;
    type Error = Error;

    async fn connect(&self) -> Result<Client> {
        open(&self.connector).await.map(|(client, _)| client)
    }

    async fn is_valid(&self, client: &mut Client) -> Result<()> {
        let broken = |error: tokio_postgres::Error| {
            Error::new(ErrorKind::Driver, "the pooled connection no longer works").with_source(error)
        };
        if !self.expects_writer {
            return client.simple_query("").await.map(drop).map_err(broken);
        }
        match is_read_only(client).await.map_err(broken)? {
            true => {
                Err(Error::new(ErrorKind::Transient, "the pooled connection leads to a read-only server"))
            }
            false => Ok(()),
        }
    }

    fn has_broken(&self, client: &mut Client) -> bool {
        client.is_closed()
    }
}
