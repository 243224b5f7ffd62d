//! Parameters: declared once, read from strings, maps and code.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

use crate::{Error, ErrorKind, Result};

mod connection_string;
mod settings;
mod spec;

pub use connection_string::{Cut, cut_key_value, cut_url};
pub use settings::Settings;
pub use spec::{Parameter, ParameterKind, WRAPPER_PARAMETERS};

/// A parameter's value as it stands in a map: text, an integer or a boolean.
///
/// `Debug` shows only its type, because the map form holds the password too.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Boolean(_) => "Boolean(..)",
            Value::Integer(_) => "Integer(..)",
            Value::Text(_) => "Text(..)",
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Boolean(value) => value.fmt(f),
            Value::Integer(value) => value.fmt(f),
            Value::Text(value) => value.fmt(f),
        }
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

/// Collects the parameters that were given, from code and from configuration, before they are judged.
///
/// A value that the program set holds: configuration that says otherwise is an error, so that a string from outside cannot
/// undo what the code decided.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    given: BTreeMap<String, Given>,
}

#[derive(Clone, Debug)]
struct Given {
    value: Value,
    in_code: bool,
}

impl Parameters {
    /// Creates an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value in code; the last one counts.
    ///
    /// # Errors
    ///
    /// A configuration error if a configuration that was read before says otherwise.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.insert(name, value.into(), true)
    }

    /// Adds a value that a connection string or a map gives.
    ///
    /// # Errors
    ///
    /// A configuration error if the name was given before, the code has set another value, or name or value hold
    /// control characters.
    pub fn configure(&mut self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.insert(name, value.into(), false)
    }

    fn insert(&mut self, name: &str, value: Value, in_code: bool) -> Result<()> {
        check_text(name, &value)?;
        match self.given.get(name) {
            Some(before) if !before.in_code && !in_code => return Err(repeated(name)),
            Some(before) if before.in_code != in_code && before.value.to_string() != value.to_string() => {
                return Err(Error::new(
                    ErrorKind::Configuration,
                    format!(
                        "`{name}` is set in code, and the configuration says otherwise: leave it out there"
                    ),
                ));
            }
            Some(before) if before.in_code && !in_code => {}
            _ => {
                self.given.insert(name.to_owned(), Given { value, in_code });
            }
        }
        Ok(())
    }

    /// Whether a name was given.
    pub fn contains(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The value given for a name.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.given.get(name).map(|given| &given.value)
    }

    /// Whether the value of a name was set in code.
    pub fn is_set_in_code(&self, name: &str) -> bool {
        self.given.get(name).is_some_and(|given| given.in_code)
    }

    /// Takes a value out, for names that are not parameters of the wrapper.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.given.remove(name).map(|given| given.value)
    }

    /// The names given, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.given.keys().map(String::as_str)
    }
}

fn check_text(name: &str, value: &Value) -> Result<()> {
    // PEM text comes in lines; nothing else does.
    let is_pem = |text: &str| text.contains("-----BEGIN ");
    let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    match value {
        Value::Text(text) if is_pem(text) && !text.contains(is_bad) => Ok(()),
        Value::Text(text) if text.contains(char::is_control) => Err(control_characters(name)),
        _ if name.contains(char::is_control) => Err(control_characters(name)),
        _ => Ok(()),
    }
}

fn control_characters(name: &str) -> Error {
    let name = name.escape_default();
    Error::new(ErrorKind::Configuration, format!("parameter `{name}` holds a control character"))
}

fn repeated(name: &str) -> Error {
    let name = name.escape_default();
    Error::new(ErrorKind::Configuration, format!("parameter `{name}` is given more than once"))
}
