//! The declaration of a parameter, and those that every connector has.

use std::{any::Any, fmt, marker::PhantomData, sync::Arc};

use host_pattern::{InstancePattern, Region};

use super::{Options, Value};
use crate::{Error, ErrorKind, Result};

/// Declares a parameter: what strings, maps, the documentation and the checks know of it.
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

/// Makes a type of its own of a checked value.
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
    // The kind of the parameter has bounds that lie within the type's, else its declaration is
    // wrong.
    let unfit = |_| Error::new(ErrorKind::Configuration, format!("`{name}` is out of range"));
    value.single(name)?.parse().map_err(unfit)
}

fn parse_as<T: ParameterValue>(name: &str, value: &Value) -> Result<Parsed> {
    Ok(Arc::new(T::parse(name, value)?))
}

/// Says what values a parameter takes.
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

/// The parameters that every connector understands, independent of its plugins.
pub const WRAPPER_PARAMETERS: &[Parameter] = &[
    Options::PLUGINS.untyped(),
    Options::AUTO_SORT_WRAPPER_PLUGIN_ORDER.untyped(),
    Options::CLUSTER_INSTANCE_HOST_PATTERN.untyped(),
    Options::WRAPPER_CONNECT_TIMEOUT.untyped(),
    Options::TLS_SERVER_NAME.untyped(),
    Options::SSLROOTCERT.untyped(),
    Options::SSLCERT.untyped(),
    Options::SSLKEY.untyped(),
    Options::SSLMODE.untyped(),
];

/// The declarations of [`WRAPPER_PARAMETERS`], for [`Options::get`].
impl Options {
    /// The codes of the plugins to use.
    pub const PLUGINS: Parameter<Vec<String>> = Parameter::typed(
        "plugins",
        ParameterKind::List,
        "none",
        "Codes of the plugins to use, separated by commas; without any, the wrapper behaves like the driver.",
    )
    .aliases(&["wrapperPlugins", "plugin"]);

    /// Whether the plugins are sorted by weight.
    pub const AUTO_SORT_WRAPPER_PLUGIN_ORDER: Parameter<bool> = Parameter::typed(
        "autoSortWrapperPluginOrder",
        ParameterKind::Boolean,
        "`true`",
        "Sorts the plugins by weight, authentication innermost; `false` keeps the order of `plugins`.",
    )
    .aliases(&["autoSortPluginOrder"]);

    /// How instance endpoints are named.
    pub const CLUSTER_INSTANCE_HOST_PATTERN: Parameter<InstancePattern> = Parameter::typed(
        "clusterInstanceHostPattern",
        ParameterKind::Text,
        "derived from the host, where its name tells",
        "How instance endpoints are named, as in `?.my-domain.example`; needed with an IP \
         address or a custom domain when instances are asked for.",
    )
    .aliases(&["clusterInstanceHostPatterns"]);

    /// Milliseconds that one connect may take.
    pub const WRAPPER_CONNECT_TIMEOUT: Parameter<u64> = Parameter::typed(
        "wrapperConnectTimeout",
        ParameterKind::Integer { min: 1, max: 86_400_000 },
        "`30000`",
        "Milliseconds that one whole connect may take: plugins, DNS, every address, TLS and login.",
    )
    .aliases(&["wrapperLoginTimeout"]);

    /// The name that the server's certificate must carry.
    pub const TLS_SERVER_NAME: Parameter<String> = Parameter::typed(
        "tlsServerName",
        ParameterKind::Text,
        "the name that a plugin's token is for, else the host",
        "The name that the server's certificate must carry; with a token it must lie in the domain of the \
         name that the token is for.",
    )
    .aliases(&["sslservername", "tlsHostname"]);

    /// The roots to trust.
    pub const SSLROOTCERT: Parameter<String> = Parameter::typed(
        "sslrootcert",
        ParameterKind::List,
        "`system`",
        "The roots to trust: paths of PEM files, which replace the platform's roots, and `system` to keep \
         these; in the map form also PEM text, and `ssl.ca` as another name.",
    )
    .aliases(&["sslrootcerts", "sslca", "caCert"]);

    /// The client's own certificate.
    pub const SSLCERT: Parameter<String> = Parameter::typed(
        "sslcert",
        ParameterKind::Text,
        "none",
        "The path of the client's own certificate, PEM, for servers that ask for one; needs `sslkey`.",
    );

    /// The private key of `sslcert`.
    pub const SSLKEY: Parameter<String> = Parameter::typed(
        "sslkey",
        ParameterKind::Text,
        "none",
        "The path of the private key of `sslcert`, PEM and not encrypted; PKCS#8 for the platform's TLS \
         library.",
    );

    /// How much TLS is asked for.
    pub const SSLMODE: Parameter<String> = Parameter::typed(
        "sslmode",
        ParameterKind::Text,
        "`verify-full` where a plugin gives the password, else the driver's",
        "`verify-full` and `require` verify chain and name; where a plugin gives the password nothing less \
         is accepted.",
    )
    .aliases(&["tlsmode"]);
}
