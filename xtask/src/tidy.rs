//! The rules of the workspace as code: where crates live, what they may depend on, how long files
//! and lines may be, what documents name, and how prose is written.

mod blocks;
mod cited_tests;
mod commands;
mod crates;
mod dependency_closure;
mod dependency_rules;
mod files;
mod layout;
mod line_length;
mod phrases;
mod readmes;
mod snippets;

use crate::{Result, output, workspace::Workspace};

/// Checks everything and lists every violation.
///
/// # Errors
///
/// Lists each violation with its remedy, one per line.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut wrong = layout::check(&workspace);
    wrong.extend(readmes::check(&workspace));
    wrong.extend(dependency_rules::check(&workspace));
    wrong.extend(dependency_closure::check(&workspace)?);
    let listed = files::listed(workspace.root())?;
    wrong.extend(files::check(workspace.root(), &listed));
    wrong.extend(cited_tests::check(workspace.root(), &listed)?);
    wrong.extend(commands::check(&workspace, &listed, crate::USAGE));
    wrong.extend(blocks::check(&workspace, &listed)?);
    if wrong.is_empty() {
        output::line("tidy: nothing to mend");
        return Ok(());
    }
    Err(format!("tidy:\n  {}", wrong.join("\n  ")).into())
}
