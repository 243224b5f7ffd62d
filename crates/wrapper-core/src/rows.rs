//! The rows that a server returns for a plugin's query.

use crate::{Error, ErrorKind, Result};

/// Holds the answer to one statement as text: 1,000 rows and 64 KiB at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    size: usize,
}

impl Rows {
    const MAX_ROWS: usize = 1_000;
    const MAX_SIZE: usize = 64 * 1024;

    /// Creates an answer without rows.
    pub fn new<T: Into<String>>(columns: impl IntoIterator<Item = T>) -> Self {
        Self { columns: columns.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Adds a row, for driver adapters.
    ///
    /// # Errors
    ///
    /// A driver error if the answer grows too large; the adapter then ends the connection.
    pub fn push<T: AsRef<str>>(&mut self, row: impl IntoIterator<Item = Option<T>>) -> Result<()> {
        let too_large =
            |_| Error::new(ErrorKind::Driver, "the server's answer to a plugin's query is too large");
        if self.rows.len() == Self::MAX_ROWS {
            return Err(too_large(()));
        }
        let mut values = Vec::with_capacity(self.columns.len());
        for value in row {
            // A null takes memory as well.
            let value = value.as_ref().map(AsRef::as_ref);
            self.size += value.map_or(0, str::len) + size_of::<Option<String>>();
            if self.size > Self::MAX_SIZE {
                return Err(too_large(()));
            }
            values.push(value.map(str::to_owned));
        }
        self.rows.push(values);
        Ok(())
    }

    /// Returns the names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Returns the rows; `None` is null.
    pub fn rows(&self) -> &[Vec<Option<String>>] {
        &self.rows
    }

    /// Returns the first value of the first row, for statements that ask for one.
    pub fn value(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_within_the_bounds_is_kept() {
        let mut rows = Rows::new(["a", "b"]);
        rows.push([Some("1"), None]).expect("fits");
        (1..1_000).for_each(|_| rows.push([Some("x")]).expect("fits"));

        assert_eq!((rows.columns().len(), rows.rows().len(), rows.value()), (2, 1_000, Some("1")));
        assert_eq!(rows.rows()[0], [Some("1".to_owned()), None]);
        assert_eq!(Rows::default().value(), None);
    }

    #[test]
    fn answer_beyond_the_bounds_is_an_error() {
        let mut many = Rows::new(["a"]);
        (0..1_000).for_each(|_| many.push([Some("x")]).expect("fits"));
        assert!(many.push([Some("x")]).is_err());

        let mut wide = Rows::new(["a"]);
        assert!(wide.push([Some("x".repeat(64 * 1024).as_str())]).is_err());
        let mut empty = Rows::new(["a"]);
        assert!(empty.push(std::iter::repeat_n(None::<&str>, 1_000_000)).is_err(), "nulls count too");
    }
}
