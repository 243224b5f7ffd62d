//! Checks before a release.

use std::fs;

use crate::{Result, output, process, workspace::Workspace};

/// Checks everything, and publishes nothing.
///
/// # Errors
///
/// Lists what is missing, one per line.
pub(crate) fn dry_run() -> Result<()> {
    let workspace = Workspace::load()?;
    let changelog = fs::read_to_string(workspace.root().join("CHANGELOG.md"))?;
    let mut wrong = Vec::new();
    for package in workspace.publishable() {
        let (name, version) = (package.name.as_str(), package.version.to_string());
        output::line(&format!("{name} {version}"));
        if !package.repository.as_deref().is_some_and(is_address) {
            wrong.push(format!("{name}: `repository` names no owner: set it in the workspace's manifest"));
        }
        if !has_entry(&changelog, &version) {
            wrong.push(format!("{name}: CHANGELOG.md has no dated entry for {version}"));
        }
    }
    let mut status = process::command("git", workspace.root());
    if !process::output(status.args(["status", "--porcelain"]))?.is_empty() {
        wrong.push("something is not committed".to_owned());
    }
    // Cargo refuses a dirty tree too, but ends there; here it is one finding among others.
    let mut publish = process::cargo(workspace.root());
    if let Err(error) = process::run(publish.args(["publish", "--workspace", "--dry-run", "--allow-dirty"])) {
        wrong.push(error.to_string());
    }
    if wrong.is_empty() {
        output::line("release: ready; RELEASING.md has the next steps");
        return Ok(());
    }
    wrong.sort();
    Err(format!("release: not yet\n  {}", wrong.join("\n  ")).into())
}

/// Returns whether this is the address of a repository, and not the placeholder.
fn is_address(repository: &str) -> bool {
    repository.starts_with("https://") && !repository.contains("OWNER")
}

/// Returns whether the changelog has a dated entry for a version.
fn has_entry(changelog: &str, version: &str) -> bool {
    let heading = format!("## [{version}] - ");
    let mut dates = changelog.lines().filter_map(|line| line.strip_prefix(&heading));
    dates.any(|date| date.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholder_is_no_address() {
        assert!(!is_address("https://github.com/OWNER/rds-wrapper"));
        assert!(is_address("https://example.org/rds-wrapper"));
    }

    #[test]
    fn entry_has_a_date() {
        assert!(has_entry("# Changelog\n\n## [0.1.0] - 2026-12-01\n", "0.1.0"));
        assert!(!has_entry("# Changelog\n\n## [0.1.0] - unreleased\n", "0.1.0"));
    }
}
