//! Checks the tests that documents name.

use std::{collections::BTreeSet, fs, path::Path};

use crate::Result;

/// The documents whose tables have a column of tests.
const DOCUMENTS: &[&str] = &["ARCHITECTURE.md", "crates/rds-wrapper/docs/security.md"];

/// Returns the tests that a document names and no source file has.
pub(super) fn check(root: &Path, files: &[String]) -> Result<Vec<String>> {
    let mut known = BTreeSet::new();
    for path in files.iter().filter(|path| path.ends_with(".rs")) {
        // Deleted but not yet committed files are listed.
        let Ok(text) = fs::read_to_string(root.join(path)) else { continue };
        known.extend(tests_of(&text).map(str::to_owned));
    }
    let mut wrong = Vec::new();
    for document in DOCUMENTS {
        let cited = cited(&fs::read_to_string(root.join(document))?);
        if cited.is_empty() {
            wrong.push(format!("{document}: no table has a column `test`"));
        }
        let missing = cited.into_iter().filter(|name| !known.contains(name));
        wrong.extend(missing.map(|name| format!("{document}: there is no test `{name}`")));
    }
    Ok(wrong)
}

/// Returns the functions of a file, and the tests that a macro makes of rows such as `name =>
/// case;`.
fn tests_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        let function = line.strip_prefix("fn ");
        let name =
            function.unwrap_or(line).split(|end: char| !end.is_ascii_alphanumeric() && end != '_').next()?;
        // Any function counts: a test's attribute is on another line.
        (function.is_some() || line[name.len()..].starts_with(" => ")).then_some(name)
    })
}

/// Returns the code in the last column of the tables whose last column is headed `test`.
fn cited(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut is_table_of_tests = false;
    for line in text.lines() {
        let Some(row) = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) else {
            is_table_of_tests = false;
            continue;
        };
        let last = row.rsplit('|').next().unwrap_or(row).trim();
        // From its head to the next line that is no row.
        is_table_of_tests |= last == "test";
        if is_table_of_tests {
            names.extend(last.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_in_the_last_column_is_cited() {
        let text = "| claim | test |\n|---|---|\n| no `secret` | `a_b`, `c_d` |\n\n| `x` | `not_a_test` |\n";
        assert_eq!(cited(text), BTreeSet::from(["a_b".to_owned(), "c_d".to_owned()]));
    }

    #[test]
    fn functions_and_rows_of_macros_are_tests() {
        let text = "#[test]\nfn one() {}\nasync fn two() {}\n    three_ok => case;\n    let four = five;\n";
        assert_eq!(tests_of(text).collect::<Vec<_>>(), ["one", "two", "three_ok"]);
    }
}
