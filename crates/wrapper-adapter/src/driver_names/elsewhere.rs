//! Parameters of other wrappers and drivers that have no counterpart here.

use super::folded;
use wrapper_core::Engine;

/// Names that other tools use for parameters of every driver, with their counterparts.
const COMMON_MEANT: &[(&str, &str)] = &[
    ("address", "host"),
    ("connectTimeout", "wrapperConnectTimeout"),
    ("connectionTimeout", "wrapperConnectTimeout"),
    ("connectionTimeoutMillis", "wrapperConnectTimeout"),
    ("dbUser", "user"),
    ("endpoint", "host"),
    ("hostname", "host"),
    ("login", "user"),
    ("loginTimeout", "wrapperConnectTimeout"),
    ("pass", "password"),
    ("passwd", "password"),
    ("pwd", "password"),
    ("requireSSL", "sslmode=verify-full"),
    ("server", "host"),
    ("ssl", "sslmode=verify-full"),
    ("sslEnabled", "sslmode=verify-full"),
    ("tls", "sslmode=verify-full"),
    ("uid", "user"),
    ("useSSL", "sslmode=verify-full"),
    ("useTLS", "sslmode=verify-full"),
    ("username", "user"),
    ("usr", "user"),
];

/// Names that other drivers of PostgreSQL use for options of its server.
const POSTGRES_MEANT: &[(&str, &str)] = &[
    ("currentSchema", "options=-csearch_path=…"),
    ("fallback_application_name", "application_name"),
    ("idle_in_transaction_session_timeout", "options=-cidle_in_transaction_session_timeout=…"),
    ("lock_timeout", "options=-clock_timeout=…"),
    ("schema", "options=-csearch_path=…"),
    ("search_path", "options=-csearch_path=…"),
    ("statement_timeout", "options=-cstatement_timeout=…"),
    ("timezone", "options=-ctimezone=…"),
];

/// Names without an effect here; one that ends with `*` matches every suffix.
struct WithoutEffect {
    names: &'static [&'static str],
    /// The counterpart, or why there is none.
    why: &'static str,
}

