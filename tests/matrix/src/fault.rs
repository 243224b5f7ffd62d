//! The faults of the cluster.

use std::{fmt, time::Duration};

use rds_testkit::{Cluster, Lie, View};
use tokio::time::{Instant, sleep};

use crate::watch::Writers;

/// How long the cluster has no writer in faults with an outage.
const OUTAGE: Duration = Duration::from_millis(300);

/// A fault of a cluster of `a`, the writer, `b` and `c`, while DNS still points to `a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `a` dies, `b` is promoted.
    Kill,
    /// `a` freezes with its connections open, `b` is promoted.
    Freeze,
    /// `a` and `b` change places.
    Switch,
    /// `a` dies, `b` is promoted, `a` comes back as a reader.
    Return,
    /// `a` and `b` change places, and `c` still reports the former state.
    Disagreement,
    /// `a` and `b` change places, and `c` claims to be the writer although it rejects writes.
    Liar,
    /// `a` and `b` change places, and then `b` and `c`.
    Twice,
}

impl Fault {
    pub(crate) const ALL: [Self; 7] =
        [Self::Kill, Self::Freeze, Self::Switch, Self::Return, Self::Disagreement, Self::Liar, Self::Twice];

    /// Returns the instance that is the writer in the end.
    pub(crate) fn last_writer(self) -> &'static str {
        if self == Self::Twice { "c" } else { "b" }
    }

    /// Injects the fault, and returns when the last writer began to accept writes.
    pub(crate) async fn strike(self, cluster: &Cluster, writers: &Writers) -> Instant {
        match self {
            Self::Kill | Self::Return => {
                cluster.kill("a").await;
                sleep(OUTAGE).await;
            }
            Self::Freeze => {
                cluster.freeze("a");
                sleep(OUTAGE).await;
                // Not a failover of the testkit, which would end the sessions of `a`: its clients
                // must notice nothing.
                writers.begin("b");
                cluster.disagree("c", View::of("b", ["a", "c"]));
                cluster.promote("b");
                writers.end_former();
                return Instant::now();
            }
            Self::Disagreement => cluster.disagree("c", View::of("a", ["b", "c"])),
            Self::Liar => {
                cluster.disagree("c", View::of("c", ["a", "b"]));
                cluster.lie("c", Lie::Writer(true));
            }
            Self::Switch | Self::Twice => {}
        }
        fail_over(cluster, writers, "b");
        match self {
            Self::Return => cluster.restart("a").await.expect("has its port again"),
            Self::Twice => {
                sleep(OUTAGE).await;
                fail_over(cluster, writers, "c");
            }
            _ => {}
        }
        Instant::now()
    }
}

fn fail_over(cluster: &Cluster, writers: &Writers, to: &'static str) {
    writers.begin(to);
    cluster.fail_over(to);
    writers.end_former();
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Switch => "graceful switch",
            Self::Return => "back as reader",
            Self::Disagreement => "readers disagree",
            Self::Liar => "reader lies",
            Self::Twice => "two failovers",
        })
    }
}
