//! The statements by which a server is asked for its cluster, as data.

use std::borrow::Cow;

use wrapper_core::Engine;

mod known;

/// Holds the statements for one kind of deployment.
///
/// The built-in ones are those of the AWS Advanced wrapper family, to the letter. A deployment that
/// answers other statements, or a test, replaces some: see
/// [`TopologyBuilder::dialect`](crate::TopologyBuilder::dialect).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    pub(crate) name: Cow<'static, str>,
    pub(crate) engine: Engine,
    /// Statements that all have to give a row with a value if the server is of this kind.
    pub(crate) detection: Cow<'static, [&'static str]>,
    /// Gives the id of the instance that answers, and the first label of its endpoint.
    pub(crate) identity: Cow<'static, str>,
    pub(crate) topology: Cow<'static, str>,
    pub(crate) writer: Cow<'static, str>,
    /// Gives `t`, `1` or `ON` as one of its values where the server takes no writes.
    pub(crate) role: Cow<'static, str>,
    pub(crate) layout: Layout,
    /// What a user has to be granted, for messages.
    pub(crate) grants: &'static str,
}

/// Says how the answers are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Rows of id, writer or not, CPU, lag and time; a row of the writer's own means "I am the
    /// writer".
    Aurora,
    /// Rows of resource id, endpoint and port; no row means "I am the writer", else this column
    /// holds the writer's id.
    MultiAz { source: &'static str },
    /// One server that answers its role and nothing else.
    Single,
}

impl Dialect {
    /// Returns what kind of deployment the dialect is for, such as `Aurora PostgreSQL`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the engine that understands the statements.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Replaces the statement that gives the id of the instance and the first label of its
    /// endpoint.
    #[must_use]
    pub fn with_identity(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.identity = sql.into();
        self
    }

    /// Replaces the statement that lists the instances, one a row.
    #[must_use]
    pub fn with_topology(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.topology = sql.into();
        self
    }

    /// Replaces the statement that asks an instance whether it is the writer.
    #[must_use]
    pub fn with_writer(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.writer = sql.into();
        self
    }

    /// Replaces the statement one of whose values is `t`, `1` or `ON` where the server takes no
    /// writes.
    #[must_use]
    pub fn with_role(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.role = sql.into();
        self
    }

    /// Returns whether the instances' names are to be learnt from the server.
    pub(crate) fn discovers(&self) -> bool {
        self.layout != Layout::Single
    }
}
