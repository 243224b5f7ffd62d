//! Applications with pools of every kind at servers that fail, by a seed: `cargo xtask soak`.
//!
//! Storms, in which clusters fail over, servers freeze, drop and refuse, keys and secrets rotate,
//! sources of credentials fail and the clock jumps, are followed by calms. All the time every
//! answer must be the caller's own, every connection lead to the writer, every refused login have a
//! cause, and no secret be in the log, at TRACE; in a calm nothing may fail, and after a round of
//! storms nothing of its pools may be left. The run ends at the first thing that is otherwise.
//!
//! `cargo xtask fleet` starts many processes at once at a server that throttles logins.

mod callers;
mod environment;
mod fleet;
mod log;
mod output;
mod random;
mod resources;
mod schedule;
mod soak;
mod verdict;

use std::{env, process::ExitCode, time::Duration};

use soak::Soak;

const USAGE: &str = "usage: soak [--minutes N] [--seed S] | soak fleet";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["fleet"] => fleet::run(),
        [fleet::MEMBER] => fleet::member(),
        words => soak(words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(error);
            ExitCode::FAILURE
        }
    }
}

fn soak(words: &[&str]) -> Result<(), String> {
    let mut soak = Soak { length: Duration::from_secs(600), seed: 1 };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        match *word {
            "--minutes" => {
                let minutes: f64 = value.parse().map_err(|_| USAGE)?;
                soak.length = Duration::try_from_secs_f64(minutes * 60.0).map_err(|_| USAGE)?;
            }
            "--seed" => soak.seed = value.parse().map_err(|_| USAGE)?,
            _ => return Err(USAGE.to_owned()),
        }
    }
    soak.run()
}
