//! A session: the simple and the extended query protocol.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use pgwire::messages::data::ParameterDescription;
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::ParameterStatus;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};

use super::State;
use super::rows;
use super::signal::{Signal, Target};
use super::statement::{Expression, Statement};
use super::wire::{Wire, error_response};
use crate::fault::Phase;
use crate::journal::Cancellable;
use crate::rows::{Rows, Type, Value};
use crate::server_error::ServerError;
use crate::sql;

const SERVER_VERSION: &str = "16.4";

/// A logged-in client.
pub(super) struct Session {
    user: String,
    database: String,
    pub(super) cancellable: Cancellable,
    status: TransactionStatus,
    statements: HashMap<String, Prepared>,
    portals: HashMap<String, Portal>,
    /// After an error in the extended protocol, messages are skipped up to the client's Sync.
    skipping: bool,
    /// The value of `in_hot_standby` last reported to the client.
    reported_recovery: bool,
}

#[derive(Clone)]
struct Prepared {
    sql: String,
    statement: Statement,
    parameters: Vec<u32>,
}

struct Portal {
    prepared: Prepared,
    values: Vec<Option<Bytes>>,
    value_formats: Vec<i16>,
    formats: Vec<i16>,
}

/// The ways in which a statement ends early.
enum Failure {
    /// The client gets this error, and the session continues.
    Answer(ServerError),
    /// The connection ends.
    Connection(io::Error),
}

/// Answers queries until the client disconnects.
pub(super) async fn serve(wire: &mut Wire, state: &State, mut session: Session) -> io::Result<()> {
    while let Some(message) = wire.read().await? {
        // A client waits for the answer to these two; the other messages are answered along with
        // Sync.
        if matches!(message, PgWireFrontendMessage::Query(_) | PgWireFrontendMessage::Sync(_)) {
            state.faults.pass(Phase::Command).await?;
        }
        let outcome = match message {
            PgWireFrontendMessage::Terminate(_) => return Ok(()),
            PgWireFrontendMessage::Sync(_) => {
                session.skipping = false;
                session.ready(wire, state).await?;
                continue;
            }
            _ if session.skipping => continue,
            PgWireFrontendMessage::Flush(_) => {
                wire.flush().await?;
                continue;
            }
            PgWireFrontendMessage::Query(query) => {
                let outcome = session.simple(wire, state, &query.query).await;
                if let Err(Failure::Answer(error)) = &outcome {
                    session.fail(wire, error)?;
                }
                match outcome {
                    Err(Failure::Connection(error)) => Err(Failure::Connection(error)),
                    // A simple query ends with ReadyForQuery even after an error, an extended one
                    // at Sync.
                    _ => Ok(session.ready(wire, state).await?),
                }
            }
            message => session.extended(wire, state, message).await,
        };
        match outcome {
            Ok(()) => {}
            Err(Failure::Answer(error)) => {
                session.skipping = true;
                session.fail(wire, &error)?;
            }
            Err(Failure::Connection(error)) => return Err(error),
        }
    }
    Ok(())
}

impl Session {
    /// Waits for another session to end this one.
    pub(super) fn terminated(&self) -> impl Future<Output = ()> + use<> {
        self.cancellable.terminated()
    }

    pub(super) fn new(user: &str, database: &str, state: &State, cancellable: Cancellable) -> Self {
        Self {
            user: user.to_owned(),
            database: database.to_owned(),
            cancellable,
            status: TransactionStatus::Idle,
            statements: HashMap::new(),
            portals: HashMap::new(),
            skipping: false,
            reported_recovery: state.reports_standby(),
        }
    }

    /// Returns the parameters that a server reports at the start of a session.
    pub(super) fn parameters(&self, state: &State) -> Vec<(&'static str, String)> {
        [
            ("server_version", SERVER_VERSION),
            ("server_encoding", "UTF8"),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO, MDY"),
            ("TimeZone", "UTC"),
            ("integer_datetimes", "on"),
            ("standard_conforming_strings", "on"),
            ("default_transaction_read_only", on_or_off(state.is_read_only())),
            ("in_hot_standby", on_or_off(self.reported_recovery)),
            ("is_superuser", "off"),
            ("session_authorization", &self.user),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
    }

    /// Ends an answer. The first one after a promotion reports the changed parameter, as in
    /// PostgreSQL.
    async fn ready(&mut self, wire: &mut Wire, state: &State) -> io::Result<()> {
        let recovery = state.reports_standby();
        if std::mem::replace(&mut self.reported_recovery, recovery) != recovery {
            let status = ParameterStatus::new("in_hot_standby".to_owned(), on_or_off(recovery).to_owned());
            wire.feed(PgWireBackendMessage::ParameterStatus(status))?;
        }
        wire.send(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(self.status))).await
    }

