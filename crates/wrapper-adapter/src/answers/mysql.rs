//! MySQL and MariaDB, with RDS Proxy.

use super::AnswerRow;
use wrapper_core::{Cause, ErrorKind};

const NOT_READY: (&str, &str, &str) = ("not-ready", "the server is not ready yet", "try again in a moment");

/// The answers of MySQL and MariaDB servers; the first row that matches applies.
///
/// Numbers: <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
/// <https://mariadb.com/docs/server/reference/error-codes>. The rows of RDS Proxy (1040 with its
/// text, 3159, 9501) come from public reports.
pub static MYSQL_ANSWERS: &[AnswerRow] = &[
    row(
        // ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR.
        &["1045", "1698"],
        ErrorKind::Login,
        (
            "refused-before-login",
            "it refused before any login, so neither user nor password was looked at",
            "check that host and port lead to the database itself, and which hosts it takes connections from",
        ),
    )
    .before_login(),
    row(
        &["1045", "1698"],
        ErrorKind::Login,
        (
            Cause::PASSWORD_REFUSED,
            "the user or the password is wrong",
            "check both, and the host part of the user",
        ),
    )
    .retried(),
    row(
        // MySQL: locked by an administrator, or after failed logins. MariaDB: locked.
        &["3118", "3955", "4151"],
        ErrorKind::Login,
        ("account-locked", "the account is locked", "ALTER USER {user} ACCOUNT UNLOCK"),
    ),
    row(
        // ER_MUST_CHANGE_PASSWORD, ER_MUST_CHANGE_PASSWORD_LOGIN.
        &["1820", "1862"],
        ErrorKind::Login,
        ("password-expired", "the user's password has expired", "ALTER USER {user} IDENTIFIED BY …"),
    ),
    row(
        // ER_CON_COUNT_ERROR, ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED.
        &["1040", "1203", "1226"],
        ErrorKind::Throttled,
        (
            "throttled",
            "the server limits new connections for now, so trying again at once makes it worse",
            "wait, and use a pool",
        ),
    ),
    row(
        &["1044"],
        ErrorKind::Configuration,
        (
            "database-forbidden",
            "user {user} has no privileges on database {database}",
            "GRANT … ON {database}.* TO {user}",
        ),
    ),
    row(
        &["1049"],
        ErrorKind::Configuration,
        ("no-database", "there is no such database", "check the name {database}"),
    ),
    row(
        // ER_HOST_IS_BLOCKED, ER_HOST_NOT_PRIVILEGED: sent in place of the greeting.
        &["1129", "1130"],
        ErrorKind::Configuration,
        (
            "no-access-rule",
            "the server takes no connections from this machine's address",
            "see which hosts its users may come from, or FLUSH HOSTS",
        ),
    ),
    row(
        &["1524"],
        ErrorKind::Configuration,
        (
            "login-plugin-missing",
            "the server has not loaded the plugin that user {user} is identified with",
            "enable it at the server",
        ),
    ),
    row(&["3159"], ErrorKind::Tls, ("tls-required", "the server asks for TLS", "add sslmode=verify-full")),
    row(
        &["9501"],
        ErrorKind::Timeout,
        (
            "not-ready",
            "the proxy waited too long for a connection to the database",
            "look at the database's state and the proxy's connection limit",
        ),
    ),
    // Out of memory, disk or threads.
    row(
        &["1021", "1037", "1038", "1041", "1135"],
        ErrorKind::Transient,
        ("not-ready", "the server is short of memory, disk space or threads", "try again later"),
    ),
    // Shutdown, a broken or aborted connection, a primary that turns into a replica, offline mode.
    row(
        &[
            "1053", "1077", "1079", "1152", "1158", "1159", "1160", "1161", "1184", "1836", "1927", "3032",
            "3168", "3169",
        ],
        ErrorKind::Transient,
        NOT_READY,
    ),
];

const fn row(
    codes: &'static [&'static str],
    kind: ErrorKind,
    (code, sentence, remedy): (&'static str, &'static str, &'static str),
) -> AnswerRow {
    AnswerRow::new(codes, &[], kind).because(code, sentence, remedy)
}
