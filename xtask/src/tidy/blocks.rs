//! The code blocks of documents: compiled, parsed, read by a test, or of a language that is listed
//! as tried by hand.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use super::snippets::{self, Known};
use crate::{Result, process, workspace::Workspace};

/// Pages whose `rust,ignore` blocks a test compares with its own source:
/// `readmes_quote_the_test_above`.
const QUOTED: &[&str] = &["README.md", "crates/rds-testkit/README.md"];

/// Languages that nothing here understands; whoever changes such a block tries it.
const BY_HAND: &[&str] = &["dockerfile", "hcl", "ini", "javascript", "mermaid", "python", "sql"];

/// What the shell's blocks call. Tests read the options of the first three, [`commands`] cargo's
/// and the packages'; the others need AWS, a download or an installation and are tried by hand.
///
/// [`commands`]: super::commands
const PROGRAMS: &[&str] =
    &["rds-iam", "rds-testkit", "app", "cargo", "sudo", "aws", "curl", "export", "npm", "pip"];

/// Returns the blocks that nothing checks, and those that are wrong.
pub(super) fn check(workspace: &Workspace, listed: &[String]) -> Result<Vec<String>> {
    let root = workspace.root();
    let compiled = compiled(root, listed);
    let known = Known::of(workspace);
    let mut wrong = Vec::new();
    for path in listed.iter().filter(|path| path.ends_with(".md")) {
        // Deleted but not yet committed files are listed.
        let Ok(text) = fs::read_to_string(root.join(path)) else { continue };
        for block in blocks(&text) {
            let is_compiled = compiled.contains(path.as_str());
            let what = judge(root, path, &block, is_compiled, &known);
            wrong.extend(what.into_iter().map(|what| format!("{path}:{}: {what}", block.line)));
        }
    }
    Ok(wrong)
}

/// A fenced block.
#[derive(Debug, PartialEq)]
struct Block {
    line: usize,
    language: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                let language = language.trim().to_owned();
                open = Some(Block { line: number + 1, language, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Returns what is wrong with a block.
fn judge(root: &Path, path: &str, block: &Block, is_compiled: bool, known: &Known) -> Vec<String> {
    let one = |what: &str| vec![what.to_owned()];
    match block.language.as_str() {
        "rust" | "rust,no_run" if is_compiled => Vec::new(),
        "rust" | "rust,no_run" => one("no library includes this page, so nothing compiles the block"),
        "rust,ignore" if QUOTED.contains(&path) => Vec::new(),
        "json" => match serde_json::from_str::<serde_json::Value>(&block.text) {
            Ok(_) => Vec::new(),
            Err(error) => one(&format!("no JSON: {error}")),
        },
        "sh" => shell(root, &block.text),
        // What a program prints, or a connection string.
        "text" => Vec::new(),
        "toml" => snippets::judge(&block.text, known),
        "" => one("the block names no language: `text` for what a program prints"),
        language if BY_HAND.contains(&language) => Vec::new(),
        language => one(&format!("nothing checks `{language}`: see xtask/src/tidy/blocks.rs")),
    }
}

/// Returns what the shell does not understand, and the programs that nobody listed.
fn shell(root: &Path, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut parse = process::command("sh", root);
    if let Err(error) = process::output(parse.args(["-n", "-c", text])) {
        wrong.push(error.to_string());
    }
    let lines = text.replace("\\\n", " ");
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let program = line.split(|end: char| !end.is_ascii_alphanumeric() && end != '-').next();
        // A setting or a function has the program behind it.
        if !line.contains("rds-iam ") && !program.is_some_and(|program| PROGRAMS.contains(&program)) {
            let setting = line.split_whitespace().find(|word| PROGRAMS.contains(word));
            if setting.is_none() {
                wrong.push(format!("nothing checks `{line}`: see xtask/src/tidy/blocks.rs"));
            }
        }
    }
    wrong
}

/// Returns the pages that the documentation of a library includes, whose blocks rustdoc compiles.
fn compiled(root: &Path, listed: &[String]) -> BTreeSet<String> {
    let mut pages = BTreeSet::new();
    // A program has no documentation tests.
    for path in listed.iter().filter(|path| path.ends_with(".rs") && !path.ends_with("/main.rs")) {
        let Ok(text) = fs::read_to_string(root.join(path)) else { continue };
        let folder = Path::new(path).parent().unwrap_or(Path::new(""));
        for included in text.split("doc = include_str!(\"").skip(1) {
            let included = included.split('"').next().unwrap_or_default();
            pages.insert(normal(&folder.join(included)));
        }
    }
    pages
}

/// Returns a path without `..`.
fn normal(path: &Path) -> String {
    let mut whole = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                whole.pop();
            }
            other => whole.push(other),
        }
    }
    whole.to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(path: &str, page: &str) -> Vec<String> {
        let workspace = Workspace::load().unwrap();
        let known = Known::of(&workspace);
        let judged = blocks(page).into_iter();
        judged.flat_map(|block| judge(workspace.root(), path, &block, false, &known)).collect()
    }

    #[test]
    fn block_that_nothing_checks_is_refused() {
        for page in [
            "```rust\nfn main() {}\n```\n",
            "```rust,ignore\nfn main() {}\n```\n",
            "```json\n{\"a\": 1,}\n```\n",
            "```sh\ncargo test && (\n```\n",
            "```sh\nterraform apply\n```\n",
            "```toml\nrds-wrapper = { version = \"9.9\" }\n```\n",
            "```yaml\na: b\n```\n",
            "- a list\n\n  ```\n  what?\n  ```\n",
        ] {
            assert_eq!(wrong("crates/a/README.md", page).len(), 1, "{page}");
        }
    }

    #[test]
    fn block_that_something_checks_is_allowed() {
        for page in [
            "```json\n{\"a\": 1}\n```\n",
            "```sh\n# why\nA=b cargo test \\\n  --workspace\nPGPASSWORD=\"$(rds-iam token)\" psql …\n```\n",
            "```text\nanything (\n```\n",
            "```toml\n[dependencies]\nrds-wrapper = \"0.1\"\n```\n",
            "```sql\nSELECT 1\n```\n",
        ] {
            assert_eq!(wrong("README.md", page), [""; 0], "{page}");
        }
    }

    #[test]
    fn page_of_a_library_is_compiled_and_of_a_program_not() {
        let workspace = Workspace::load().unwrap();
        let listed = super::super::files::listed(workspace.root()).unwrap();
        let pages = compiled(workspace.root(), &listed);
        for page in ["README.md", "crates/token-cache/README.md", "crates/rds-wrapper/docs/migration.md"] {
            assert!(pages.contains(page), "{pages:?}");
        }
        assert!(!pages.contains("crates/rds-iam/README.md"), "{pages:?}");
    }
}
