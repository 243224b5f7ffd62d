//! Suspicions about a server, read from errors of connections in use.

use crate::Engine;

/// A suspicion about a server, raised by an error of a connection in use; plugins verify it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Suspicion {
    /// The connection was lost, or the server is about to go.
    ConnectionLost,
    /// The server takes no writes, as a former writer does after a failover.
    ReadOnly,
}

impl Suspicion {
    /// Reads the answer of a server: an SQLSTATE or MySQL's error number, and the text.
    pub fn of_answer(engine: Engine, code: &str, text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        match (engine, code) {
            // read_only_sql_transaction.
            (Engine::Postgres, "25006") => Some(Self::ReadOnly),
            // admin_shutdown, crash_shutdown, cannot_connect_now; connection exceptions.
            (Engine::Postgres, "57P01" | "57P02" | "57P03") => Some(Self::ConnectionLost),
            (Engine::Postgres, code) if code.starts_with("08") => Some(Self::ConnectionLost),
            // The number says that an option of the server forbids the statement, whichever option
            // it is.
            (Engine::Mysql, "1290") if text.contains("read-only") || text.contains("read_only") => {
                Some(Self::ReadOnly)
            }
            // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, ER_READ_ONLY_MODE.
            (Engine::Mysql, "1792" | "1836") => Some(Self::ReadOnly),
            // ER_SERVER_SHUTDOWN.
            (Engine::Mysql, "1053") => Some(Self::ConnectionLost),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(engine: Engine, code: &str, text: &str, expected: Option<Suspicion>) {
        assert_eq!(Suspicion::of_answer(engine, code, text), expected, "{code} {text}");
    }

    #[test]
    fn read_only_postgres_is_suspected() {
        let text = "cannot execute INSERT in a read-only transaction";
        check(Engine::Postgres, "25006", text, Some(Suspicion::ReadOnly));
        check(Engine::Postgres, "42501", "permission denied for table orders", None);
    }

    #[test]
    fn read_only_mysql_is_suspected_by_number_and_text() {
        let option =
            "The MySQL server is running with the --read-only option so it cannot execute this statement";
        check(Engine::Mysql, "1290", option, Some(Suspicion::ReadOnly));
        check(
            Engine::Mysql,
            "1290",
            &option.replace("read-only", "super-read-only"),
            Some(Suspicion::ReadOnly),
        );
        check(Engine::Mysql, "1290", &option.replace("read-only", "secure-file-priv"), None);
        check(
            Engine::Mysql,
            "1792",
            "Cannot execute statement in a READ ONLY transaction.",
            Some(Suspicion::ReadOnly),
        );
        check(Engine::Mysql, "1836", "Running in read-only mode", Some(Suspicion::ReadOnly));
        check(Engine::Mysql, "1062", "Duplicate entry 'read-only' for key 'PRIMARY'", None);
    }

    #[test]
    fn server_that_goes_is_suspected() {
        check(Engine::Postgres, "57P01", "terminating connection", Some(Suspicion::ConnectionLost));
        check(Engine::Postgres, "08006", "connection failure", Some(Suspicion::ConnectionLost));
        check(Engine::Postgres, "57014", "canceling statement due to user request", None);
        check(Engine::Mysql, "1053", "Server shutdown in progress", Some(Suspicion::ConnectionLost));
    }
}
