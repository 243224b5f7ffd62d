//! A session: commands, text and prepared statements.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;

use super::connection::{VERSION, capability};
use super::login::OK;
use super::statement::{Expression, Statement};
use super::wire::{Reader, Wire, push_text};
use super::{State, Trick, answer};
use crate::fault::Phase;
use crate::server_error::ServerError;

const COM_QUIT: u8 = 0x01;
const COM_INIT_DB: u8 = 0x02;
const COM_QUERY: u8 = 0x03;
const COM_PING: u8 = 0x0e;
const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;
const COM_STMT_CLOSE: u8 = 0x19;
const COM_STMT_RESET: u8 = 0x1a;
const COM_RESET_CONNECTION: u8 = 0x1f;

const LONGLONG: u8 = 0x08;
const VAR_STRING: u8 = 0xfd;
const BINARY_COLLATION: u8 = 63;
const UTF8MB4_COLLATION: u8 = 45;

/// The end of rows, as text protocols before and after CLIENT_DEPRECATE_EOF have it.
const OLD_EOF: &[u8] = &[0xfe, 0, 0, 2, 0];
const NEW_EOF: &[u8] = &[0xfe, 0, 0, 2, 0, 0, 0];

/// A logged-in client.
pub(super) struct Session {
    user: String,
    database: String,
    deprecates_eof: bool,
    prepared: HashMap<u32, Statement>,
    last_id: u32,
}

/// How rows are written.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Form {
    Binary,
    Text,
}

enum Value {
    Integer(i64),
    Text(String),
}

/// Answers commands until the client leaves.
pub(super) async fn serve(wire: &mut Wire, state: &State, mut session: Session) -> io::Result<()> {
    loop {
        let packet = wire.read(state).await?;
        let Some((&command, body)) = packet.split_first() else { return Ok(()) };
        if !matches!(command, COM_QUIT | COM_STMT_CLOSE) {
            state.faults.pass(Phase::Command).await?;
        }
        match command {
            COM_QUIT => return Ok(()),
            COM_STMT_CLOSE => {
                session.prepared.remove(&Reader(body).number()?);
            }
            COM_QUERY => session.query(wire, state, &String::from_utf8_lossy(body)).await?,
            COM_STMT_PREPARE => session.prepare(wire, &String::from_utf8_lossy(body)).await?,
            COM_STMT_EXECUTE => session.execute(wire, state, Reader(body).number()?).await?,
            COM_INIT_DB | COM_PING | COM_STMT_RESET => wire.send(OK).await?,
            COM_RESET_CONNECTION => {
                session.prepared.clear();
                wire.send(OK).await?;
            }
            _ => wire.send(&answer::packet(&ServerError::new("1047", "Unknown command"))).await?,
        }
    }
}

impl Session {
    pub(super) fn new(user: &str, database: &str, capabilities: u32) -> Self {
        Self {
            user: user.to_owned(),
            database: database.to_owned(),
            deprecates_eof: capabilities & capability::DEPRECATE_EOF != 0,
            prepared: HashMap::new(),
            last_id: 0,
        }
    }

    async fn query(&mut self, wire: &mut Wire, state: &State, sql: &str) -> io::Result<()> {
        state.traffic().queries.push(sql.to_owned());
        let file = state.trick(|trick| match trick {
            Trick::AskForFile(path) => Some(path.to_string_lossy().into_owned()),
            _ => None,
        });
        if let Some(path) = file {
            return ask_for_file(wire, state, &path).await;
        }
        match Statement::parse(sql) {
            Some(Statement::Command) => wire.send(OK).await,
            Some(rows) => wire.send_all(&self.rows(state, &rows, Form::Text)).await,
            None => wire.send(&answer::packet(&unsupported(sql))).await,
        }
    }

    async fn prepare(&mut self, wire: &mut Wire, sql: &str) -> io::Result<()> {
        let Some(statement) = Statement::parse(sql) else {
            return wire.send(&answer::packet(&unsupported(sql))).await;
        };
        self.last_id += 1;
        let columns = statement.columns();
        let mut head = vec![0];
        head.extend(self.last_id.to_le_bytes());
        head.extend((columns.len() as u16).to_le_bytes());
        // No parameters, no warnings.
        head.extend([0; 5]);
        let mut packets = vec![head];
        packets.extend(columns);
        if packets.len() > 1 && !self.deprecates_eof {
            packets.push(OLD_EOF.to_vec());
        }
        self.prepared.insert(self.last_id, statement);
        wire.send_all(&packets).await
    }

