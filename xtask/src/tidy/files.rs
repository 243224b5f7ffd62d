//! Rules for each file: its place, its opening, its length, and no folder of one machine.

use std::{collections::BTreeSet, fs, path::Path};

use super::{line_length, phrases};
use crate::{Result, process};

/// The maximum number of lines of a source file, without tests.
const MOST_LINES: usize = 400;

/// The allowed entries of the root.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".github",
    ".gitignore",
    "ARCHITECTURE.md",
    "BENCHMARKS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "RELEASING.md",
    "SECURITY.md",
    "clippy.toml",
    "crates",
    "deny.toml",
    "examples",
    "rustfmt.toml",
    "tests",
    "xtask",
];

/// Home folders, by the names that operating systems give them.
const MACHINE_FOLDERS: &[&str] =
    &["Users", "Volumes", "builds", "export", "home", "media", "mnt", "root", "work", "workspace"];

/// Files that documents include inside of code, where `//!` is an error.
const INCLUDED: &[&str] = &["crates/rds-testkit/tests/postgres/signer.rs"];

/// Returns the files of the repository, by their paths from its root.
pub(super) fn listed(root: &Path) -> Result<Vec<String>> {
    let mut git = process::command("git", root);
    // A checkout in a container often belongs to another user.
    git.args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    Ok(process::output(&mut git)?.split_terminator('\0').map(str::to_owned).collect())
}

/// Returns what is wrong with the entries of the root and with each file.
pub(super) fn check(root: &Path, listed: &[String]) -> Vec<String> {
    let mut wrong = top_level(listed.iter().map(String::as_str));
    for path in listed {
        // Deleted but not yet committed files are listed, links may lead nowhere.
        let Ok(bytes) = fs::read(root.join(path)) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        wrong.extend(judge(path, &text));
        wrong.extend(line_length::judge(path, &text));
        wrong.extend(phrases::judge(path, &text));
    }
    wrong
}

/// Names the unexpected entries at the root.
fn top_level<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<String> {
    let entries: BTreeSet<_> = paths.map(|path| path.split('/').next().unwrap_or(path)).collect();
    let unknown = entries.into_iter().filter(|entry| !TOP_LEVEL.contains(entry));
    unknown
        .map(|entry| format!("{entry}: not an entry of the root: move it below one, or add it to files.rs"))
        .collect()
}

fn judge(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines = code_lines(path, text);
    if lines > MOST_LINES {
        wrong.push(format!("{path}: {lines} lines without tests, at most {MOST_LINES} may be: split it"));
    }
    let is_opened = text.starts_with("//!") || text.starts_with("#!");
    if path.ends_with(".rs") && !is_opened && !INCLUDED.contains(&path) {
        wrong.push(format!("{path}: does not open with a `//!` line that says what the file is for"));
    }
    for (number, line) in text.lines().enumerate() {
        if let Some(folder) = machine_folder(line) {
            wrong.push(format!("{path}:{}: names `{folder}`, a folder of somebody's machine", number + 1));
        }
    }
    wrong
}

/// Finds a home folder in a line, in any system's path syntax.
fn machine_folder(line: &str) -> Option<String> {
    // A string escapes a backslash as two.
    let unified = line.replace("\\\\", "/").replace('\\', "/");
    MACHINE_FOLDERS.iter().map(|name| format!("/{name}/")).find(|folder| unified.contains(folder))
}

/// Counts the lines of a source file outside tests; 0 for other files.
fn code_lines(path: &str, text: &str) -> usize {
    let path = Path::new(path);
    let is_source =
        path.extension().is_some_and(|end| ["c", "h", "py", "rs", "sh"].iter().any(|&known| end == known));
    let is_test = path.starts_with("tests/e2e") || is_below_tests(path);
    if !is_source || is_test {
        return 0;
    }
    let mut lines = text.lines().peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        // A module of tests is the last item of its file.
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod ")) {
            break;
        }
        count += 1;
    }
    count
}

/// Returns whether a file belongs to the tests of a crate; `tests` at the root holds whole
/// packages.
fn is_below_tests(path: &Path) -> bool {
    let mut parts = path.components().skip(1);
    parts.any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_file_is_refused() {
        assert_eq!(judge("crates/a/src/b.rs", &"//! x\n".repeat(400)).len(), 0);
        assert_eq!(judge("crates/a/src/b.rs", &"//! x\n".repeat(401)).len(), 1);
    }

    #[test]
    fn tests_do_not_count() {
        let text = "x\n".repeat(400) + "\n#[cfg(test)]\nmod tests {\n" + &"x\n".repeat(400);
        assert_eq!(code_lines("crates/a/src/b.rs", &text), 401);
        assert_eq!(judge("crates/a/src/b/tests.rs", &"//! x\n".repeat(401)).len(), 0);
        assert_eq!(judge("tests/e2e/tests/mysql/b.rs", &"//! x\n".repeat(401)).len(), 0);
        assert_eq!(judge("tests/integration/src/b.rs", &"//! x\n".repeat(401)).len(), 1);
    }

    #[test]
    fn tables_and_prose_may_be_long() {
        assert_eq!(judge("README.md", &"x\n".repeat(401)).len(), 0);
    }

    /// Writes a path from pieces, since this file is looked at too.
    fn joined(separator: &str, parts: &[&str]) -> String {
        parts.join(separator)
    }

    #[test]
    fn folder_of_a_machine_is_refused() {
        let folder = joined("/", &["", "home", ""]);
        let wrong = judge("README.md", &format!("one\nsee {folder}someone/notes\n"));
        assert_eq!(wrong, [format!("README.md:2: names `{folder}`, a folder of somebody's machine")]);
        assert_eq!(judge("README.md", "target/debug is fine, and so are 2/3 and \"a\\nb\"\n").len(), 0);
    }

    #[test]
    fn folder_of_each_system_is_refused() {
        for (separator, parts) in [
            ("/", ["", "Users", "jane"]),
            ("/", ["", "Volumes", "disk"]),
            ("/", ["", "mnt", "c"]),
            ("/", ["file://", "root", "x"]),
            ("/", ["", "workspace", "x"]),
            ("\\", ["C:", "Users", "jane"]),
            ("\\\\", ["C:", "Users", "jane"]),
            ("/", ["C:", "Users", "jane"]),
        ] {
            let text = joined(separator, &parts);
            assert_eq!(judge("notes.toml", &text).len(), 1, "{text}");
        }
    }

    #[test]
    fn source_file_without_an_opening_is_refused() {
        assert_eq!(judge("crates/a/src/b.rs", "use std::fmt;\n").len(), 1);
        assert_eq!(judge("crates/a/tests/b.rs", "/// Is not of the file.\nfn main() {}\n").len(), 1);
        assert_eq!(judge("crates/a/src/b.rs", "//! Says what it is for.\n").len(), 0);
        assert_eq!(judge("crates/a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n").len(), 0);
        assert_eq!(judge("crates/a/tool.py", "import os\n").len(), 0);
    }

    #[test]
    fn unlisted_entry_of_the_root_is_refused() {
        let wrong = top_level(["Cargo.toml", "notes/a.md", "notes/b.md", "TODO.md"].into_iter());
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].starts_with("TODO.md: ") && wrong[1].starts_with("notes: "), "{wrong:?}");
        assert_eq!(top_level([".cargo/config.toml", "crates/a/src/b.rs"].into_iter()), [""; 0]);
    }
}
