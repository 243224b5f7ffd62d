//! A session: the simple and the extended query protocol.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;

use bytes::{BufMut, BytesMut};
use pgwire::messages::data::{DataRow, FieldDescription, NoData, ParameterDescription, RowDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};

use super::State;
use super::login::error_response;
use super::statement::{Expression, Statement, Type};
use super::wire::Wire;
use crate::fault::Phase;
use crate::server_error::ServerError;

const SERVER_VERSION: &str = "16.4";
const TEXT: i16 = 0;
const BINARY: i16 = 1;

/// A logged-in client.
pub(super) struct Session {
    user: String,
    database: String,
    pub(super) pid: i32,
    status: TransactionStatus,
    statements: HashMap<String, Statement>,
    portals: HashMap<String, Portal>,
    /// After an error in the extended protocol, all is skipped up to the client's Sync.
    skipping: bool,
}

struct Portal {
    statement: Statement,
    formats: Vec<i16>,
}

enum Value {
    Bool(bool),
    Int4(i32),
    Text(String),
}

/// Answers queries until the client leaves.
pub(super) async fn serve(wire: &mut Wire, state: &State, mut session: Session) -> io::Result<()> {
    while let Some(message) = wire.read().await? {
        if matches!(message, PgWireFrontendMessage::Query(_) | PgWireFrontendMessage::Sync(_)) {
            state.faults.pass(Phase::Command).await?;
        }
        match message {
            PgWireFrontendMessage::Terminate(_) => return Ok(()),
            PgWireFrontendMessage::Sync(_) => {
                session.skipping = false;
                session.ready(wire).await?;
            }
            _ if session.skipping => {}
            PgWireFrontendMessage::Query(query) => {
                session.simple(wire, state, &query.query)?;
                session.ready(wire).await?;
            }
            PgWireFrontendMessage::Flush(_) => wire.flush().await?,
            message => {
                if let Err(error) = session.extended(wire, state, message)? {
                    session.skipping = true;
                    session.fail(wire, &error)?;
                }
            }
        }
    }
    Ok(())
}

impl Session {
    pub(super) fn new(user: &str, database: &str, pid: [u8; 4]) -> Self {
        Self {
            user: user.to_owned(),
            database: database.to_owned(),
            pid: i32::from_be_bytes(pid) & i32::MAX,
            status: TransactionStatus::Idle,
            statements: HashMap::new(),
            portals: HashMap::new(),
            skipping: false,
        }
    }

    /// Returns what a server reports of itself at the start of a session.
    pub(super) fn parameters(&self, state: &State) -> Vec<(&'static str, String)> {
        let read_only = if is_read_only(state) { "on" } else { "off" };
        [
            ("server_version", SERVER_VERSION),
            ("server_encoding", "UTF8"),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO, MDY"),
            ("TimeZone", "UTC"),
            ("integer_datetimes", "on"),
            ("standard_conforming_strings", "on"),
            ("default_transaction_read_only", read_only),
            ("in_hot_standby", read_only),
            ("is_superuser", "off"),
            ("session_authorization", &self.user),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
    }

    async fn ready(&self, wire: &mut Wire) -> io::Result<()> {
        wire.send(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(self.status))).await
    }

    fn fail(&mut self, wire: &mut Wire, error: &ServerError) -> io::Result<()> {
        if self.status == TransactionStatus::Transaction {
            self.status = TransactionStatus::Error;
        }
        wire.feed(error_response("ERROR", error))
    }

    fn simple(&mut self, wire: &mut Wire, state: &State, sql: &str) -> io::Result<()> {
        let statements = match Statement::parse_all(sql) {
            Ok(statements) => statements,
            Err(statement) => return self.fail(wire, &unsupported(statement)),
        };
        for statement in statements {
            if !statement.columns().is_empty() {
                wire.feed(description(&statement, &[]))?;
            }
            self.run(wire, state, &statement, &[])?;
        }
        Ok(())
    }

