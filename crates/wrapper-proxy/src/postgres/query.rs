//! A plugin's query on a session that its client does not have yet.
//!
//! <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SIMPLE-QUERY>

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use wrapper_core::{Error, ErrorKind, Result, ServerError, adapter::Rows};

use super::message::Message;
use crate::allowance::Allowance;

/// A server's answer to one query.
pub(super) struct Answer {
    pub(super) rows: Result<Rows>,
    /// `ParameterStatus` of the settings that changed.
    pub(super) changed: Vec<Message>,
    pub(super) ready: Message,
}

/// Runs a statement and collects its rows as text.
pub(super) async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), sql: &str) -> Result<Answer> {
    let message = Message::new(b'Q', &[sql.as_bytes(), &[0]].concat());
    let io = |error| {
        Error::new(ErrorKind::Connect, "the server did not answer a plugin's query").with_source(error)
    };
    stream.write_all(message.as_bytes()).await.map_err(io)?;
    stream.flush().await.map_err(io)?;
    let (mut rows, mut changed, mut allowance) = (Ok(Rows::default()), Vec::new(), Allowance::of_server());
    loop {
        let message = Message::read(stream, &mut allowance).await.map_err(io)?;
        match message.tag() {
            b'Z' => return Ok(Answer { rows, changed, ready: message }),
            b'T' => rows = rows.and(Ok(Rows::new(column_names(message.body())))),
            b'D' => {
                if let Ok(rows) = &mut rows {
                    let values = values(message.body()).ok_or_else(|| {
                        Error::new(ErrorKind::Driver, "malformed row in the answer to a plugin's query")
                    })?;
                    rows.push(values)?;
                }
            }
            b'E' => {
                let fields = message.fields();
                let (code, text) = (fields.get(b'C').unwrap_or("?????"), fields.get(b'M').unwrap_or(""));
                let said = ServerError::new(code, text, None);
                let error = Error::new(ErrorKind::Driver, "the server refused a plugin's query");
                rows = Err(error.with_source(said));
            }
            b'S' => changed.push(message),
            _ => {}
        }
    }
}

fn column_names(body: &[u8]) -> Vec<String> {
    // Table, column number, type, its size and modifier, and the format follow each name.
    const DESCRIPTION: usize = 18;
    let mut names = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        names.push(String::from_utf8_lossy(&rest[..end]).into_owned());
        rest = rest.get(end + 1 + DESCRIPTION..).unwrap_or_default();
    }
    names
}

fn values(body: &[u8]) -> Option<Vec<Option<String>>> {
    let mut values = Vec::new();
    let mut rest = body.get(2..)?;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        let Ok(length) = usize::try_from(length) else {
            values.push(None);
            rest = after;
            continue;
        };
        values.push(Some(String::from_utf8_lossy(after.get(..length)?).into_owned()));
        rest = &after[length..];
    }
    Some(values)
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::io::duplex;

    use super::*;

    /// Sends a message repeatedly, until the other side stops reading.
    pub(crate) async fn endless(mut stream: impl AsyncWrite + Unpin, message: Message) -> usize {
        let mut said = 0;
        while said < 64 * Allowance::SERVER && stream.write_all(message.as_bytes()).await.is_ok() {
            said += message.as_bytes().len();
        }
        said
    }

    #[tokio::test]
    async fn server_that_never_ends_its_answer_is_disconnected() {
        for message in [
            Message::new(b'S', &[b"a\0".as_slice(), &[b'x'; 30_000], b"\0"].concat()),
            Message::new(b'N', &[7; 30_000]),
        ] {
            let (mut near, far) = duplex(1 << 16);
            let server = tokio::spawn(endless(far, message));

            let error = ask(&mut near, "SELECT 1").await.map(drop).expect_err("is left");

            drop(near);
            assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
            assert!(server.await.expect("ends") < 2 * Allowance::SERVER);
        }
    }
}