    fn fail(&mut self, wire: &mut Wire, error: &ServerError) -> io::Result<()> {
        if self.status == TransactionStatus::Transaction {
            self.status = TransactionStatus::Error;
        }
        wire.feed(error_response("ERROR", error))
    }

    async fn simple(&mut self, wire: &mut Wire, state: &State, sql: &str) -> Result<(), Failure> {
        let cut = self.begin(state, sql).await?;
        let statements =
            Statement::parse_all(sql, |part| state.answer(part).is_some()).map_err(unsupported)?;
        let start = wire.pending();
        for statement in statements {
            if let Some(rows) = self.evaluate(state, &statement)?
                && rows.returns_rows()
            {
                wire.feed(rows::description(&rows, &[]))?;
            }
            self.run(wire, state, &statement, &[], None).await?;
        }
        if cut { Err(wire.cut_after(start).await.into()) } else { Ok(()) }
    }

    async fn extended(
        &mut self,
        wire: &mut Wire,
        state: &State,
        message: PgWireFrontendMessage,
    ) -> Result<(), Failure> {
        let answer = match message {
            PgWireFrontendMessage::Parse(parse) => {
                let statement = Statement::parse(&parse.query, |sql| state.answer(sql).is_some())
                    .ok_or_else(|| unsupported(&parse.query))?;
                let mut parameters = parameters(&parse.query, &parse.type_oids);
                // Drivers encode by the type told here, and the functions take an `int`.
                if let Statement::Signal(Signal { target: Target::Parameter(at), .. }) = &statement
                    && let Some(kind) = parameters.get_mut(*at)
                    && *kind == Type::Text as u32
                {
                    *kind = Type::Int4 as u32;
                }
                let prepared = Prepared { sql: parse.query, statement, parameters };
                self.statements.insert(parse.name.unwrap_or_default(), prepared);
                PgWireBackendMessage::ParseComplete(ParseComplete::new())
            }
            PgWireFrontendMessage::Bind(bind) => {
                let prepared = self.statement(bind.statement_name)?.clone();
                let (values, value_formats) = (bind.parameters, bind.parameter_format_codes);
                let formats = bind.result_column_format_codes;
                let portal = Portal { prepared, values, value_formats, formats };
                self.portals.insert(bind.portal_name.unwrap_or_default(), portal);
                PgWireBackendMessage::BindComplete(BindComplete::new())
            }
            PgWireFrontendMessage::Describe(describe) if describe.target_type == b'S' => {
                let prepared = self.statement(describe.name)?;
                let parameters = ParameterDescription::new(prepared.parameters.clone());
                wire.feed(PgWireBackendMessage::ParameterDescription(parameters))?;
                self.describe(state, &prepared.statement, &[])
            }
            PgWireFrontendMessage::Describe(describe) => {
                let portal = self.portals.get(&describe.name.unwrap_or_default());
                let portal = portal.ok_or_else(|| unknown("34000", "portal"))?;
                self.describe(state, &portal.prepared.statement, &portal.formats)
            }
            PgWireFrontendMessage::Execute(execute) => {
                // A portal runs once here: row limits, which a second Execute would need, are not
                // supported.
                let portal = self.portals.remove(&execute.name.unwrap_or_default());
                let portal = portal.ok_or_else(|| unknown("34000", "portal"))?;
                let cut = self.begin(state, &portal.prepared.sql).await?;
                let start = wire.pending();
                let parameter = match &portal.prepared.statement {
                    Statement::Signal(signal) => signal.parameter(&portal.values, &portal.value_formats),
                    _ => None,
                };
                self.run(wire, state, &portal.prepared.statement, &portal.formats, parameter).await?;
                return if cut { Err(wire.cut_after(start).await.into()) } else { Ok(()) };
            }
            PgWireFrontendMessage::Close(close) => {
                let name = close.name.unwrap_or_default();
                if close.target_type == b'S' {
                    self.statements.remove(&name);
                } else {
                    self.portals.remove(&name);
                }
                PgWireBackendMessage::CloseComplete(CloseComplete::new())
            }
            _ => return Err(ServerError::new("08P01", "unexpected message").into()),
        };
        Ok(wire.feed(answer)?)
    }

    /// Records a statement and applies the faults. While a fault delays it, it can be cancelled.
    async fn begin(&mut self, state: &State, sql: &str) -> Result<bool, Failure> {
        state.journal.query(sql);
        tokio::select! {
            biased;
            cut = state.faults.pass_query() => Ok(cut?),
            () = self.cancellable.cancelled() => Err(ServerError::cancelled(state.engine).into()),
        }
    }