    fn extended(
        &mut self,
        wire: &mut Wire,
        state: &State,
        message: PgWireFrontendMessage,
    ) -> io::Result<Result<(), ServerError>> {
        match message {
            PgWireFrontendMessage::Parse(parse) => {
                let Some(statement) = Statement::parse(&parse.query) else {
                    return Ok(Err(unsupported(&parse.query)));
                };
                self.statements.insert(parse.name.unwrap_or_default(), statement);
                wire.feed(PgWireBackendMessage::ParseComplete(ParseComplete::new()))?;
            }
            PgWireFrontendMessage::Bind(bind) => {
                let Some(statement) = self.statements.get(&bind.statement_name.unwrap_or_default()) else {
                    return Ok(Err(unknown("26000", "prepared statement")));
                };
                let portal =
                    Portal { statement: statement.clone(), formats: bind.result_column_format_codes };
                self.portals.insert(bind.portal_name.unwrap_or_default(), portal);
                wire.feed(PgWireBackendMessage::BindComplete(BindComplete::new()))?;
            }
            PgWireFrontendMessage::Describe(describe) => {
                let name = describe.name.unwrap_or_default();
                if describe.target_type == b'S' {
                    let Some(statement) = self.statements.get(&name) else {
                        return Ok(Err(unknown("26000", "prepared statement")));
                    };
                    let parameters = ParameterDescription::new(Vec::new());
                    wire.feed(PgWireBackendMessage::ParameterDescription(parameters))?;
                    wire.feed(description(statement, &[]))?;
                } else {
                    let Some(portal) = self.portals.get(&name) else {
                        return Ok(Err(unknown("34000", "portal")));
                    };
                    wire.feed(description(&portal.statement, &portal.formats))?;
                }
            }
            PgWireFrontendMessage::Execute(execute) => {
                let Some(portal) = self.portals.remove(&execute.name.unwrap_or_default()) else {
                    return Ok(Err(unknown("34000", "portal")));
                };
                self.run(wire, state, &portal.statement, &portal.formats)?;
            }
            PgWireFrontendMessage::Close(close) => {
                let name = close.name.unwrap_or_default();
                if close.target_type == b'S' {
                    self.statements.remove(&name);
                } else {
                    self.portals.remove(&name);
                }
                wire.feed(PgWireBackendMessage::CloseComplete(CloseComplete::new()))?;
            }
            _ => return Ok(Err(ServerError::new("08P01", "unexpected message"))),
        }
        Ok(Ok(()))
    }

    fn run(
        &mut self,
        wire: &mut Wire,
        state: &State,
        statement: &Statement,
        formats: &[i16],
    ) -> io::Result<()> {
        let tag = match statement {
            Statement::Empty => {
                return wire.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
            }
            Statement::Begin(tag) => {
                self.status = TransactionStatus::Transaction;
                tag
            }
            Statement::End(tag) => {
                self.status = TransactionStatus::Idle;
                tag
            }
            Statement::Command(tag) => tag,
            Statement::Rows { tag, columns } => {
                let mut row = BytesMut::new();
                for (at, column) in columns.iter().enumerate() {
                    let bytes = self.evaluate(state, &column.value).encode(format(formats, at));
                    // A few hundred bytes at most.
                    row.put_i32(bytes.len() as i32);
                    row.put_slice(&bytes);
                }
                wire.feed(PgWireBackendMessage::DataRow(DataRow::new(row, columns.len() as i16)))?;
                tag
            }
        };
        wire.feed(PgWireBackendMessage::CommandComplete(CommandComplete::new((*tag).to_owned())))
    }

    fn evaluate(&self, state: &State, expression: &Expression) -> Value {
        match expression {
            Expression::CurrentUser => Value::Text(self.user.clone()),
            Expression::Database => Value::Text(self.database.clone()),
            Expression::InRecovery => Value::Bool(is_read_only(state)),
            Expression::Integer(number) => Value::Int4(*number),
            Expression::Nothing => Value::Text(String::new()),
            Expression::Pid => Value::Int4(self.pid),
            Expression::ReadOnly => Value::Text(if is_read_only(state) { "on" } else { "off" }.to_owned()),
            Expression::Version => Value::Text(format!("PostgreSQL {SERVER_VERSION} (rds-testkit)")),
        }
    }
}

impl Value {
    fn encode(&self, format: i16) -> Vec<u8> {
        match self {
            Self::Bool(yes) if format == BINARY => vec![u8::from(*yes)],
            Self::Bool(yes) => if *yes { b"t" } else { b"f" }.to_vec(),
            Self::Int4(number) if format == BINARY => number.to_be_bytes().to_vec(),
            Self::Int4(number) => number.to_string().into_bytes(),
            Self::Text(text) => text.clone().into_bytes(),
        }
    }
}

fn is_read_only(state: &State) -> bool {
    state.read_only.load(Ordering::Relaxed)
}

/// Describes a statement's columns, if it has any.
fn description(statement: &Statement, formats: &[i16]) -> PgWireBackendMessage {
    let columns = statement.columns();
    if columns.is_empty() {
        return PgWireBackendMessage::NoData(NoData::new());
    }
    let fields = columns.iter().enumerate().map(|(at, column)| {
        let kind = column.value.kind();
        let size = match kind {
            Type::Bool => 1,
            Type::Int4 => 4,
            Type::Text => -1,
        };
        FieldDescription::new(column.name.clone(), 0, 0, kind as u32, size, -1, format(formats, at))
    });
    PgWireBackendMessage::RowDescription(RowDescription::new(fields.collect()))
}

/// Finds a column's format: none given means text, one holds for all.
fn format(formats: &[i16], at: usize) -> i16 {
    match formats {
        [] => TEXT,
        [all] => *all,
        each => each.get(at).copied().unwrap_or(TEXT),
    }
}

fn unsupported(statement: &str) -> ServerError {
    ServerError::new("0A000", format!("rds-testkit does not know the statement: {statement}"))
        .with_hint("It is no database: it answers SELECT 1, SELECT current_user and a few more.")
}

fn unknown(code: &str, what: &str) -> ServerError {
    ServerError::new(code, format!("{what} does not exist"))
}

#[cfg(test)]
mod tests;
