//! Starts the soak, the fleet and the timing of connects, a member of their own so that this
//! program stays quick to build.

use crate::{Result, process, workspace::Workspace};

/// Runs the soak.
///
/// # Errors
///
/// The first invariant that does not hold, with the observation.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut soak = process::cargo(workspace.root());
    process::run(soak.args(["run", "--quiet", "--package=soak", "--"]).args(arguments))
}

/// Runs the fleet or times connects, in a release build: a debug build would measure itself.
///
/// # Errors
///
/// If the program fails.
pub(crate) fn optimized(what: &str) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut program = process::cargo(workspace.root());
    process::run(program.args(["run", "--quiet", "--release", "--package=soak", "--", what]))
}
