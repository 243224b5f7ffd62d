//! Statements that cancel another session's statement, or end that session.

use std::io;

use super::wire::Reader;
use crate::journal::Interrupt;

/// A `KILL`, or a call of RDS's procedures in its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Kill {
    pub(super) interrupt: Interrupt,
    pub(super) target: Target,
}

/// The session to be ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Target {
    Id(u64),
    /// The current session.
    Own,
    /// A prepared statement's parameter.
    Parameter,
}

impl Kill {
    /// Parses a canonical statement.
    pub(super) fn parse(canonical: &str) -> Option<Self> {
        let words = canonical.split(' ').collect::<Vec<_>>();
        let (interrupt, target) = match &words[..] {
            ["call", "mysql", ".", "rds_kill", "(", target @ .., ")"] => (Interrupt::Session, target),
            ["call", "mysql", ".", "rds_kill_query", "(", target @ .., ")"] => (Interrupt::Statement, target),
            ["kill", rest @ ..] => {
                // MariaDB's.
                let rest = match rest {
                    ["hard" | "soft", rest @ ..] => rest,
                    rest => rest,
                };
                // Without QUERY the session itself ends.
                match rest {
                    ["query", target @ ..] => (Interrupt::Statement, target),
                    ["connection", target @ ..] | target => (Interrupt::Session, target),
                }
            }
            _ => return None,
        };
        let target = match target {
            ["connection_id", "(", ")"] => Target::Own,
            ["?"] => Target::Parameter,
            [id] => Target::Id(id.parse().ok()?),
            _ => return None,
        };
        Some(Self { interrupt, target })
    }
}

/// Parses the only parameter of a prepared statement, an integer or its text, after the statement's
/// id.
pub(super) fn parameter(body: &[u8]) -> io::Result<Option<u64>> {
    const NEW_TYPES: u8 = 1;
    let mut reader = Reader(body);
    // The id, flags, the number of runs, and a bitmap of one parameter that is not NULL.
    reader.bytes(4 + 1 + 4)?;
    if reader.bytes(1)? != [0] || reader.bytes(1)? != [NEW_TYPES] {
        return Ok(None);
    }
    let kind = reader.bytes(2)?[0];
    let mut number = [0; 8];
    // TINY, SHORT, LONG or INT24, DOUBLE, LONGLONG, and the decimals and texts of less than 251
    // bytes, by their numbers in the protocol.
    let size = match kind {
        1 => 1,
        2 => 2,
        3 | 9 => 4,
        // JavaScript's mysql2 sends every number as a DOUBLE.
        5 => {
            number.copy_from_slice(reader.bytes(8)?);
            // Session numbers are far below 2^53, so a double holds them exactly.
            return Ok(Some(f64::from_le_bytes(number) as u64));
        }
        8 => 8,
        15 | 246 | 253 | 254 => {
            let length = reader.bytes(1)?[0];
            let text = String::from_utf8_lossy(reader.bytes(length.into())?);
            return Ok(text.trim().parse().ok());
        }
        _ => return Ok(None),
    };
    number[..size].copy_from_slice(reader.bytes(size)?);
    Ok(Some(u64::from_le_bytes(number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql;

    fn check(statement: &str, expected: Option<(Interrupt, Target)>) {
        let expected = expected.map(|(interrupt, target)| Kill { interrupt, target });
        assert_eq!(Kill::parse(&sql::canonical(statement)), expected, "{statement}");
    }

    #[test]
    fn kill_names_what_ends() {
        use Interrupt::{Session, Statement};
        check("KILL 7", Some((Session, Target::Id(7))));
        check("kill  Connection 7 ;", Some((Session, Target::Id(7))));
        check("KILL QUERY 7", Some((Statement, Target::Id(7))));
        check("KILL SOFT 7", Some((Session, Target::Id(7))));
        check("KILL HARD QUERY 7", Some((Statement, Target::Id(7))));
        check("KILL CONNECTION_ID()", Some((Session, Target::Own)));
        check("KILL QUERY ?", Some((Statement, Target::Parameter)));
        check("CALL mysql.rds_kill(7)", Some((Session, Target::Id(7))));
        check("call mysql.rds_kill_query( ? )", Some((Statement, Target::Parameter)));
    }

    #[test]
    fn kill_without_a_session_is_not_parsed() {
        for statement in
            ["KILL", "KILL QUERY", "KILL x", "KILL -1", "KILL 7 8", "KILL 7.5", "CALL rds_kill(7)"]
        {
            check(statement, None);
        }
    }

    #[test]
    fn parameter_is_an_integer_or_its_text() {
        let packet =
            |kind: u8, value: &[u8]| [&[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, kind, 0][..], value].concat();
        assert_eq!(parameter(&packet(8, &[7, 1, 0, 0, 0, 0, 0, 0])).unwrap(), Some(263));
        assert_eq!(parameter(&packet(3, &[7, 0, 0, 0])).unwrap(), Some(7));
        assert_eq!(parameter(&packet(1, &[7])).unwrap(), Some(7));
        assert_eq!(parameter(&packet(5, &263_f64.to_le_bytes())).unwrap(), Some(263));
        assert_eq!(parameter(&packet(253, b"\x0212")).unwrap(), Some(12));
        assert_eq!(parameter(&packet(253, b"\x01x")).unwrap(), None);
        assert!(parameter(&packet(8, &[7])).is_err());
    }
}
