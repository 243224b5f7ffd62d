//! bb8.

use std::ops::{Deref, DerefMut};

use bb8::ManageConnection;
use wrapper_adapter::PoolRules;
use wrapper_core::{Error, Result};

use super::{Opened, check, open};
use crate::Connector;

/// A pool of bb8: `Pool::builder().build(connector.bb8_manager())`.
pub type Pool = bb8::Pool<Bb8Manager>;

/// The driver's client, whose connection is closed with it, even where the server stands still.
#[derive(Debug)]
pub struct Client(Opened);

impl Deref for Client {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &tokio_postgres::Client {
        &self.0.client
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut tokio_postgres::Client {
        &mut self.0.client
    }
}

/// A connection checked out of a [`Pool`].
pub type PooledConnection<'a> = bb8::PooledConnection<'a, Bb8Manager>;

/// Manages the connections of a [`bb8::Pool`].
///
/// bb8 tells every waiter "Timed out in bb8", regardless of the reason: [`Connector::last_error`]
/// knows it.
#[derive(Clone, Debug)]
pub struct Bb8Manager {
    connector: Connector,
    rules: PoolRules,
}

impl Bb8Manager {
    /// Creates a manager whose connections come from a connector.
    pub fn new(connector: Connector) -> Self {
        let rules = connector.rules.clone();
        Self { connector, rules }
    }

    wrapper_adapter::pool_methods!();
}

impl Connector {
    /// Returns a manager for [`bb8::Pool`], with a fresh token for every physical connection.
    pub fn bb8_manager(&self) -> Bb8Manager {
        Bb8Manager::new(self.clone())
    }
}

impl ManageConnection for Bb8Manager {
    type Connection = Client;
    type Error = Error;

    async fn connect(&self) -> Result<Client> {
        open(&self.connector, &self.rules).await.map(Client)
    }

    async fn is_valid(&self, client: &mut Client) -> Result<()> {
        check(&client.0, &self.connector, &self.rules).await
    }

    fn has_broken(&self, client: &mut Client) -> bool {
        // Asked synchronously whenever a connection is put back, so it must not query the server.
        client.is_closed()
    }
}
