//! The code blocks of documents: compiled, parsed, read by a test, or of a language that is listed
//! as tried by hand.

use std::{
    collections::BTreeSet,
    fs, mem,
    path::{Component, Path, PathBuf},
};

use super::{
    commands::is_setting,
    snippets::{self, Known},
};
use crate::{Result, process, workspace::Workspace};

/// Pages whose `rust,ignore` blocks a test compares with its own source:
/// `readmes_quote_the_test_above`.
const QUOTED: &[&str] = &["README.md", "crates/rds-testkit/README.md"];

/// Languages that nothing here understands; whoever changes such a block tries it.
const BY_HAND: &[&str] = &["dockerfile", "hcl", "ini", "javascript", "mermaid", "python", "sql"];

/// What the shell's blocks call. Tests read the options of the first three, [`commands`] cargo's
/// and the packages'; the others need AWS, a database, a download or an installation and are tried
/// by hand.
///
/// [`commands`]: super::commands
const PROGRAMS: &[&str] = &[
    "rds-iam",
    "rds-testkit",
    "app",
    "cargo",
    "apt-get",
    "aws",
    "curl",
    "export",
    "npm",
    "pbcopy",
    "pip",
    "psql",
];

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
    fence: &'static str,
    language: String,
    text: String,
    is_closed: bool,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (fence(line), &mut open) {
            (Some(fence), None) => {
                // The other readers of pages see backticks at the beginning of a line alone: with
                // the rest of its line, any other fence is a language that nothing checks.
                let line = line.trim();
                let language = line.strip_prefix("```").unwrap_or(line).trim().to_owned();
                let (line, text) = (number + 1, String::new());
                open = Some(Block { line, fence, language, text, is_closed: false });
            }
            (Some(fence), Some(block)) if block.fence == fence => {
                block.is_closed = true;
                blocks.extend(open.take());
            }
            (_, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks.extend(open);
    blocks
}

/// Returns the fence that begins a line, also in a quotation or a list.
fn fence(line: &str) -> Option<&'static str> {
    let line = line.trim_start_matches([' ', '\t', '>', '-', '*', '+']);
    ["```", "~~~"].into_iter().find(|fence| line.starts_with(fence))
}

