//! Starts the matrix of failovers, a member of its own so that this program stays quick to build.

use crate::{Result, process, workspace::Workspace};

/// Runs the matrix.
///
/// # Errors
///
/// A connection to a wrong instance, or logins beyond the pace.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut matrix = process::cargo(workspace.root());
    process::run(matrix.args(["run", "--quiet", "--package=matrix", "--bin=matrix", "--"]).args(arguments))
}
