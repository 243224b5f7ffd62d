//! Starts the soak and the fleet, a member of their own so that this program stays quick to build.

use crate::{Result, process, workspace::Workspace};

/// Runs the soak.
///
/// # Errors
///
/// The first invariant that does not hold, with what was seen.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut soak = process::cargo(workspace.root());
    process::run(soak.args(["run", "--quiet", "--package=soak", "--"]).args(arguments))
}

/// Runs the fleet, optimized: it would measure itself otherwise.
///
/// # Errors
///
/// A process that is not in.
pub(crate) fn fleet(arguments: &[&str]) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut fleet = process::cargo(workspace.root());
    let program = ["run", "--quiet", "--release", "--package=soak", "--", "fleet"];
    process::run(fleet.args(program).args(arguments))
}
