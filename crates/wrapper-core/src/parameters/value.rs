//! The value of a parameter in a map.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

use super::quoted_name;
use crate::{Error, ErrorKind};

/// The value of a parameter in a map: text, a number, a boolean, or a list or map of such.
///
/// `Debug` shows only its type, because the map form holds the password too.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Values in their order, as in `plugins: ["iam"]`.
    List(Vec<Value>),
    /// Values by name, as in `ssl: {ca: …}`.
    Map(BTreeMap<String, Value>),
    /// Nothing: the same as no entry.
    Null,
    /// Text.
    Text(String),
}

impl Value {
    /// Returns the text of a single value; `None` for a list or a map.
    pub fn text(&self) -> Option<String> {
        match self {
            Value::Boolean(value) => Some(value.to_string()),
            Value::Integer(value) => Some(value.to_string()),
            Value::Text(value) => Some(value.clone()),
            Value::List(_) | Value::Map(_) | Value::Null => None,
        }
    }

    /// Returns the value as text, a list's values separated by commas; `None` for a map or a list
    /// that contains one.
    pub fn joined(&self) -> Option<String> {
        let Value::List(values) = self else { return self.text() };
        // PEM text has several lines.
        let is_pem =
            values.iter().any(|value| matches!(value, Value::Text(text) if text.contains("-----BEGIN ")));
        let texts: Vec<_> = values.iter().map(Value::text).collect::<Option<_>>()?;
        Some(texts.join(if is_pem { "\n" } else { "," }))
    }

    /// Returns the type in words: `a list`, `text`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Boolean(_) => "a boolean",
            Value::Integer(_) => "a number",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Null => "null",
            Value::Text(_) => "text",
        }
    }
}

impl Value {
    /// Returns the text of a single value.
    ///
    /// # Errors
    ///
    /// A configuration error that names the parameter, for a list or a map.
    pub fn single(&self, name: &str) -> crate::Result<String> {
        self.text().ok_or_else(|| {
            mismatch(format!("{} must be a single value, not {}", quoted_name(name), self.kind()))
        })
    }

    /// Returns the value as text, a list's values separated by commas.
    ///
    /// # Errors
    ///
    /// A configuration error that names the parameter, for a map.
    pub fn several(&self, name: &str) -> crate::Result<String> {
        self.joined().ok_or_else(|| {
            mismatch(format!(
                "{} must be a value or a list of values, not {}",
                quoted_name(name),
                self.kind()
            ))
        })
    }
}

fn mismatch(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Boolean(_) => "Boolean(..)",
            Value::Integer(_) => "Integer(..)",
            Value::List(_) => "List(..)",
            Value::Map(_) => "Map(..)",
            Value::Null => "Null",
            Value::Text(_) => "Text(..)",
        })
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        // `5432.0` is how some formats write 5432; another fraction fits no parameter, and its text
        // says so.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() < EXACT {
            Self::Integer(value as i64)
        } else {
            Self::Text(value.to_string())
        }
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

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Value>> From<BTreeMap<String, T>> for Value {
    fn from(values: BTreeMap<String, T>) -> Self {
        Self::Map(values.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, a boolean, a list or a map")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    // The visitor's own error would show the bytes.
    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Value, E> {
        Err(E::custom("a parameter's value is text, not bytes"))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if values.insert(name, value).is_some() {
                return Err(A::Error::custom("a name is given more than once in a nested map"));
            }
        }
        Ok(Value::Map(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, value: impl Into<Value>) {
        let read: Value = serde_json::from_str(json).expect("every value is read");
        assert!(read == value.into(), "{json}");
    }

    #[test]
    fn every_value_of_json_is_read() {
        check("true", true);
        check("5432", 5432);
        check("5432.0", 5432);
        check("0.5", "0.5");
        check("18446744073709551615", "18446744073709551615");
        check("null", Value::Null);
        check(r#"["iam"]"#, vec!["iam"]);
        check(r#"{"ca": "x"}"#, BTreeMap::from([("ca".to_owned(), "x")]));
    }

    #[test]
    fn debug_shows_no_value() {
        let value = Value::from(vec!["hunter2"]);

        assert_eq!(format!("{value:?}"), "List(..)");
    }

    #[test]
    fn lists_are_joined_as_their_texts_are_written() {
        assert_eq!(Value::from(vec!["a", "b"]).joined().as_deref(), Some("a,b"));
        let pem = vec!["-----BEGIN CERTIFICATE-----\nx", "-----BEGIN CERTIFICATE-----\ny"];
        assert_eq!(Value::from(pem.clone()).joined(), Some(pem.join("\n")));
        assert_eq!(Value::Map(BTreeMap::new()).joined(), None);
    }
}
