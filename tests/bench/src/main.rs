//! This workspace and its peers side by side, in one run: the sections of `BENCHMARKS.md`.

mod builds;
mod cache;
mod chain;
mod cold;
mod connects;
mod databases;
#[cfg(feature = "peers")]
mod foreign;
mod hosts;
mod misses;
mod notes;
mod output;
mod proxy;
mod report;
mod timing;
#[cfg(feature = "peers")]
mod tokens;

use std::{env, process::ExitCode};

use report::Report;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// A part of a run by its name.
type Part = (&'static str, fn(&mut Report) -> Result<()>);

/// The parts in the order in which they run.
const PARTS: &[Part] = &[
    #[cfg(feature = "peers")]
    ("tokens", tokens::run),
    ("cache", cache::run),
    ("hosts", hosts::run),
    ("misses", misses::run),
    ("chain", chain::run),
    ("postgresql", connects::run_postgres),
    ("mysql", connects::run_mysql),
    ("cold", cold::run),
    ("proxy", proxy::run),
    ("databases", databases::run),
    (BUILDS, builds::run),
];

/// The part that takes minutes, and runs only where it is named.
const BUILDS: &str = "builds";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [proxy::ARGUMENT, url] => proxy::serve(url),
        [cold::ARGUMENT, side, stack] => cold::first_row(side, stack),
        [connects::ARGUMENT, engine, side, stack, count] => connects::repeat(engine, side, stack, count),
        parts => run(parts),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(error);
            ExitCode::FAILURE
        }
    }
}

/// Runs the named parts, or all that are quick.
fn run(named: &[&str]) -> Result<()> {
    let known: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = named.iter().find(|name| !known.contains(name)) {
        return Err(format!("unknown part `{unknown}`: the parts are {}", known.join(", ")).into());
    }
    let mut report = Report::read();
    for (name, part) in PARTS {
        if named.contains(name) || named.is_empty() && *name != BUILDS {
            part(&mut report)?;
        }
    }
    Ok(())
}
