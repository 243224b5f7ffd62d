//! What goes wrong, when and for how long: it follows from the seed alone.

use std::time::Duration;

use rds_testkit::Phase;

use crate::random::Random;

/// How long things go wrong.
pub(crate) const STORM: Duration = Duration::from_secs(8);
/// How long nothing does then: the last seconds of it must be without a failure.
pub(crate) const CALM: Duration = Duration::from_secs(7);

/// The longest that one disruption and its end take.
const LONGEST: Duration = Duration::from_millis(1_700);

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disruption {
    /// A node's connections end.
    Cut(usize),
    /// Connections are closed at a phase.
    DropAt(Phase, usize),
    /// Another node is the writer; DNS follows at once, or later.
    FailOver { other: usize, dns_lags: bool },
    /// A node stands still.
    Freeze(usize, Duration),
    /// The clock of all is set, in seconds.
    Jump(i64),
    /// The writer dies, and another is promoted after the outage.
    Kill { other: usize, outage: Duration },
    /// Answers break off in the middle.
    Partial(usize),
    /// Logins are refused that are right.
    Refuse(usize),
    /// The AWS key is replaced by another.
    RotateKey,
    /// The password of a cluster's user is replaced, the first cluster's or the second's.
    RotateSecret(usize),
    /// The source of credentials fails.
    SourceFails(Duration),
}

/// A disruption and the quiet before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) pause: Duration,
    pub(crate) disruption: Disruption,
}

/// Where disruptions follow one another; lanes run side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lane {
    /// A cluster of three.
    Cluster,
    /// A single server.
    Server,
    /// What all share: keys, secrets, the clock.
    Shared,
}

/// Returns the disruptions of one lane over one storm.
pub(crate) fn storm(lane: Lane, random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut left = STORM;
    loop {
        let pause = random.millis(100, 1_200);
        let Some(rest) = left.checked_sub(pause + LONGEST) else { return steps };
        left = rest;
        let mut disruption = disruption(lane, random);
        let is_rotation = |step: &Step| matches!(step.disruption, Disruption::RotateKey);
        // Two within one connect are a refusal to its caller: it tries a new key once.
        if matches!(disruption, Disruption::RotateKey) && steps.iter().any(is_rotation) {
            disruption = Disruption::RotateSecret(0);
        }
        steps.push(Step { pause, disruption });
    }
}

fn disruption(lane: Lane, random: &mut Random) -> Disruption {
    let phases = [Phase::Accept, Phase::Tls, Phase::Startup, Phase::Login, Phase::Ready, Phase::Command];
    let some = 1 + random.below(3);
    let node = random.below(3);
    match lane {
        Lane::Shared => match random.below(6) {
            0 | 1 => Disruption::RotateKey,
            2 | 3 => Disruption::RotateSecret(random.below(2)),
            4 => Disruption::SourceFails(random.millis(200, 1_500)),
            _ => Disruption::Jump(random.pick(&[-90, -3_600, 61, 400, 901, 4_000])),
        },
        Lane::Cluster if random.below(2) == 0 => match random.below(2) {
            0 => Disruption::FailOver { other: random.below(2), dns_lags: random.below(2) == 0 },
            _ => Disruption::Kill { other: random.below(2), outage: random.millis(100, 800) },
        },
        Lane::Cluster | Lane::Server => match random.below(5) {
            0 => Disruption::Cut(node),
            1 => Disruption::DropAt(random.pick(&phases), some),
            2 => Disruption::Freeze(node, random.millis(200, 1_500)),
            3 => Disruption::Partial(some),
            _ => Disruption::Refuse(some),
        },
    }
}
