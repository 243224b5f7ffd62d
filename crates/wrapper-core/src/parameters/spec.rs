//! The declaration of a parameter, and those that every connector has.

/// Declares a parameter: what strings, maps, the documentation and the checks know of it.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) kind: ParameterKind,
    pub(crate) default: &'static str,
    pub(crate) help: &'static str,
    pub(crate) aliases: &'static [&'static str],
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
    /// Declares a parameter by its name, the values it takes, its default in words, and one line of help.
    pub const fn new(
        name: &'static str,
        kind: ParameterKind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self { name, kind, default, help, aliases: &[] }
    }

    /// Names other spellings that people may know, which lead to an error that names this one.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The name, case-sensitive.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The values it takes.
    pub const fn kind(&self) -> ParameterKind {
        self.kind
    }

    /// The default, in words.
    pub const fn default_text(&self) -> &'static str {
        self.default
    }

    /// One line of help.
    pub const fn help(&self) -> &'static str {
        self.help
    }
}

/// The parameters that every connector understands, whatever its plugins.
pub const WRAPPER_PARAMETERS: &[Parameter] = &[
    Parameter::new(
        "plugins",
        ParameterKind::List,
        "none",
        "Codes of the plugins to use, separated by commas; without any, the wrapper behaves like the driver.",
    )
    .aliases(&["wrapperPlugins", "plugin"]),
    Parameter::new(
        "autoSortWrapperPluginOrder",
        ParameterKind::Boolean,
        "`true`",
        "Sorts the plugins by weight, authentication innermost; `false` keeps the order of `plugins`.",
    )
    .aliases(&["autoSortPluginOrder"]),
    Parameter::new(
        "clusterInstanceHostPattern",
        ParameterKind::Text,
        "derived from an RDS host",
        "How instance endpoints are named, as in `?.XYZ.us-east-2.rds.amazonaws.com`; needed with an IP address or a custom domain when instances are asked for.",
    )
    .aliases(&["clusterInstanceHostPatterns"]),
    Parameter::new(
        "wrapperConnectTimeout",
        ParameterKind::Integer { min: 1, max: 86_400_000 },
        "`30000`",
        "Milliseconds that one whole connect may take: plugins, DNS, every address, TLS and login.",
    )
    .aliases(&["wrapperLoginTimeout"]),
    Parameter::new(
        "tlsServerName",
        ParameterKind::Text,
        "`iamHost` if given, else the host",
        "The name that the server's certificate must carry; with `iam` it must lie in the domain of the name that the token is signed for.",
    )
    .aliases(&["sslservername", "tlsHostname"]),
    Parameter::new(
        "sslrootcert",
        ParameterKind::List,
        "`system`",
        "The roots to trust: paths of PEM files, which replace the platform's roots, and `system` to keep these; in the map form also PEM text, and `ssl.ca` as another name.",
    )
    .aliases(&["sslrootcerts", "sslca", "caCert"]),
    Parameter::new(
        "sslcert",
        ParameterKind::Text,
        "none",
        "The path of the client's own certificate, PEM, for servers that ask for one; needs `sslkey`.",
    ),
    Parameter::new(
        "sslkey",
        ParameterKind::Text,
        "none",
        "The path of the private key of `sslcert`, PEM and not encrypted; PKCS#8 for the platform's TLS library.",
    ),
    Parameter::new(
        "sslmode",
        ParameterKind::Text,
        "`verify-full` where a plugin gives the password, else the driver's",
        "`verify-full` and `require` verify chain and name; where a plugin gives the password nothing less is accepted.",
    )
    .aliases(&["tlsmode"]),
];
