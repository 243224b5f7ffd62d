//! The statements answered by a test.

use std::sync::{Arc, Mutex, PoisonError};

use crate::rows::Rows;
use crate::sql;

/// Statements in their canonical form, each with its answer; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(Arc<Mutex<Vec<(String, Rows)>>>);

impl Answers {
    /// Adds an answer, or replaces the one to the same statement.
    pub(crate) fn set(&self, statement: &str, rows: Rows) {
        let statement = sql::canonical(statement);
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|(known, _)| *known != statement);
        answers.push((statement, rows));
    }

    pub(crate) fn find(&self, canonical: &str) -> Option<Rows> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().find(|(known, _)| known == canonical).map(|(_, rows)| rows.clone())
    }
}
