//! The topology that a node reports, true or not.

use std::time::Duration;

/// A topology as reported by one node; see [`Cluster::disagree`](crate::Cluster::disagree).
///
/// ```
/// use std::time::Duration;
/// use rds_testkit::{Instance, View};
///
/// let behind = View::of("a", ["b"]).with(Instance::reader("c").age(Duration::from_secs(301)));
/// let two_writers = View::of("a", []).with(Instance::writer("b"));
/// let nothing = View::default();
/// # let _ = (behind, two_writers, nothing);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    pub(super) instances: Vec<Instance>,
}

/// A row of a [`View`].
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pub(super) id: String,
    pub(super) is_writer: bool,
    pub(super) cpu: f64,
    pub(super) lag: Duration,
    pub(super) age: Duration,
}

/// A false report of a node about itself; see [`Cluster::lie`](crate::Cluster::lie).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Lie {
    /// Reports this id as its own.
    Id(String),
    /// Answers the role query with "read only" or not.
    ReadOnly(bool),
    /// Reports this in `in_hot_standby`.
    Standby(bool),
    /// Answers the writer query with this.
    Writer(bool),
}

impl View {
    /// Creates the view of a cluster with this writer and these readers.
    pub fn of<'a>(writer: &str, readers: impl IntoIterator<Item = &'a str>) -> Self {
        let readers = readers.into_iter().map(Instance::reader);
        Self { instances: std::iter::once(Instance::writer(writer)).chain(readers).collect() }
    }

    /// Adds an instance, which need not exist.
    #[must_use]
    pub fn with(mut self, instance: Instance) -> Self {
        self.instances.push(instance);
        self
    }
}

impl Instance {
    /// Creates the row of a writer.
    pub fn writer(id: impl Into<String>) -> Self {
        Self { id: id.into(), is_writer: true, cpu: 3.5, lag: Duration::ZERO, age: Duration::ZERO }
    }

    /// Creates the row of a reader that lags by 12 milliseconds.
    pub fn reader(id: impl Into<String>) -> Self {
        let lag = Duration::from_millis(12);
        Self { id: id.into(), is_writer: false, cpu: 1.25, lag, age: Duration::ZERO }
    }

    /// Sets the CPU load in percent.
    #[must_use]
    pub fn cpu(mut self, percent: f64) -> Self {
        self.cpu = percent;
        self
    }

    /// Sets how far the instance lags behind the writer.
    #[must_use]
    pub fn lag(mut self, lag: Duration) -> Self {
        self.lag = lag;
        self
    }

    /// Sets how long ago the row was updated; statements omit rows older than five minutes.
    #[must_use]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }
}
