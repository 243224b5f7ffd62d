//! The tasks of this repository that cargo has no command for.

mod bench;
mod ci;
mod integration;
mod matrix;
mod output;
mod process;
mod release;
mod soak;
mod tidy;
mod workspace;

use std::{env, process::ExitCode};

/// The result of a task: nothing, or what to fix.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "\
usage: cargo xtask <task>

  bench                what tokens, cache hits and host names cost, beside other implementations
  ci [--no-tests]      format, lints, features, docs, tests, tidy: what a change must pass
  ci --slow            licences, spelling, API, interleavings, lowest versions, semver, fuzzing: weekly
  connects             connects with a cached token beside the bare drivers', in pairs
  features             each publishable crate with each of its features alone, a part of ci
  fleet                50 processes with pools of 20 at a server that throttles logins
  integration --local  real servers that check tokens, started here; more with `cargo xtask integration`
  matrix [word]...     an application through failovers of an embedded cluster, as a table
  model                the cell of token-cache under chosen interleavings, a part of both ci
  public-api           writes what each crate exports into its list, with cargo-public-api and nightly
  release --dry-run    what a release has to fulfil, without publishing
  soak [--minutes N] [--seed S]  pools of every kind at servers that fail; half a minute of it is in ci
  tidy                 layout, dependency rules, forbidden crates, file lengths, manifests";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["bench"] => bench::run(),
        ["ci"] => ci::run(true),
        ["ci", "--no-tests"] => ci::run(false),
        ["ci", "--slow"] => ci::slow(),
        ["connects"] => soak::optimized("connects"),
        ["features"] => ci::features(),
        ["fleet"] => soak::optimized("fleet"),
        ["integration", more @ ..] => integration::run(more),
        ["matrix", more @ ..] => matrix::run(more),
        ["model"] => ci::model(),
        ["public-api"] => ci::public_api(),
        ["release", "--dry-run"] => release::dry_run(),
        ["soak", more @ ..] => soak::run(more),
        ["tidy"] => tidy::run(),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
