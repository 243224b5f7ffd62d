//! Starts the integration suite, a member of its own so that this program stays quick to build.

use std::os::unix::process::CommandExt;

use crate::{Result, process, workspace::Workspace};

/// Becomes the suite: an interrupt then reaches it alone, and it has the time to stop its servers.
///
/// # Errors
///
/// If cargo cannot be started; otherwise this does not return.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut suite = process::cargo(workspace.root());
    suite.args(["run", "--quiet", "--package", "integration", "--"]).args(arguments);
    suite.arg("--cache").arg(workspace.target().join("integration"));
    Err(format!("cargo cannot be started: {}", suite.exec()).into())
}
