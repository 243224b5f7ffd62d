//! Starts the soak and the fleet, a member of their own so that this program stays quick to build.

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

/// Runs the fleet, in a release build: a debug build would measure itself.
///
/// # Errors
///
/// If the program fails.
pub(crate) fn fleet() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut fleet = process::cargo(workspace.root());
    process::run(fleet.args(["run", "--quiet", "--release", "--package=soak", "--", "fleet"]))
}
