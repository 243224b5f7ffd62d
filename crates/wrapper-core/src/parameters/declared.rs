//! The parameters that every connector has.

use host_pattern::InstancePattern;

use super::{Options, Parameter, ParameterKind};

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

    /// The required level of TLS.
    pub const SSLMODE: Parameter<String> = Parameter::typed(
        "sslmode",
        ParameterKind::Text,
        "`verify-full` where a plugin gives the password, else the driver's",
        "`verify-full` and `require` verify chain and name; where a plugin gives the password nothing less \
         is accepted.",
    )
    .aliases(&["tlsmode"]);
}
