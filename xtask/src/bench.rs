//! Starts the comparison with the peers, a workspace of its own since these take minutes to
//! compile.

use crate::{Result, process, workspace::Workspace};

/// Replaces this process by the comparison.
///
/// # Errors
///
/// If cargo cannot be started; otherwise this does not return.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut bench = process::cargo(&workspace.root().join("tests/bench"));
    bench.args(["run", "--release"]);
    Err(process::replace_by(&mut bench))
}
