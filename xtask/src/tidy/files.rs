//! Rules for each file.

use std::{fs, path::Path};

use crate::{Result, process};

/// The maximum number of lines of a source file, without tests.
const MOST_LINES: usize = 400;

/// Returns the files of the repository, by their paths from its root.
pub(super) fn listed(root: &Path) -> Result<Vec<String>> {
    let mut git = process::command("git", root);
    // A checkout in a container often belongs to another user.
    git.args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    Ok(process::output(&mut git)?.split_terminator('\0').map(str::to_owned).collect())
}

/// Returns the files that are too long or name a folder of one machine.
pub(super) fn check(root: &Path, listed: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for path in listed {
        // Deleted but not yet committed files are listed, links may lead nowhere.
        let Ok(bytes) = fs::read(root.join(path)) else { continue };
        wrong.extend(judge(path, &String::from_utf8_lossy(&bytes)));
    }
    wrong
}

fn judge(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines = code_lines(path, text);
    if lines > MOST_LINES {
        wrong.push(format!("{path}: {lines} lines without tests, at most {MOST_LINES} may be: split it"));
    }
    for folder in ["home", "root", "work"].map(|name| format!("/{name}/")) {
        if let Some(number) = text.lines().position(|line| line.contains(&folder)) {
            wrong.push(format!("{path}:{}: names `{folder}`, a folder of somebody's machine", number + 1));
        }
    }
    wrong
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
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod ")) {
            break;
        }
        count += 1;
    }
    count
}

/// Returns whether a file belongs to the tests of a crate; `tests` at the root holds whole packages.
fn is_below_tests(path: &Path) -> bool {
    let mut parts = path.components().skip(1);
    parts.any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_file_is_refused() {
        assert_eq!(judge("crates/a/src/b.rs", &"x\n".repeat(400)).len(), 0);
        assert_eq!(judge("crates/a/src/b.rs", &"x\n".repeat(401)).len(), 1);
    }

    #[test]
    fn tests_do_not_count() {
        let text = "x\n".repeat(400) + "\n#[cfg(test)]\nmod tests {\n" + &"x\n".repeat(400);
        assert_eq!(code_lines("crates/a/src/b.rs", &text), 401);
        assert_eq!(judge("crates/a/src/b/tests.rs", &"x\n".repeat(401)).len(), 0);
        assert_eq!(judge("tests/e2e/tests/mysql/b.rs", &"x\n".repeat(401)).len(), 0);
        assert_eq!(judge("tests/integration/src/b.rs", &"x\n".repeat(401)).len(), 1);
    }

    #[test]
    fn tables_and_prose_may_be_long() {
        assert_eq!(judge("README.md", &"x\n".repeat(401)).len(), 0);
    }

    #[test]
    fn folder_of_a_machine_is_refused() {
        // Put together here, since this file is looked at too.
        let folder = format!("/{}/", "home");
        let wrong = judge("README.md", &format!("one\nsee {folder}someone/notes\n"));
        assert_eq!(wrong, [format!("README.md:2: names `{folder}`, a folder of somebody's machine")]);
        assert_eq!(judge("README.md", "target/debug is fine\n").len(), 0);
    }
}
