//! The statements that query a server for its cluster, as data.

use std::borrow::Cow;

use wrapper_core::Engine;

mod built_in;

/// The statements for one kind of deployment.
///
/// The built-in ones are exactly those of the AWS Advanced wrapper family. To replace some of them,
/// for a test or another deployment, see
/// [`TopologyBuilder::dialect`](crate::TopologyBuilder::dialect).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    pub(crate) name: Cow<'static, str>,
    pub(crate) engine: Engine,
    /// Statements that each return a row with a value if the server is of this kind.
    pub(crate) detection: Cow<'static, [&'static str]>,
    /// Returns the id of the answering instance and the first label of its endpoint.
    pub(crate) identity: Cow<'static, str>,
    pub(crate) topology: Cow<'static, str>,
    pub(crate) writer: Cow<'static, str>,
    /// Returns `t`, `1` or `ON` as one of its values if the server rejects writes.
    pub(crate) role: Cow<'static, str>,
    pub(crate) layout: Layout,
    /// The grants that a user needs, for messages.
    pub(crate) grants: &'static str,
}

/// The format of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Rows of id, writer or not, CPU, lag and time; a row of the writer's own means "I am the
    /// writer".
    Aurora,
    /// Rows of resource id, endpoint and port; no row means "I am the writer", else this column
    /// holds the writer's id.
    MultiAz { source: &'static str },
    /// One server that is queried only for its role.
    Single,
}

impl Dialect {
    /// Returns the kind of deployment, such as `Aurora PostgreSQL`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the engine that understands the statements.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Replaces the statement that returns the id of the instance and the first label of its
    /// endpoint.
    #[must_use]
    pub fn with_identity(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.identity = sql.into();
        self
    }

    /// Replaces the statement that lists the instances, one per row.
    #[must_use]
    pub fn with_topology(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.topology = sql.into();
        self
    }

    /// Replaces the statement that tests whether an instance is the writer.
    #[must_use]
    pub fn with_writer(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.writer = sql.into();
        self
    }

    /// Replaces the statement that returns `t`, `1` or `ON` as one of its values if the server
    /// rejects writes.
    #[must_use]
    pub fn with_role(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.role = sql.into();
        self
    }

    /// Returns whether the instances are discovered from the server.
    pub(crate) fn discovers(&self) -> bool {
        self.layout != Layout::Single
    }
}
