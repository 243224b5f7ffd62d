//! The shape of the house, as code: where things live, who may use whom, how long a file may be.

mod crates;
mod dependency_closure;
mod dependency_rules;
mod files;
mod layout;

use crate::{Result, output, workspace::Workspace};

/// Checks everything and lists all that is wrong.
///
/// # Errors
///
/// Each thing that is wrong with its remedy, one a line.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut wrong = layout::check(&workspace);
    wrong.extend(dependency_rules::check(&workspace));
    wrong.extend(dependency_closure::check(&workspace)?);
    wrong.extend(files::check(workspace.root())?);
    if wrong.is_empty() {
        output::line("tidy: nothing to mend");
        return Ok(());
    }
    Err(format!("tidy:\n  {}", wrong.join("\n  ")).into())
}
