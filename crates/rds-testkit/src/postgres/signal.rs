//! Statements that cancel what another session runs, or end that session.

use bytes::Bytes;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::NoticeResponse;

use super::{State, rows};
use crate::journal::{Cancellable, Interrupt};
use crate::rows::{Rows, Type};
use crate::server_error::ServerError;
use crate::sql;

/// `SELECT pg_cancel_backend(…)` or `SELECT pg_terminate_backend(…)`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Signal {
    /// The name of the column that returns whether the session existed.
    pub(super) column: String,
    pub(super) interrupt: Interrupt,
    pub(super) target: Target,
}

/// The session to be signalled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Target {
    /// A negative number, which names no session.
    Id(i64),
    /// The current session.
    Own,
    /// A parameter, counted from 0.
    Parameter(usize),
}

impl Signal {
    /// Parses a statement.
    pub(super) fn parse(statement: &str) -> Option<Self> {
        let canonical = sql::canonical(statement);
        let words = canonical.split(' ').collect::<Vec<_>>();
        let ["select", function, "(", rest @ ..] = &words[..] else { return None };
        let interrupt = match *function {
            "pg_cancel_backend" => Interrupt::Statement,
            "pg_terminate_backend" => Interrupt::Session,
            _ => return None,
        };
        let (target, rest) = match rest {
            ["pg_backend_pid", "(", ")", rest @ ..] => (Target::Own, rest),
            ["-", id, rest @ ..] => (Target::Id(-id.parse().ok()?), rest),
            [id, rest @ ..] => match id.strip_prefix('$') {
                Some(number) => (Target::Parameter(number.parse::<usize>().ok()?.checked_sub(1)?), rest),
                None => (Target::Id(id.parse().ok()?), rest),
            },
            [] => return None,
        };
        let rest = match rest {
            ["::", "int" | "int4" | "integer", rest @ ..] => rest,
            rest => rest,
        };
        // The timeout parameter is ignored: the session ends at once here.
        let rest = match rest {
            [",", _, rest @ ..] if interrupt == Interrupt::Session => rest,
            rest => rest,
        };
        let column = match rest {
            [")"] => function,
            [")", "as", alias] | [")", alias] => alias,
            _ => return None,
        };
        Some(Self { column: (*column).to_owned(), interrupt, target })
    }

    /// Parses the session number if it is a parameter.
    pub(super) fn parameter(&self, values: &[Option<Bytes>], formats: &[i16]) -> Option<i64> {
        let Target::Parameter(at) = self.target else { return None };
        let value = values.get(at)?.as_deref()?;
        match (rows::format(formats, at), value) {
            // psycopg chooses the smallest type that holds a number.
            (rows::BINARY, &[a, b]) => Some(i16::from_be_bytes([a, b]).into()),
            (rows::BINARY, &[a, b, c, d]) => Some(i32::from_be_bytes([a, b, c, d]).into()),
            (rows::BINARY, value) => Some(i64::from_be_bytes(value.try_into().ok()?)),
            _ => std::str::from_utf8(value).ok()?.trim().parse().ok(),
        }
    }

    /// Signals the session and returns whether it existed; never returns if the session ends
    /// itself.
    pub(super) async fn send(
        &self,
        state: &State,
        own: &Cancellable,
        parameter: Option<i64>,
    ) -> Result<bool, ServerError> {
        let session = match self.target {
            Target::Own => own.session,
            // The last number names no session.
            _ => self.id(parameter).try_into().unwrap_or(u32::MAX),
        };
        let matched = state.journal.interrupt(session, None, self.interrupt);
        match self.interrupt {
            // The connection ends while this waits.
            Interrupt::Session if session == own.session => std::future::pending().await,
            Interrupt::Statement if session == own.session => Err(ServerError::cancelled(state.engine)),
            _ => Ok(matched),
        }
    }

    /// Returns the answer's only row.
    pub(super) fn rows(&self, matched: bool) -> Rows {
        Rows::typed([(self.column.clone(), Type::Bool)]).row([matched.into()])
    }

    /// Returns PostgreSQL's warning for a missing session.
    pub(super) fn warning(&self, parameter: Option<i64>) -> PgWireBackendMessage {
        let message = format!("PID {} is not a PostgreSQL backend process", self.id(parameter));
        let fields = [(b'S', "WARNING"), (b'V', "WARNING"), (b'C', "01000"), (b'M', &message)];
        let fields = fields.map(|(field, text)| (field, text.to_owned())).to_vec();
        PgWireBackendMessage::NoticeResponse(NoticeResponse::new(fields))
    }

    fn id(&self, parameter: Option<i64>) -> i64 {
        match self.target {
            Target::Id(id) => id,
            Target::Own | Target::Parameter(_) => parameter.unwrap_or(-1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(statement: &str, expected: Option<(&str, Interrupt, Target)>) {
        let expected = expected.map(|(column, interrupt, target)| Signal {
            column: column.to_owned(),
            interrupt,
            target,
        });
        assert_eq!(Signal::parse(statement), expected, "{statement}");
    }

    #[test]
    fn signal_names_its_session() {
        use Interrupt::{Session, Statement};
        let terminate = |target| Some(("pg_terminate_backend", Session, target));
        check("SELECT pg_terminate_backend(7)", terminate(Target::Id(7)));
        check("select pg_catalog.pg_terminate_backend ( 7 :: int ) ;", terminate(Target::Id(7)));
        check("SELECT pg_terminate_backend(-7, 100)", terminate(Target::Id(-7)));
        check("SELECT pg_terminate_backend($1, $2)", terminate(Target::Parameter(0)));
        check("SELECT pg_terminate_backend(pg_backend_pid())", terminate(Target::Own));
        check(
            "SELECT pg_cancel_backend($2::integer) AS \"done\"",
            Some(("done", Statement, Target::Parameter(1))),
        );
    }

    #[test]
    fn parameter_is_a_number_of_any_width_or_its_text() {
        let signal = Signal::parse("SELECT pg_cancel_backend($2)").unwrap();
        let parameter = |value: &'static [u8], format| {
            signal.parameter(&[None, Some(Bytes::from_static(value))], &[format])
        };
        assert_eq!(parameter(&[0, 7], rows::BINARY), Some(7));
        assert_eq!(parameter(&[0, 0, 1, 7], rows::BINARY), Some(263));
        assert_eq!(parameter(&[0, 0, 0, 0, 0, 0, 0, 7], rows::BINARY), Some(7));
        assert_eq!(parameter(b"7", 0), Some(7));
        assert_eq!((parameter(b"seven", 0), parameter(&[7], rows::BINARY)), (None, None));
        assert_eq!(signal.parameter(&[], &[]), None);
    }

    #[test]
    fn other_statements_are_not_signals() {
        for statement in [
            "SELECT 1",
            "SELECT pg_cancel_backend()",
            "SELECT pg_cancel_backend(7, 100)",
            "SELECT pg_cancel_backend(x)",
            "SELECT pg_cancel_backend($0)",
            "SELECT pg_cancel_backend($)",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
            "SELECT pg_terminate_backend(7), 1",
        ] {
            check(statement, None);
        }
    }
}
