//! One server of a cluster.

use super::state::State;
use crate::mysql::MysqlServer;
use crate::postgres::PostgresServer;
use crate::server::{Running, Shared, server_methods};
use std::sync::Arc;

/// A node of a [`Cluster`](crate::Cluster): an instance with its own name, address and faults.
#[derive(Debug)]
pub struct Node {
    state: Arc<State>,
    at: usize,
    id: String,
    server: Server,
}

#[derive(Debug)]
pub(super) enum Server {
    Mysql(MysqlServer),
    Postgres(PostgresServer),
}

impl Node {
    pub(super) fn new(state: Arc<State>, at: usize, id: String, server: Server) -> Self {
        Self { state, at, id, server }
    }

    /// Returns the id of the instance, the first label of its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns whether the node is the cluster's writer, or was promoted.
    #[must_use]
    pub fn is_writer(&self) -> bool {
        let members = self.state.members();
        members.writer == self.at || members.list[self.at].promoted
    }

    /// Returns the node as a MySQL server, if it is one.
    #[must_use]
    pub fn mysql(&self) -> Option<&MysqlServer> {
        match &self.server {
            Server::Mysql(server) => Some(server),
            Server::Postgres(_) => None,
        }
    }

    /// Returns the node as a PostgreSQL server, if it is one.
    #[must_use]
    pub fn postgres(&self) -> Option<&PostgresServer> {
        match &self.server {
            Server::Mysql(_) => None,
            Server::Postgres(server) => Some(server),
        }
    }

    server_methods!();

    /// Removes all faults; connections that hang at a gate stay there.
    pub fn clear_faults(&self) {
        match &self.server {
            Server::Mysql(server) => server.clear_faults(),
            Server::Postgres(server) => server.clear_faults(),
        }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn shared(&self) -> &Shared {
        match &self.server {
            Server::Mysql(server) => server.shared(),
            Server::Postgres(server) => server.shared(),
        }
    }

    pub(super) fn running(&self) -> &Running {
        match &self.server {
            Server::Mysql(server) => server.running(),
            Server::Postgres(server) => server.running(),
        }
    }
}
