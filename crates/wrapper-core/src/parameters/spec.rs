//! The declaration of a parameter.

use std::{any::Any, fmt, marker::PhantomData, sync::Arc};

use host_pattern::{InstancePattern, Region};

use super::Value;
use crate::{Error, ErrorKind, Result};

/// Declares a parameter, for connection strings, maps, the documentation and the checks.
///
/// `T` is the type that [`Options::get`](crate::Options::get) gives; the value is parsed once, when
/// the connector is built.
///
/// ```
/// use wrapper_core::{Options, Parameter, ParameterKind, adapter::RawParameters};
///
/// const ATTEMPTS: Parameter<u64> =
///     Parameter::typed("attempts", ParameterKind::Integer { min: 1, max: 9 }, "`3`", "How often to try.");
///
/// let mut given = RawParameters::new();
/// given.configure("attempts", "5")?;
/// let options = Options::read(&given, &[ATTEMPTS.untyped()])?;
/// assert_eq!(options.get(&ATTEMPTS), Some(&5));
/// # Ok::<_, wrapper_core::Error>(())
/// ```
pub struct Parameter<T = Value> {
    pub(crate) name: &'static str,
    pub(crate) kind: ParameterKind,
    pub(crate) default: &'static str,
    pub(crate) help: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) parse: fn(&str, &Value) -> Result<Parsed>,
    marker: PhantomData<fn() -> T>,
}

/// A value of its parameter's type.
pub(crate) type Parsed = Arc<dyn Any + Send + Sync>;

// A derive would ask for `T: Clone`.
impl<T> Clone for Parameter<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Parameter<T> {}

impl<T> fmt::Debug for Parameter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameter")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Parses a checked value into a type of its own.
pub trait ParameterValue: Any + Send + Sync + Sized {
    /// Parses the value of the parameter with this name, which fits its [`ParameterKind`].
    ///
    /// # Errors
    ///
    /// An error that names the parameter.
    fn parse(name: &str, value: &Value) -> Result<Self>;
}

impl ParameterValue for Value {
    fn parse(_: &str, value: &Value) -> Result<Self> {
        Ok(value.clone())
    }
}

impl ParameterValue for bool {
    fn parse(name: &str, value: &Value) -> Result<Self> {
        by_text(name, value)
    }
}

impl ParameterValue for u16 {
    fn parse(name: &str, value: &Value) -> Result<Self> {
        by_text(name, value)
    }
}

impl ParameterValue for u64 {
    fn parse(name: &str, value: &Value) -> Result<Self> {
        by_text(name, value)
    }
}

impl ParameterValue for String {
    fn parse(name: &str, value: &Value) -> Result<Self> {
        value.single(name)
    }
}

/// The entries of a [`ParameterKind::List`], trimmed.
impl ParameterValue for Vec<String> {
    fn parse(name: &str, value: &Value) -> Result<Self> {
        Ok(value.several(name)?.split(',').map(|entry| entry.trim().to_owned()).collect())
    }
}

impl ParameterValue for InstancePattern {
    fn parse(name: &str, value: &Value) -> Result<Self> {
        value.single(name)?.parse().map_err(|error: host_pattern::Error| {
            Error::new(ErrorKind::Configuration, format!("`{name}` does not fit: {error}"))
        })
    }
}

impl ParameterValue for Region {
    fn parse(name: &str, value: &Value) -> Result<Self> {
        Region::parse(&value.single(name)?).map_err(|error| {
            Error::new(ErrorKind::Region, format!("`{name}` does not fit: {error}")).with_source(error)
        })
    }
}

fn by_text<T: std::str::FromStr>(name: &str, value: &Value) -> Result<T> {
    // Only a wrong declaration gets here: the kind's bounds lie within those of the type.
    let unfit = |_| Error::new(ErrorKind::Configuration, format!("`{name}` is out of range"));
    value.single(name)?.parse().map_err(unfit)
}

fn parse_as<T: ParameterValue>(name: &str, value: &Value) -> Result<Parsed> {
    Ok(Arc::new(T::parse(name, value)?))
}

/// The values that a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterKind {
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds, both included.
    Integer {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// Values separated by commas; blanks around them do not count.
    List,
    /// Text that is not empty.
    Text,
}

impl Parameter {
    /// Declares a parameter by its name, the values it takes, its default in words, and one line of
    /// help.
    pub const fn new(
        name: &'static str,
        kind: ParameterKind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::typed(name, kind, default, help)
    }
}

impl<T: ParameterValue> Parameter<T> {
    /// Declares a parameter whose value has a type.
    pub const fn typed(
        name: &'static str,
        kind: ParameterKind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self { name, kind, default, help, aliases: &[], parse: parse_as::<T>, marker: PhantomData }
    }
}

impl<T> Parameter<T> {
    /// Forgets the type, for a table of parameters; the value is parsed all the same.
    #[must_use]
    pub const fn untyped(self) -> Parameter {
        let Self { name, kind, default, help, aliases, parse, .. } = self;
        Parameter { name, kind, default, help, aliases, parse, marker: PhantomData }
    }

    /// Names other spellings that people may know, which lead to an error that names this one.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Returns the other spellings that lead to an error that names this one.
    pub const fn known_aliases(&self) -> &'static [&'static str] {
        self.aliases
    }

    /// Returns the name, case-sensitive.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the values it takes.
    pub const fn kind(&self) -> ParameterKind {
        self.kind
    }

    /// Returns the default, in words.
    pub const fn default_text(&self) -> &'static str {
        self.default
    }

    /// Returns one line of help.
    pub const fn help(&self) -> &'static str {
        self.help
    }
}