    async fn execute(&mut self, wire: &mut Wire, state: &State, id: u32) -> io::Result<()> {
        match self.prepared.get(&id) {
            Some(Statement::Command) => wire.send(OK).await,
            Some(rows) => wire.send_all(&self.rows(state, rows, Form::Binary)).await,
            None => {
                let error = ServerError::new("1243", "Unknown prepared statement handler");
                wire.send(&answer::packet(&error)).await
            }
        }
    }

    /// Makes the packets of a result with one row.
    fn rows(&self, state: &State, statement: &Statement, form: Form) -> Vec<Vec<u8>> {
        let Statement::Rows(columns) = statement else { return Vec::new() };
        let mut packets = vec![vec![columns.len() as u8]];
        packets.extend(statement.columns());
        if !self.deprecates_eof {
            packets.push(OLD_EOF.to_vec());
        }
        let mut row = match form {
            Form::Binary => vec![0; 1 + (columns.len() + 7 + 2) / 8],
            Form::Text => Vec::new(),
        };
        for column in columns {
            match (self.evaluate(state, &column.value), form) {
                (Value::Integer(number), Form::Binary) => row.extend(number.to_le_bytes()),
                (Value::Integer(number), Form::Text) => push_text(&mut row, &number.to_string()),
                (Value::Text(text), _) => push_text(&mut row, &text),
            }
        }
        packets.push(row);
        packets.push(if self.deprecates_eof { NEW_EOF } else { OLD_EOF }.to_vec());
        packets
    }

    fn evaluate(&self, state: &State, expression: &Expression) -> Value {
        match expression {
            Expression::CurrentUser => Value::Text(format!("{}@%", self.user)),
            Expression::Database => Value::Text(self.database.clone()),
            Expression::Integer(number) => Value::Integer(*number),
            Expression::ReadOnly => Value::Integer(state.read_only.load(Ordering::Relaxed).into()),
            Expression::Setting(_) if state.plays(&Trick::Nonsense) => Value::Text("many".to_owned()),
            Expression::Setting(number) => Value::Integer(*number),
            Expression::Socket => Value::Text(
                state
                    .trick(|trick| match trick {
                        Trick::Socket(path) => Some(path.to_string_lossy().into_owned()),
                        _ => None,
                    })
                    .unwrap_or_else(|| "/tmp/mysql.sock".to_owned()),
            ),
            Expression::Version => Value::Text(format!("{VERSION}-rds-testkit")),
        }
    }
}

impl Statement {
    /// Describes the columns, a packet each.
    fn columns(&self) -> Vec<Vec<u8>> {
        let Self::Rows(columns) = self else { return Vec::new() };
        let describe = |column: &super::statement::Column| {
            let (kind, collation) = match column.value.is_integer() {
                true => (LONGLONG, BINARY_COLLATION),
                false => (VAR_STRING, UTF8MB4_COLLATION),
            };
            let mut packet = Vec::new();
            for text in ["def", "", "", "", &column.name, ""] {
                push_text(&mut packet, text);
            }
            // The length of what follows, the collation, the widest value, the type, flags and decimals.
            packet.extend([0x0c, collation, 0, 255, 0, 0, 0, kind, 0, 0, 0, 0, 0]);
            packet
        };
        columns.iter().map(describe).collect()
    }
}

/// Asks for a file and keeps what the client sends, which ends with an empty packet.
async fn ask_for_file(wire: &mut Wire, state: &State, path: &str) -> io::Result<()> {
    wire.send(&[b"\xfb", path.as_bytes()].concat()).await?;
    loop {
        let packet = wire.read(state).await?;
        if packet.is_empty() {
            return wire.send(OK).await;
        }
        state.traffic().files.push(packet);
    }
}

fn unsupported(sql: &str) -> ServerError {
    ServerError::new("1064", format!("rds-testkit does not know the statement: {sql}"))
}
