//! The table of results.

use crate::{Result, environment::Observation, output};

/// Prints a row for each case, and counts those that differ.
#[derive(Debug)]
pub(crate) struct Report {
    right: usize,
    wrong: usize,
    shown: usize,
    skipped: usize,
}

impl Report {
    /// Prints the header.
    pub(crate) fn new() -> Self {
        output::line(&row("", "engine", "case", "expected", "seen"));
        Self { right: 0, wrong: 0, shown: 0, skipped: 0 }
    }

    /// Prints a row, with details if the outcome differs from the expectation.
    pub(crate) fn row(&mut self, engine: &str, case: &str, expected: &str, seen: &Observation) {
        let is_right = seen.text == expected;
        output::line(&row(if is_right { "ok" } else { "WRONG" }, engine, case, expected, &seen.text));
        if is_right {
            self.right += 1;
            return;
        }
        self.wrong += 1;
        for line in &seen.details {
            output::line(&format!("      {line}"));
        }
    }

    /// Prints an observation without an expectation.
    pub(crate) fn saw(&mut self, engine: &str, case: &str, seen: &str) {
        output::line(&row("saw", engine, case, "", seen));
        self.shown += 1;
    }

    /// Prints why a case did not run, and counts it.
    pub(crate) fn skipped(&mut self, engine: &str, case: &str, why: &str) {
        output::line(&row("SKIP", engine, case, "", why));
        self.skipped += 1;
    }

    /// Prints the variable that would add a case.
    pub(crate) fn left_out(&self, engine: &str, case: &str, variable: &str) {
        output::line(&row("-", engine, case, &format!("left out: set {variable}"), ""));
    }

    /// Prints the sums.
    ///
    /// # Errors
    ///
    /// If a case differs from its expectation, or none ran.
    pub(crate) fn finish(self) -> Result<()> {
        let shown = if self.shown == 0 { String::new() } else { format!(", {} only shown", self.shown) };
        let skipped = if self.skipped == 0 { String::new() } else { format!(", {} SKIPPED", self.skipped) };
        output::line(&format!("\n{} as expected, {} not{shown}{skipped}", self.right, self.wrong));
        match (self.right, self.wrong) {
            (0, 0) => Err("every server was left out".into()),
            (_, 0) => Ok(()),
            (_, wrong) => Err(format!("{wrong} cases differ from what is expected").into()),
        }
    }
}

fn row(mark: &str, engine: &str, case: &str, expected: &str, seen: &str) -> String {
    format!("{mark:<5} {engine:<10} {case:<46} {expected:<52} {seen}").trim_end().to_owned()
}