/// Returns what is wrong with a block.
fn judge(root: &Path, path: &str, block: &Block, is_compiled: bool, known: &Known) -> Vec<String> {
    let one = |what: &str| vec![what.to_owned()];
    if !block.is_closed {
        return one("the block has no end");
    }
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

/// Returns what the shell does not understand, or the calls of programs that nobody listed.
fn shell(root: &Path, text: &str) -> Vec<String> {
    let mut parse = process::command("sh", root);
    if let Err(error) = process::output(parse.args(["-n", "-c", text])) {
        return vec![error.to_string()];
    }
    let mut wrong = Vec::new();
    for words in calls(text) {
        let program = words.iter().find(|word| *word != "sudo" && !is_setting(word));
        // A function of the page is defined and called.
        let is_listed = |program: &String| PROGRAMS.contains(&program.trim_end_matches("()"));
        if !program.is_none_or(is_listed) {
            wrong.push(format!("nothing checks `{}`: see xtask/src/tidy/blocks.rs", words.join(" ")));
        }
    }
    wrong
}

/// Returns the words of each call, those within `$(…)` once more as a call of their own.
fn calls(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let (mut calls, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    // `depth` counts the parentheses of `$(…)`, which keep a word together as quotes do.
    let (mut quote, mut depth) = (None, 0_usize);
    let mut rest = text.chars().chain(['\n']);
    while let Some(c) = rest.next() {
        let is_outside = quote.is_none() && depth == 0;
        match c {
            '#' if is_outside && word.is_empty() => {
                rest.find(|c| *c == '\n');
                calls.push(mem::take(&mut words));
                continue;
            }
            ' ' | '\t' | '\n' | ';' | '|' | '&' if is_outside => {
                let done = mem::take(&mut word);
                let is_brace = done == "{" || done == "}";
                if !is_brace && !done.is_empty() {
                    words.push(done);
                }
                if is_brace || !matches!(c, ' ' | '\t') {
                    calls.push(mem::take(&mut words));
                }
                continue;
            }
            '"' | '\'' if quote.is_none() => quote = Some(c),
            _ if quote == Some(c) => quote = None,
            '(' if depth > 0 || word.ends_with('$') => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        word.push(c);
    }
    let inner = text.split("$(").skip(1).map(|inner| inner.split([' ', ')', '\n']));
    calls.extend(inner.map(|inner| inner.map(str::to_owned).collect()));
    calls
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

    fn wrong(workspace: &Workspace, path: &str, page: &str) -> Vec<String> {
        let known = Known::of(workspace);
        let judged = blocks(page).into_iter();
        judged.flat_map(|block| judge(workspace.root(), path, &block, false, &known)).collect()
    }

    #[test]
    fn block_that_nothing_checks_is_refused() {
        let workspace = Workspace::load().unwrap();
        for page in [
            "```rust\nfn main() {}\n```\n",
            "```rust,ignore\nfn main() {}\n```\n",
            "```json\n{\"a\": 1,}\n```\n",
            "```sh\ncargo test && (\n```\n",
            "```sh\nterraform apply\n```\n",
            "```sh\nterraform apply app\n```\n",
            "```sh\nterraform apply rds-iam here\n```\n",
            "```sh\nsudo terraform apply\n```\n",
            "```sh\nA=b sudo C=\"cargo d\" terraform apply\n```\n",
            "```sh\nPGPASSWORD=\"$(rds-iam token)\" terraform apply\n```\n",
            "```sh\nPGPASSWORD=\"$(terraform output)\" psql app\n```\n",
            "```sh\ncargo build; terraform apply  # cargo\n```\n",
            "```sh\nrds-iam token | terraform apply\n```\n",
            "```toml\nrds-wrapper = { version = \"9.9\" }\n```\n",
            "```yaml\na: b\n```\n",
            "- a list\n\n  ```\n  what?\n  ```\n",
            "```json\n{}\n",
            "```json\n{}\n```\n\n```text\n",
            "~~~sql\n```\nSELECT 1\n~~~\n",
            "~~~json\n{}\n",
            "> ```rust\n> fn main() {}\n> ```\n",
            "- ```sh\n  terraform apply\n  ```\n",
        ] {
            assert_eq!(wrong(&workspace, "crates/a/README.md", page).len(), 1, "{page}");
        }
    }

    #[test]
    fn block_that_something_checks_is_allowed() {
        let workspace = Workspace::load().unwrap();
        for page in [
            "```json\n{\"a\": 1}\n```\n",
            "```sh\n# why\nA=b cargo test \\\n  --workspace\nPGPASSWORD=\"$(rds-iam token)\" psql …\n```\n",
            "```sh\nsudo apt-get install gcc\napp() { rds-iam exec -- \"${@:-psql}\"; }\nA='b; c'\n```\n",
            "```sh\naws iam put-role-policy --policy-document '{\n  \"Version\": \"1\"\n}'  # it's\n```\n",
            "```text\nanything (\n```\n",
            "```text\n~~~\n```\n",
            "```toml\n[dependencies]\nrds-wrapper = \"0.1\"\n```\n",
            "```sql\nSELECT 1\n```\n",
        ] {
            assert_eq!(wrong(&workspace, "README.md", page), [""; 0], "{page}");
        }
    }

    #[test]
    fn page_of_a_library_is_compiled_and_of_a_program_not() {
        let workspace = Workspace::load().unwrap();
        let listed = [
            "crates/rds-iam/src/main.rs",
            "crates/rds-wrapper/src/guide.rs",
            "crates/token-cache/src/lib.rs",
            "tests/e2e/src/lib.rs",
        ]
        .map(str::to_owned);
        let pages = compiled(workspace.root(), &listed);
        for page in ["README.md", "crates/token-cache/README.md", "crates/rds-wrapper/docs/migration.md"] {
            assert!(pages.contains(page), "{pages:?}");
        }
        assert!(!pages.contains("crates/rds-iam/README.md"), "{pages:?}");
    }
}
