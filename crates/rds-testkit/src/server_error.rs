//! Error answers with the texts of real servers.

use crate::server::Engine;

/// A fatal error answer with its SQLSTATE, for [`Fault::Refuse`](crate::Fault::Refuse).
///
/// The constructors use the texts of real PostgreSQL and MySQL servers. Those of RDS Proxy and
/// Aurora DSQL follow public reports, which quote fragments only: their codes and the rest of the
/// sentences are this crate's choice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerError {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
}

impl ServerError {
    /// Creates an answer with any SQLSTATE (for MySQL any error number) and message.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), detail: None, hint: None }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the SQLSTATE.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Refuses as RDS and Aurora do: 28000, for any reason.
    #[must_use]
    pub fn pam_refused(user: &str) -> Self {
        Self::new("28000", format!("PAM authentication failed for user \"{user}\""))
    }

    /// Refuses as RDS does with `lc_messages` set to German.
    #[must_use]
    pub fn pam_refused_in_german(user: &str) -> Self {
        Self::new("28000", format!("PAM-Authentifizierung für Benutzer »{user}« fehlgeschlagen"))
    }

    /// Refuses a password as PostgreSQL does: 28P01.
    #[must_use]
    pub fn password_refused(user: &str) -> Self {
        Self::new("28P01", format!("password authentication failed for user \"{user}\""))
    }

    /// Refuses an unencrypted connection: 28000 with `pg_hba.conf` in the text.
    #[must_use]
    pub fn encryption_missing(user: &str, database: &str) -> Self {
        let message = format!(
            "pg_hba.conf rejects connection for host \"127.0.0.1\", user \"{user}\", \
             database \"{database}\", no encryption"
        );
        Self::new("28000", message)
    }

    /// Refuses a user and database without a rule: 28000 with `pg_hba.conf` in the text.
    #[must_use]
    pub fn rule_missing(user: &str, database: &str) -> Self {
        let message = format!(
            "no pg_hba.conf entry for host \"127.0.0.1\", user \"{user}\", database \"{database}\", \
             SSL encryption"
        );
        Self::new("28000", message)
    }

    /// Refuses a token as RDS Proxy does.
    #[must_use]
    pub fn proxy_refused(user: &str) -> Self {
        let message = format!(
            "The IAM authentication failed for the role {user}. \
             Check the IAM token for this role and try again."
        );
        Self::new("28000", message)
    }

    /// Throttles as RDS Proxy does when too many logins are checked at once.
    #[must_use]
    pub fn proxy_throttled(user: &str) -> Self {
        let message = format!(
            "The IAM authentication failed for the role {user} because there are too many competing requests."
        );
        Self::new("28000", message)
    }

    /// Refuses as Aurora DSQL does: 08006.
    #[must_use]
    pub fn dsql_refused() -> Self {
        Self::new("08006", "unable to accept connection, access denied")
    }

    /// Refuses an old token as Aurora DSQL does: 08006 with a hint.
    #[must_use]
    pub fn dsql_expired() -> Self {
        Self::dsql_refused().with_hint("Signature expired")
    }

    /// Throttles as Aurora DSQL does: 53400.
    #[must_use]
    pub fn dsql_throttled() -> Self {
        Self::new("53400", "unable to accept connection, Rate of connection attempts exceeded")
    }

    /// Asks to retry later as an idle Aurora DSQL cluster does.
    #[must_use]
    pub fn dsql_waking() -> Self {
        Self::new("57P03", "waking up cluster, please retry later")
    }

    /// Refuses as PostgreSQL does when every connection is taken: 53300.
    #[must_use]
    pub fn too_many_connections() -> Self {
        Self::new("53300", "sorry, too many clients already")
    }

    /// Refuses to write on a reader: 25006, on MySQL 1290.
    pub(crate) fn read_only(engine: Engine, verb: &str) -> Self {
        match engine {
            Engine::Postgres => Self::new(
                "25006",
                format!("cannot execute {} in a read-only transaction", verb.to_ascii_uppercase()),
            ),
            Engine::Mysql => Self::new(
                "1290",
                "The MySQL server is running with the --read-only option so it cannot execute this statement",
            ),
        }
    }

    /// Answers a request to cancel, at the session that was cancelled: 57014, on MySQL 1317.
    pub(crate) fn cancelled(engine: Engine) -> Self {
        match engine {
            Engine::Postgres => Self::new("57014", "canceling statement due to user request"),
            Engine::Mysql => Self::new("1317", "Query execution was interrupted"),
        }
    }

    /// Ends a session as `pg_terminate_backend` does: 57P01.
    #[must_use]
    pub fn terminated() -> Self {
        Self::new("57P01", "terminating connection due to administrator command")
    }

    /// Answers a `KILL` of a session that does not exist: 1094.
    pub(crate) fn unknown_thread(id: u64) -> Self {
        Self::new("1094", format!("Unknown thread id: {id}"))
    }
}