    fn statement(&self, name: Option<String>) -> Result<&Prepared, ServerError> {
        self.statements.get(&name.unwrap_or_default()).ok_or_else(|| unknown("26000", "prepared statement"))
    }

    /// Describes the result of a statement; a failing statement is reported when it runs.
    fn describe(&self, state: &State, statement: &Statement, formats: &[i16]) -> PgWireBackendMessage {
        let rows = self.evaluate(state, statement).ok().flatten().unwrap_or_default();
        rows::description(&rows, formats)
    }

    /// Runs a statement; `parameter` is the target session of a prepared signal.
    async fn run(
        &mut self,
        wire: &mut Wire,
        state: &State,
        statement: &Statement,
        formats: &[i16],
        parameter: Option<i64>,
    ) -> Result<(), Failure> {
        let tag = match statement {
            Statement::Empty => {
                let empty = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
                return Ok(wire.feed(empty)?);
            }
            Statement::Begin(tag) => {
                self.status = TransactionStatus::Transaction;
                (*tag).to_owned()
            }
            Statement::End(tag) => {
                self.status = TransactionStatus::Idle;
                (*tag).to_owned()
            }
            Statement::Command(tag) => (*tag).to_owned(),
            Statement::Signal(signal) => {
                let matched = signal.send(state, &self.cancellable, parameter).await?;
                if !matched {
                    wire.feed(signal.warning(parameter))?;
                }
                for row in rows::data(&signal.rows(matched), formats) {
                    wire.feed(row)?;
                }
                "SELECT 1".to_owned()
            }
            Statement::Known(_) | Statement::Rows { .. } => {
                let rows = self.evaluate(state, statement)?.unwrap_or_default();
                for row in rows::data(&rows, formats) {
                    wire.feed(row)?;
                }
                match statement {
                    Statement::Known(sql) => tag(sql, &rows),
                    Statement::Rows { tag, .. } => (*tag).to_owned(),
                    _ => String::new(),
                }
            }
        };
        Ok(wire.feed(PgWireBackendMessage::CommandComplete(CommandComplete::new(tag)))?)
    }

    /// Returns the rows of a statement; `None` for statements without a result.
    fn evaluate(&self, state: &State, statement: &Statement) -> Result<Option<Rows>, ServerError> {
        match statement {
            Statement::Known(sql) => state.answer(sql).unwrap_or_else(|| Err(unsupported(sql))).map(Some),
            Statement::Rows { columns, .. } => {
                let kinds = columns.iter().map(|column| (column.name.clone(), column.value.kind()));
                let values = columns.iter().map(|column| self.value(state, &column.value));
                Ok(Some(Rows::typed(kinds).row(values)))
            }
            // A signal is described without being sent.
            Statement::Signal(signal) => Ok(Some(signal.rows(false))),
            _ => Ok(None),
        }
    }

    fn value(&self, state: &State, expression: &Expression) -> Value {
        match expression {
            Expression::CurrentUser => self.user.clone().into(),
            Expression::Database => self.database.clone().into(),
            Expression::InRecovery => state.reports_read_only().into(),
            Expression::Integer(number) => (*number).into(),
            Expression::Nothing => "".into(),
            // Numbers of sessions have 31 bits.
            Expression::Pid => (self.cancellable.session as i32).into(),
            Expression::ReadOnly => on_or_off(state.reports_read_only()).into(),
            Expression::Version => format!("PostgreSQL {SERVER_VERSION} (rds-testkit)").into(),
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::Answer(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

fn on_or_off(value: bool) -> &'static str {
    if value { "on" } else { "off" }
}

/// Returns the parameter types: as declared by the client, otherwise text.
fn parameters(sql: &str, declared: &[u32]) -> Vec<u32> {
    let numbers = sql.split('$').skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<usize>().ok()
    });
    // The protocol counts them in 16 bits.
    let count = numbers.max().unwrap_or(0).min(usize::from(u16::MAX));
    let declared = |at: usize| declared.get(at).copied().filter(|oid| *oid != 0);
    (0..count).map(|at| declared(at).unwrap_or(Type::Text as u32)).collect()
}

fn tag(sql: &str, rows: &Rows) -> String {
    match sql::verb(sql).as_str() {
        _ if rows.returns_rows() => format!("SELECT {}", rows.rows.len()),
        "insert" => format!("INSERT 0 {}", rows.affected),
        verb @ ("delete" | "merge" | "update") => format!("{} {}", verb.to_ascii_uppercase(), rows.affected),
        verb => verb.to_ascii_uppercase(),
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
