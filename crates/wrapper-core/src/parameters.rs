//! Parameters: declared once, read from strings, maps and code.

use std::{collections::BTreeMap, fmt};

use crate::{Error, ErrorKind, Result, text::is_name};

mod declared;
mod options;
mod spec;
mod value;

pub use declared::WRAPPER_PARAMETERS;
pub use options::Options;
pub use spec::{Parameter, ParameterKind, ParameterValue};
pub use value::Value;

/// Collects the parameters that were given, from code and from configuration, before they are
/// validated.
///
/// A value set in code takes precedence: a configuration with another value is an error, so that a
/// string from outside cannot override the code.
#[derive(Clone, Default)]
pub struct RawParameters {
    given: BTreeMap<String, Given>,
}

#[derive(Clone)]
struct Given {
    value: Value,
    origin: Origin,
}

/// The origin of a value, in ascending order of trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// A connection string.
    Text,
    /// A map, which is as trusted as code but locks nothing.
    Map,
    /// The program.
    Code,
}

impl RawParameters {
    /// Creates an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a parameter in code; the last value of a name counts.
    ///
    /// # Errors
    ///
    /// A configuration error if a configuration that was read before has another value.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.insert(name, value.into(), Origin::Code)
    }

    /// Adds a value from a connection string.
    ///
    /// # Errors
    ///
    /// A configuration error if the name was given before, the code has set another value, or name
    /// or value contain control characters.
    pub fn configure(&mut self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.insert(name, value.into(), Origin::Text)
    }

    /// Adds a value from a map, which is as trusted as code: it may supply root certificates and
    /// choose the server's name.
    ///
    /// # Errors
    ///
    /// As [`configure`](Self::configure).
    pub fn configure_from_map(&mut self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.insert(name, value.into(), Origin::Map)
    }

    fn insert(&mut self, name: &str, value: Value, origin: Origin) -> Result<()> {
        if value == Value::Null {
            return Ok(());
        }
        check_text(name, &value)?;
        match self.given.get(name) {
            // Both from a configuration: an error even where the values agree.
            Some(before) if before.origin < Origin::Code && origin < Origin::Code => {
                return Err(repeated(name));
            }
            Some(before) if before.origin != origin && before.value.joined() != value.joined() => {
                return Err(Error::new(
                    ErrorKind::Configuration,
                    format!(
                        "{} is set in code to another value: remove it from the configuration",
                        quoted_name(name)
                    ),
                ));
            }
            // The same value from a less trusted place must not lower its trust.
            Some(before) if before.origin > origin => {}
            _ => {
                self.given.insert(name.to_owned(), Given { value, origin });
            }
        }
        Ok(())
    }

    /// Returns whether a name was given.
    pub fn contains(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Returns the value given for a name.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.given.get(name).map(|given| &given.value)
    }

    pub(crate) fn origin(&self, name: &str) -> Option<Origin> {
        self.given.get(name).map(|given| given.origin)
    }

    /// Takes a value out, for names that are not parameters of the wrapper.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.given.remove(name).map(|given| given.value)
    }
}

// A name may be a piece of a password that was cut in the wrong place.
impl fmt::Debug for RawParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawParameters").field("given", &self.given.len()).finish_non_exhaustive()
    }
}

/// Quotes a name for a message; text that does not look like a name is replaced by "a parameter".
pub fn quoted_name(name: &str) -> String {
    if is_name(name) { format!("`{name}`") } else { "a parameter".to_owned() }
}

fn check_text(name: &str, value: &Value) -> Result<()> {
    // Only PEM text has several lines.
    let is_pem = |text: &str| text.contains("-----BEGIN ");
    let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    match value.joined() {
        Some(text) if is_pem(&text) && !text.contains(is_bad) => Ok(()),
        Some(text) if text.contains(char::is_control) => Err(control_characters(name)),
        _ if name.contains(char::is_control) => Err(control_characters(name)),
        _ => Ok(()),
    }
}

fn control_characters(name: &str) -> Error {
    let name = if is_name(name) { format!("parameter `{name}`") } else { "a parameter".to_owned() };
    Error::new(ErrorKind::Configuration, format!("{name} contains a control character"))
}

fn repeated(name: &str) -> Error {
    let name = if is_name(name) { format!("parameter `{name}`") } else { "a parameter".to_owned() };
    Error::new(ErrorKind::Configuration, format!("{name} is given more than once"))
}
