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

  bench [part]...      what tokens, connects and more cost, beside others; writes BENCHMARKS.md
  ci [--no-tests]      format, lints, features, docs, tests, tidy: what a change must pass
  ci --slow            licences, spelling, API, interleavings, lowest versions, semver, fuzzing: weekly
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
        ["bench", parts @ ..] => bench::run(parts),
        ["ci"] => ci::run(true),
        ["ci", "--no-tests"] => ci::run(false),
        ["ci", "--slow"] => ci::slow(),
        ["features"] => ci::features(),
        ["fleet"] => soak::fleet(),
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
