//! The state of the application when the cluster fails over.

use std::fmt;

/// The state of the application when the cluster fails over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Its connections are idle in the pool.
    Idle,
    /// Statements wait for their answers.
    InFlight,
    /// Transactions have written but not committed.
    InTransaction,
    /// Connections are being opened.
    Connecting,
    /// Fifty tasks each request a connection and keep it.
    FiftyWaiting,
}

impl Activity {
    pub(crate) const ALL: [Self; 5] =
        [Self::Idle, Self::InFlight, Self::InTransaction, Self::Connecting, Self::FiftyWaiting];

    /// Returns the number of writing tasks.
    pub(crate) fn tasks(self) -> usize {
        match self {
            Self::Idle => 1,
            Self::InFlight | Self::InTransaction | Self::Connecting => 4,
            Self::FiftyWaiting => 50,
        }
    }

    /// Returns the number of connections opened before the failover.
    pub(crate) fn warm(self) -> usize {
        match self {
            Self::Idle | Self::InFlight | Self::InTransaction => 4,
            Self::Connecting => 0,
            Self::FiftyWaiting => 1,
        }
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Idle => "idle",
            Self::InFlight => "in flight",
            Self::InTransaction => "in transaction",
            Self::Connecting => "connecting",
            Self::FiftyWaiting => "50 waiting",
        })
    }
}