const fn reason(why: &'static str, names: &'static [&'static str]) -> WithoutEffect {
    WithoutEffect { names, why }
}

/// Time limits of statements, whichever driver's parameter it was.
const STATEMENTS: &str = "statements go to the driver as they are, so put a time limit around them";

const DIALECT: &str = "the engine follows from the adapter, and the server is asked for the rest";

const TELEMETRY: &str = "`on_event`, `stats()` and the crate `tracing` tell what happens";

const POOL: &str = "sizes and time limits of a pool are set where the pool is built";

const STATEMENT: &str = "run it as a statement after the connect";

const SWITCHED: &str =
    "no connection is switched to another server while it is used, so its session state stays the driver's";

/// Parameters of other wrappers and of pools.
const COMMON: &[WithoutEffect] = &[
    reason(STATEMENTS, &["mysqlQueryTimeout", "queryTimeout", "socketTimeout", "wrapperQueryTimeout"]),
    reason(
        DIALECT,
        &[
            "customDatabaseDialect",
            "databaseDialect",
            "dialect",
            "driverDialect",
            "targetDriverDialect",
            "wrapperDialect",
            "wrapperDriverDialect",
            "wrapperTargetDriverDialect",
        ],
    ),
    reason("a pool is built around the connector", &["connectionProvider", "driverConnectionProvider"]),
    reason(SWITCHED, &["resetSessionStateOnClose", "rollbackOnSwitch", "transferSessionStateOnSwitch"]),
    reason("no host is remembered as down", &["defaultHostAvailabilityStrategy", "hostAvailability*"]),
    reason(TELEMETRY, &["enableTelemetry", "telemetry*", "wrapperLoggerLevel"]),
    reason(
        "keepalives are on, and the driver's own parameters change them",
        &[
            "enableKeepAlive",
            "keepAliveInitialDelay",
            "keepAliveInitialDelayMillis",
            "wrapperKeepAliveProperties",
        ],
    ),
    reason(
        "there are no presets: several connectors share a map or a function that builds them",
        &["driverConfigurationProfile", "profileName", "wrapperProfileName"],
    ),
    reason(
        POOL,
        &[
            "acquireTimeout",
            "connectionLimit",
            "idleTimeout",
            "idleTimeoutMillis",
            "max",
            "maxConnections",
            "maxIdle",
            "maximumPoolSize",
            "maxLifetime",
            "maxPoolSize",
            "maxUses",
            "min",
            "minConnections",
            "minimumIdle",
            "minPoolSize",
            "pool",
            "poolMaxConns",
            "poolMinConns",
            "poolSize",
            "poolTimeout",
            "queueLimit",
            "waitForConnections",
        ],
    ),
];

const POSTGRES: &[WithoutEffect] = &[
    reason(
        "the driver always speaks UTF-8",
        &["charset", "client_encoding", "encoding", "characterEncoding"],
    ),
    reason(
        "the driver does not do GSSAPI",
        &["gssdelegation", "gssencmode", "gsslib", "krbsrvname", "kerberosServerName"],
    ),
    reason(
        "statements are prepared and cached by the program",
        &["pgbouncer", "prepare*", "statement_cache*"],
    ),
];

const MYSQL: &[WithoutEffect] = &[
    reason(
        "the driver always speaks utf8mb4",
        &["charset", "characterEncoding", "collation", "connectionCollation", "encoding", "useUnicode"],
    ),
    reason(
        "a token needs no switch, for it is sent as the server asks for it, over verified TLS",
        &[
            "allowCleartextPasswords",
            "authenticationPlugins",
            "authPlugins",
            "authSwitchHandler",
            "defaultAuth",
            "defaultAuthenticationPlugin",
        ],
    ),
    reason("over TLS no public key is asked for", &["allowPublicKeyRetrieval", "serverRSAPublicKeyFile"]),
    reason(
        STATEMENT,
        &[
            "autocommit",
            "connectionTimeZone",
            "init_command",
            "loc",
            "maxExecutionTime",
            "serverTimezone",
            "sessionVariables",
            "sql_mode",
            "statement_timeout",
            "time_zone",
            "timezone",
        ],
    ),
    reason(
        "the driver takes several statements as they are",
        &["allowMultiQueries", "multiStatements", "multipleStatements"],
    ),
    reason(
        "a value's type is chosen where it is read",
        &[
            "bigNumberStrings",
            "dateStrings",
            "decimalNumbers",
            "parseTime",
            "supportBigNumbers",
            "tinyInt1isBit",
            "zeroDateTimeBehavior",
        ],
    ),
    reason(
        "a file that the server asks for is never read",
        &["allowAllFiles", "allowLoadLocalInfile", "local_infile"],
    ),
    reason(STATEMENTS, &["readTimeout", "writeTimeout", "net_read_timeout", "net_write_timeout"]),
];

/// Returns the names of other tools with their counterparts.
pub(super) fn meant<'a>(engine: Option<Engine>) -> impl Iterator<Item = &'a (&'a str, &'a str)> {
    let of_engine = if engine == Some(Engine::Postgres) { POSTGRES_MEANT } else { &[] };
    of_engine.iter().chain(COMMON_MEANT)
}

/// Explains why a name has no effect.
pub(super) fn why(name: &str, engine: Option<Engine>) -> Option<&'static str> {
    let wanted = folded(name);
    let of_engine = match engine {
        Some(Engine::Postgres) => POSTGRES,
        Some(Engine::Mysql) => MYSQL,
        _ => &[],
    };
    let is_one = |known: &&str| match known.strip_suffix('*') {
        Some(begin) => wanted.starts_with(&folded(begin)),
        None => wanted == folded(known),
    };
    of_engine.iter().chain(COMMON).find(|row| row.names.iter().any(is_one)).map(|row| row.why)
}
