//! The rows of an answer in both protocols.

use std::time::SystemTime;

/// The answer to a statement: rows of named columns, or how many rows it changed.
///
/// A column has the type of its first value other than [`Value::Null`]; without one it is text.
///
/// ```
/// use rds_testkit::Rows;
///
/// let rows = Rows::new(["id", "name"]).row([1.into(), "anna".into()]).row([2.into(), None::<&str>.into()]);
/// let done = Rows::affected(3);
/// # let _ = (rows, done);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) affected: u64,
}

/// A value of a [`Rows`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// PostgreSQL's `bool`; MySQL sends 0 or 1.
    Bool(bool),
    /// A double.
    Float8(f64),
    /// PostgreSQL's `int4`; MySQL sends a `BIGINT`.
    Int4(i32),
    /// A `bigint`.
    Int8(i64),
    /// The absence of a value.
    Null,
    /// Text.
    Text(String),
    /// PostgreSQL's `timestamptz`, MySQL's `DATETIME`, in UTC.
    Timestamp(SystemTime),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Type,
}

/// The types of columns, with their OIDs in PostgreSQL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Type {
    Bool = 16,
    Int8 = 20,
    Int4 = 23,
    Text = 25,
    Float8 = 701,
    Timestamp = 1184,
}

impl Rows {
    /// Creates an answer with these columns and no rows.
    pub fn new<N: Into<String>>(columns: impl IntoIterator<Item = N>) -> Self {
        Self::typed(columns.into_iter().map(|name| (name, Type::Text)))
    }

    /// Creates the answer to a statement that changed `count` rows and returns none.
    #[must_use]
    pub fn affected(count: u64) -> Self {
        Self { affected: count, ..Self::default() }
    }

    /// Adds a row; missing values at its end are NULL, surplus values are dropped.
    #[must_use]
    pub fn row(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        let mut values = values.into_iter().collect::<Vec<_>>();
        values.resize(self.columns.len(), Value::Null);
        for (at, (column, value)) in self.columns.iter_mut().zip(&values).enumerate() {
            if let Some(kind) = value.kind()
                && self.rows.iter().all(|row| row[at] == Value::Null)
            {
                column.kind = kind;
            }
        }
        self.rows.push(values);
        self
    }

    /// Creates an answer with these column types, independent of its rows.
    pub(crate) fn typed<N: Into<String>>(columns: impl IntoIterator<Item = (N, Type)>) -> Self {
        let columns = columns.into_iter().map(|(name, kind)| Column { name: name.into(), kind });
        Self { columns: columns.collect(), ..Self::default() }
    }

    /// Creates an answer of one row.
    pub(crate) fn one<N: Into<String>>(columns: impl IntoIterator<Item = (N, Value)>) -> Self {
        let columns = columns.into_iter().map(|(name, value)| (name.into(), value)).collect::<Vec<_>>();
        Self::new(columns.iter().map(|(name, _)| name.clone()))
            .row(columns.into_iter().map(|(_, value)| value))
    }

    /// Returns whether the statement returns a result set, possibly empty.
    pub(crate) fn returns_rows(&self) -> bool {
        !self.columns.is_empty()
    }
}

impl Value {
    fn kind(&self) -> Option<Type> {
        Some(match self {
            Self::Bool(_) => Type::Bool,
            Self::Float8(_) => Type::Float8,
            Self::Int4(_) => Type::Int4,
            Self::Int8(_) => Type::Int8,
            Self::Null => return None,
            Self::Text(_) => Type::Text,
            Self::Timestamp(_) => Type::Timestamp,
        })
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float8(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int4(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int8(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<SystemTime> for Value {
    fn from(value: SystemTime) -> Self {
        Self::Timestamp(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_has_the_type_of_its_first_value() {
        let rows = Rows::new(["a", "b", "c"]).row([Value::Null, 1.into()]).row([
            2_i64.into(),
            "text".into(),
            Value::Null,
            9.into(),
        ]);

        let kinds = rows.columns.iter().map(|column| column.kind).collect::<Vec<_>>();
        assert_eq!(kinds, [Type::Int8, Type::Int4, Type::Text]);
        assert_eq!(rows.rows[0], [Value::Null, Value::Int4(1), Value::Null]);
        assert_eq!(rows.rows[1].len(), 3);
    }
}
