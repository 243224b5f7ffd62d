//! What happens to the cluster.

use std::{fmt, time::Duration};

use rds_testkit::{Cluster, Lie, View};
use tokio::time::{Instant, sleep};

use crate::watch::Writers;

/// How long the cluster is without a writer where it loses one.
const OUTAGE: Duration = Duration::from_millis(300);

/// What happens to a cluster of `a`, the writer, `b` and `c`, while DNS still points to `a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `a` dies, `b` is promoted.
    Kill,
    /// `a` stands still with its connections open, `b` is promoted.
    Freeze,
    /// `a` and `b` change places.
    Switch,
    /// `a` dies, `b` is promoted, `a` comes back as a reader.
    Return,
    /// `a` and `b` change places, and `c` goes on telling of the former state.
    Disagreement,
    /// `a` and `b` change places, and `c` says that it is the writer, though it takes no writes.
    Liar,
    /// `a` and `b` change places, and then `b` and `c`.
    Twice,
}

impl Fault {
    pub(crate) const ALL: [Self; 7] =
        [Self::Kill, Self::Freeze, Self::Switch, Self::Return, Self::Disagreement, Self::Liar, Self::Twice];

    /// The instance that is the writer in the end.
    pub(crate) fn last_writer(self) -> &'static str {
        if self == Self::Twice { "c" } else { "b" }
    }

    /// Does it, and returns since when the last writer takes writes.
    pub(crate) async fn strike(self, cluster: &Cluster, writers: &Writers) -> Instant {
        match self {
            Self::Kill | Self::Return => {
                cluster.kill("a").await;
                sleep(OUTAGE).await;
            }
            Self::Freeze => {
                cluster.freeze("a");
                sleep(OUTAGE).await;
                // Not as a failover, which would end the sessions of `a`: its clients hear nothing.
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
