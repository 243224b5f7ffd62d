//! A session: commands, text and prepared statements.

use std::collections::HashMap;
use std::io;

use super::kill::{self, Kill, Target};
use super::login::Login;
use super::packet::{OK, VERSION, capability, command};
use super::rows::Form;
use super::statement::{Expression, Statement};
use super::wire::{Reader, Wire};
use super::{HostileBehavior, State, answer, rows};
use crate::fault::Phase;
use crate::journal::{Cancellable, Interrupt};
use crate::rows::{Rows, Value};
use crate::server_error::ServerError;

/// A logged-in client.
pub(super) struct Session {
    user: String,
    database: String,
    deprecates_eof: bool,
    prepared: HashMap<u32, (String, Statement)>,
    last_id: u32,
    cancellable: Cancellable,
}

/// Answers commands until the client disconnects.
pub(super) async fn serve(wire: &mut Wire, state: &State, mut session: Session) -> io::Result<()> {
    loop {
        let packet = wire.read(state).await.inspect_err(|_| state.traffic().aborted += 1)?;
        let Some((&kind, body)) = packet.split_first() else { return Ok(()) };
        // These two have no answer, so no client could notice a fault here.
        if !matches!(kind, command::QUIT | command::STMT_CLOSE) {
            state.faults.pass(Phase::Command).await?;
        }
        match kind {
            command::QUIT => {
                state.traffic().closed += 1;
                return Ok(());
            }
            command::STMT_CLOSE => {
                session.prepared.remove(&Reader(body).number()?);
            }
            command::QUERY => session.query(wire, state, &String::from_utf8_lossy(body)).await?,
            command::PROCESS_KILL => {
                let target = Target::Id(Reader(body).number()?.into());
                let kill = Kill { interrupt: Interrupt::Session, target };
                match session.kill(state, kill, None) {
                    Ok(()) => wire.send(OK).await?,
                    Err(error) => wire.send(&answer::packet(&error)).await?,
                }
            }
            command::STMT_PREPARE => session.prepare(wire, state, &String::from_utf8_lossy(body)).await?,
            command::STMT_EXECUTE => session.execute(wire, state, body).await?,
            command::INIT_DB | command::PING | command::STMT_RESET => wire.send(OK).await?,
            command::RESET_CONNECTION => {
                session.prepared.clear();
                wire.send(OK).await?;
            }
            _ => wire.send(&answer::packet(&ServerError::new("1047", "Unknown command"))).await?,
        }
    }
}

impl Session {
    /// Waits for another session's `KILL`.
    pub(super) fn terminated(&self) -> impl Future<Output = ()> + use<> {
        self.cancellable.terminated()
    }

    pub(super) fn new(login: Login, cancellable: Cancellable) -> Self {
        Self {
            deprecates_eof: login.capabilities & capability::DEPRECATE_EOF != 0,
            user: login.user,
            database: login.database,
            prepared: HashMap::new(),
            last_id: 0,
            cancellable,
        }
    }

    async fn query(&mut self, wire: &mut Wire, state: &State, sql: &str) -> io::Result<()> {
        let file = state.behavior(|behavior| match behavior {
            HostileBehavior::AskForFile(path) => Some(path.to_string_lossy().into_owned()),
            _ => None,
        });
        if let Some(path) = file {
            state.journal.query(sql);
            return ask_for_file(wire, state, &path).await;
        }
        match Statement::parse(sql, |sql| state.answer(sql).is_some()) {
            Some(statement) => self.run(wire, state, sql, &statement, Form::Text, None).await,
            None => {
                state.journal.query(sql);
                wire.send(&answer::packet(&unsupported(sql))).await
            }
        }
    }

    async fn prepare(&mut self, wire: &mut Wire, state: &State, sql: &str) -> io::Result<()> {
        let Some(statement) = Statement::parse(sql, |sql| state.answer(sql).is_some()) else {
            return wire.send(&answer::packet(&unsupported(sql))).await;
        };
        self.last_id += 1;
        // A failing statement is reported when it runs, not when it is prepared.
        let rows = self.evaluate(state, &statement).unwrap_or_default();
        let packets = rows::prepared(self.last_id, parameters(sql), &rows.columns, self.deprecates_eof);
        self.prepared.insert(self.last_id, (sql.to_owned(), statement));
        wire.send_all(&packets).await
    }

    async fn execute(&mut self, wire: &mut Wire, state: &State, body: &[u8]) -> io::Result<()> {
        match self.prepared.get(&Reader(body).number()?).cloned() {
            Some((sql, statement)) => {
                let parameter = match statement {
                    Statement::Kill(Kill { target: Target::Parameter, .. }) => kill::parameter(body)?,
                    _ => None,
                };
                self.run(wire, state, &sql, &statement, Form::Binary, parameter).await
            }
            None => {
                let error = ServerError::new("1243", "Unknown prepared statement handler");
                wire.send(&answer::packet(&error)).await
            }
        }
    }

