//! Times of calls, from the quieter of interleaved rounds.

use std::{
    array,
    hint::black_box,
    time::{Duration, Instant},
};

const ROUNDS: usize = 401;
/// Other programs can only lengthen a turn, so the quicker turns show the time that the call itself
/// takes: not the quickest, which may be a stroke of luck.
const QUIET: usize = ROUNDS / 10;
const TURN: Duration = Duration::from_millis(1);

/// One thing to time beside others.
pub(crate) struct Case<'a> {
    name: &'static str,
    repeat: Box<dyn FnMut(u32) + 'a>,
}

/// The time of one call.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) nanos: f64,
}

impl<'a> Case<'a> {
    pub(crate) fn new<R>(name: &'static str, mut call: impl FnMut() -> R + 'a) -> Self {
        let repeat = move |times| {
            for _ in 0..times {
                black_box(call());
            }
        };
        Self { name, repeat: Box::new(repeat) }
    }

    /// How often it runs in one turn.
    fn calibrate(&mut self) -> u32 {
        let mut times = 1;
        while stopwatch(|| (self.repeat)(times)) < TURN {
            times *= 2;
        }
        times
    }
}

/// Times the cases in turns of about a millisecond, so that a disturbance of the machine disturbs
/// all of them alike.
pub(crate) fn measure<const N: usize>(mut cases: [Case<'_>; N]) -> [Figure; N] {
    let times = cases.each_mut().map(Case::calibrate);
    let mut turns: [Vec<f64>; N] = array::from_fn(|_| Vec::with_capacity(ROUNDS));
    for round in 0..ROUNDS {
        // Each round begins with another case: a scheduler whose slice is as long as a round would
        // else interrupt the same case every time.
        for index in (0..N).map(|offset| (round + offset) % N) {
            let took = stopwatch(|| (cases[index].repeat)(times[index]));
            turns[index].push(took.as_nanos() as f64 / f64::from(times[index]));
        }
    }
    array::from_fn(|index| {
        turns[index].sort_by(f64::total_cmp);
        Figure { name: cases[index].name, nanos: turns[index][QUIET] }
    })
}

#[expect(clippy::disallowed_methods, reason = "this is the stopwatch")]
pub(crate) fn stopwatch(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}
