//! PostgreSQL, with RDS Proxy and Aurora DSQL, which share its codes.

use super::AnswerRow;
use wrapper_core::{Cause, ErrorKind};

const UNEXPLAINED: (&str, &str, &str) =
    (Cause::PASSWORD_REFUSED, "the user or the password is wrong", "check both");
const NOT_READY: (&str, &str, &str) = ("not-ready", "the server is not ready yet", "try again in a moment");
const THROTTLED: (&str, &str, &str) = (
    "throttled",
    "the server limits new connections for now, so trying again at once makes it worse",
    "wait, and use a pool",
);

/// The answers of PostgreSQL servers; the first row that matches counts.
///
/// Texts may be translated, so a text decides only where the code is shared, and where the server
/// names the routine of its source that decides as well. The rows of RDS Proxy and DSQL come from
/// public reports. Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub static POSTGRES_ANSWERS: &[AnswerRow] = &[
    // RDS Proxy and DSQL.
    row(&[], &["too many competing requests"], ErrorKind::Throttled, THROTTLED),
    row(&[], &["rate of connection", "exceeded"], ErrorKind::Throttled, THROTTLED),
    row(&[], &["waking up cluster"], ErrorKind::Transient, NOT_READY),
    row(
        &[],
        &["has no credentials for the role"],
        ErrorKind::Configuration,
        (
            "proxy-secret",
            "the proxy holds no credentials for user {user}",
            "add the user's secret to the proxy's authentication settings",
        ),
    ),
    row(
        &[],
        &["supports only iam, md5, or scram"],
        ErrorKind::Configuration,
        (
            "proxy-authentication",
            "the proxy is not set up for the way in which this client authenticates",
            "compare the client's login with the proxy's authentication settings",
        ),
    ),
    row(&["28000", "28P01"], &["the iam authentication failed for the role"], ErrorKind::Login, UNEXPLAINED)
        .retried(),
    row(&["08006"], &["access denied"], ErrorKind::Login, UNEXPLAINED).hint("signature expired").retried(),
    row(&["08006"], &["access denied"], ErrorKind::Login, UNEXPLAINED),
    // PostgreSQL itself. `ClientAuthentication` and `InitializeSessionUserId` are its routines in
    // auth.c and miscinit.c.
    row(
        &["28000"],
        &["pg_hba.conf"],
        ErrorKind::Configuration,
        (
            "no-access-rule",
            "the server's access rules know no such user, database and kind of connection",
            "check user and database, and add sslmode=verify-full where the server asks for TLS",
        ),
    )
    .or_routine("ClientAuthentication"),
    row(
        &["28000"],
        &["is not permitted to log in"],
        ErrorKind::Configuration,
        ("login-forbidden", "role {user} may not log in", "ALTER ROLE {user} LOGIN"),
    ),
    row(
        &["28000"],
        &["role", "does not exist"],
        ErrorKind::Configuration,
        (
            "no-such-user",
            "there is no role {user}",
            "check its spelling and case, or CREATE ROLE {user} LOGIN",
        ),
    ),
    AnswerRow::new(&["28000"], &[], ErrorKind::Configuration).or_routine("InitializeSessionUserId").because(
        "login-forbidden",
        "role {user} may not log in, or does not exist",
        "ALTER ROLE {user} LOGIN, or CREATE ROLE {user} LOGIN",
    ),
    row(&["28000"], &[], ErrorKind::Login, UNEXPLAINED).retried(),
    // RDS checks a token through PAM, whose failure is 28000 in auth.c; 28P01 is a stored
    // password's.
    row(&["28P01"], &[], ErrorKind::Login, UNEXPLAINED),
    row(
        &["42501"],
        &[],
        ErrorKind::Configuration,
        (
            "database-forbidden",
            "user {user} may not connect to database {database}",
            "GRANT CONNECT ON DATABASE {database} TO {user}",
        ),
    ),
    row(
        &["3D000"],
        &[],
        ErrorKind::Configuration,
        ("no-database", "there is no such database", "check the name {database}"),
    ),
    row(&["53300", "53400"], &[], ErrorKind::Throttled, THROTTLED),
    row(
        &["53"],
        &[],
        ErrorKind::Transient,
        (
            "not-ready",
            "the server is short of memory or disk space",
            "look at its metrics and try again later",
        ),
    ),
    // Cancelled by the server, shutdown and start, a failing system, a database that takes no
    // connections at present.
    row(&["57", "58", "55000", "55006"], &[], ErrorKind::Transient, NOT_READY),
];

const fn row(
    codes: &'static [&'static str],
    text: &'static [&'static str],
    kind: ErrorKind,
    (code, sentence, remedy): (&'static str, &'static str, &'static str),
) -> AnswerRow {
    AnswerRow::new(codes, text, kind).because(code, sentence, remedy)
}