    /// Records a statement, applies the faults and answers it. While a fault delays it, it can be
    /// cancelled.
    async fn run(
        &mut self,
        wire: &mut Wire,
        state: &State,
        sql: &str,
        statement: &Statement,
        form: Form,
        parameter: Option<u64>,
    ) -> io::Result<()> {
        state.journal.query(sql);
        let cut = tokio::select! {
            biased;
            cut = state.faults.pass_query() => cut?,
            () = self.cancellable.cancelled() => {
                return wire.send(&answer::packet(&ServerError::cancelled(state.engine))).await;
            }
        };
        if let Statement::Kill(kill) = statement
            && let Err(error) = self.kill(state, *kill, parameter)
        {
            return wire.send(&answer::packet(&error)).await;
        }
        match self.evaluate(state, statement) {
            Ok(rows) => {
                let packets = rows::packets(&rows, form, self.deprecates_eof);
                if cut { Err(wire.send_half(&packets).await) } else { wire.send_all(&packets).await }
            }
            Err(error) => wire.send(&answer::packet(&error)).await,
        }
    }

    /// Cancels a session's statement or ends the session. A session that names itself is
    /// interrupted first, as in MySQL.
    fn kill(&self, state: &State, kill: Kill, parameter: Option<u64>) -> Result<(), ServerError> {
        let id = match kill.target {
            Target::Id(id) => id,
            Target::Own => self.cancellable.session.into(),
            Target::Parameter => parameter.unwrap_or_default(),
        };
        // Session numbers have 31 bits, so a longer one names no session.
        let session = u32::try_from(id).unwrap_or(u32::MAX);
        if !state.journal.interrupt(session, None, kill.interrupt) {
            return Err(ServerError::unknown_thread(id));
        }
        if session == self.cancellable.session {
            return Err(ServerError::cancelled(state.engine));
        }
        Ok(())
    }

    fn evaluate(&self, state: &State, statement: &Statement) -> Result<Rows, ServerError> {
        match statement {
            Statement::Command => Ok(Rows::default()),
            // Killing is what running it does; it yields nothing.
            Statement::Kill(_) => Ok(Rows::default()),
            Statement::Known(sql) => state.answer(sql).unwrap_or_else(|| Err(unsupported(sql))),
            Statement::Rows(columns) => {
                let kinds = columns.iter().map(|column| (column.name.clone(), column.value.kind()));
                let values = columns.iter().map(|column| self.value(state, &column.value));
                Ok(Rows::typed(kinds).row(values))
            }
        }
    }

    fn value(&self, state: &State, expression: &Expression) -> Value {
        match expression {
            Expression::CurrentUser => format!("{}@%", self.user).into(),
            Expression::Database => self.database.clone().into(),
            Expression::Integer(number) => (*number).into(),
            Expression::ReadOnly => i64::from(state.reports_read_only()).into(),
            Expression::Session => i64::from(self.cancellable.session).into(),
            Expression::Setting(_) if state.misbehaves(&HostileBehavior::Nonsense) => "many".into(),
            Expression::Setting(number) => (*number).into(),
            Expression::Socket => state
                .behavior(|behavior| match behavior {
                    HostileBehavior::Socket(path) => Some(path.to_string_lossy().into_owned()),
                    _ => None,
                })
                .unwrap_or_else(|| "/tmp/mysql.sock".to_owned())
                .into(),
            Expression::Version => format!("{VERSION}-rds-testkit").into(),
        }
    }
}

/// Counts a statement's parameters: the question marks outside of quotes.
fn parameters(sql: &str) -> u16 {
    let mut quote = None;
    let count = sql.chars().filter(|&c| {
        match (quote, c) {
            (None, '\'' | '"' | '`') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        quote.is_none() && c == '?'
    });
    // The protocol counts them in 16 bits.
    count.count() as u16
}

/// Asks for a file and keeps what the client sends, which ends with an empty packet.
async fn ask_for_file(wire: &mut Wire, state: &State, path: &str) -> io::Result<()> {
    wire.send(&[b"\xfb", path.as_bytes()].concat()).await?;
    loop {
        let packet = wire.read(state).await?;
        if packet.is_empty() {
            return wire.send(OK).await;
        }
        state.traffic().add_file(packet);
    }
}

fn unsupported(sql: &str) -> ServerError {
    ServerError::new("1064", format!("rds-testkit does not know the statement: {sql}"))
}
