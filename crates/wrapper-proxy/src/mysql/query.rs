//! A plugin's query on a session that its client does not have yet.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html>

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use wrapper_core::{Error, ErrorKind, Result, ServerError, adapter::Rows};

use super::packet::{Packet, Pieces, capability, refusal, send};
use crate::allowance::Allowance;

const COM_QUERY: u8 = 3;

/// No query attributes, in one parameter set.
const NO_ATTRIBUTES: [u8; 2] = [0, 1];

/// The most columns of a MySQL table.
const MAX_COLUMNS: usize = 4_096;

/// `SERVER_MORE_RESULTS_EXISTS`: another result follows this one.
const MORE_RESULTS: u16 = 8;

/// Runs a statement and collects its rows as text, in the format of the client's capabilities.
pub(super) async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    capabilities: u32,
    sql: &str,
) -> Result<Rows> {
    let has = |wanted: u32| capabilities & wanted != 0;
    let attributes: &[u8] = if has(capability::QUERY_ATTRIBUTES) { &NO_ATTRIBUTES } else { &[] };
    send(stream, 0, &[&[COM_QUERY], attributes, sql.as_bytes()].concat()).await.map_err(broken)?;
    let mut allowance = Allowance::of_server();
    let head = next(stream, &mut allowance).await?;
    let mut pieces = match &head[..] {
        [0, ..] => return Ok(Rows::default()),
        // LOCAL INFILE: the server asks for a file of this machine.
        [0xfb, ..] => return Err(unreadable()),
        // The server sends column definitions unless the session variable turns them off.
        [1, rest @ ..] if has(capability::OPTIONAL_METADATA) => Pieces(rest),
        head => Pieces(head),
    };
    let count = pieces.length().filter(|count| (1..=MAX_COLUMNS).contains(count)).ok_or_else(unreadable)?;
    let mut names = Vec::new();
    for _ in 0..count {
        let column = next(stream, &mut allowance).await?;
        names.push(name(&column).ok_or_else(unreadable)?);
    }
    if !has(capability::DEPRECATE_EOF) && !is_end(&next(stream, &mut allowance).await?, false) {
        return Err(unreadable());
    }
    let mut rows = Rows::new(names);
    loop {
        let packet = next(stream, &mut allowance).await?;
        if is_end(&packet, has(capability::DEPRECATE_EOF)) {
            let status = status(&packet, has(capability::DEPRECATE_EOF)).ok_or_else(unreadable)?;
            return if status & MORE_RESULTS == 0 { Ok(rows) } else { Err(unreadable()) };
        }
        rows.push(values(&packet, count).ok_or_else(unreadable)?)?;
    }
}

/// Reads the next packet, or the error of an ERR packet.
async fn next(stream: &mut (impl AsyncRead + Unpin), allowance: &mut Allowance) -> Result<Vec<u8>> {
    let payload = Packet::read(stream, allowance).await.map_err(broken)?.payload;
    match refusal(&payload) {
        None => Ok(payload),
        Some((code, text)) => {
            let said = ServerError::new(code, &text, None);
            Err(Error::new(ErrorKind::Driver, "the server refused a plugin's query").with_source(said))
        }
    }
}

/// Returns the name of a column definition, which follows catalog, schema, table and the table's
/// own name.
fn name(description: &[u8]) -> Option<String> {
    let mut pieces = Pieces(description);
    for _ in 0..4 {
        pieces.counted()?;
    }
    pieces.counted().map(|name| String::from_utf8_lossy(name).into_owned())
}

/// Returns whether a packet ends the rows. A row can begin with the same byte only if its first
/// value has 16 MB or more.
fn is_end(packet: &[u8], as_ok: bool) -> bool {
    packet.first() == Some(&0xfe) && (as_ok || packet.len() < 9)
}

fn status(end: &[u8], as_ok: bool) -> Option<u16> {
    let mut pieces = Pieces(end.get(1..)?);
    if as_ok {
        // Affected rows and last insert id.
        pieces.length()?;
        pieces.length()?;
    } else {
        // The number of warnings.
        pieces.bytes(2)?;
    }
    pieces.bytes(2)?.try_into().ok().map(u16::from_le_bytes)
}

fn values(row: &[u8], count: usize) -> Option<Vec<Option<String>>> {
    let mut pieces = Pieces(row);
    let mut value = || {
        if let Some((0xfb, rest)) = pieces.0.split_first() {
            pieces.0 = rest;
            return Some(None);
        }
        pieces.counted().map(|value| Some(String::from_utf8_lossy(value).into_owned()))
    };
    let values = (0..count).map(|_| value()).collect::<Option<Vec<_>>>()?;
    pieces.0.is_empty().then_some(values)
}

fn broken(error: io::Error) -> Error {
    Error::new(ErrorKind::Connect, "the server did not answer a plugin's query").with_source(error)
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Driver, "malformed answer to a plugin's query")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const OLD_EOF: &[u8] = &[0xfe, 0, 0, 2, 0];
    const NEW_EOF: &[u8] = &[0xfe, 0, 0, 2, 0, 0, 0];
    const COLUMN: &[u8] =
        b"\x03def\x00\x00\x00\x02id\x00\x0c\x2d\x00\x00\x00\x00\x00\xfd\x00\x00\x00\x00\x00";

    /// Asks a server that answers with these packets; returns the answer and the query's bytes.
    async fn asked(capabilities: u32, packets: &[&[u8]]) -> (Result<Rows>, Vec<u8>) {
        let (mut near, mut far) = duplex(1 << 20);
        for (number, packet) in (1..).zip(packets) {
            send(&mut far, number, packet).await.expect("is sent");
        }
        far.shutdown().await.expect("ends");
        let answer = ask(&mut near, capabilities, "SELECT 1").await;
        drop(near);
        let mut question = Vec::new();
        far.read_to_end(&mut question).await.expect("is read");
        (answer, question)
    }

    #[tokio::test]
    async fn answer_is_read_in_every_format_that_a_client_can_choose() {
        use capability::{DEPRECATE_EOF, OPTIONAL_METADATA, QUERY_ATTRIBUTES};
        let rows: [&[u8]; 2] = [b"\x01a", b"\xfb"];
        for flags in 0..8 {
            let chosen = |bit: u32, flag: u32| if flags & bit == 0 { 0 } else { flag };
            let capabilities =
                chosen(1, DEPRECATE_EOF) | chosen(2, OPTIONAL_METADATA) | chosen(4, QUERY_ATTRIBUTES);
            let head: &[u8] = if capabilities & OPTIONAL_METADATA == 0 { &[1] } else { &[1, 1] };
            let mut packets = vec![head, COLUMN];
            if capabilities & DEPRECATE_EOF == 0 {
                packets.push(OLD_EOF);
            }
            packets.extend(rows);
            packets.push(if capabilities & DEPRECATE_EOF == 0 { OLD_EOF } else { NEW_EOF });

            let (answer, question) = asked(capabilities, &packets).await;

            let answer = answer.unwrap_or_else(|error| panic!("{capabilities:x}: {error}"));
            assert_eq!((answer.columns(), answer.value()), (&["id".to_owned()][..], Some("a")));
            assert_eq!(answer.rows()[1], [None]);
            let text: &[u8] = if capabilities & QUERY_ATTRIBUTES == 0 { b"" } else { b"\0\x01" };
            assert_eq!(question[4..], [b"\x03", text, b"SELECT 1"].concat());
        }
    }

    #[tokio::test]
    async fn refusal_is_an_answer_at_any_position() {
        let no: &[u8] = b"\xff\x7a\x04#42S02no such table";
        for packets in [&[no][..], &[&[1], no], &[&[1], COLUMN, OLD_EOF, no]] {
            let error = asked(0, packets).await.0.expect_err("is refused");
            assert_eq!(error.server().map(ServerError::code), Some("1146"), "{error}");
        }
    }

    #[tokio::test]
    async fn answer_wrong() {
        for packets in [
            &[&b"\xfb/etc/passwd"[..]][..],
            &[b""],
            &[b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff"],
            &[&[1], b"\x03de"],
            &[&[1], COLUMN, COLUMN],
            &[&[1], COLUMN, OLD_EOF, b"\x05a"],
            &[&[1], COLUMN, OLD_EOF, b"\x01ab"],
            &[&[1], COLUMN, OLD_EOF, &[0xfe, 0, 0, 8, 0]],
            &[&[1], COLUMN, OLD_EOF, b"\xfe"],
        ] {
            let error = asked(0, packets).await.0.expect_err("is wrong");
            assert!(error.server().is_none(), "{error}");
        }
        // Cut off.
        assert!(asked(0, &[&[1], COLUMN]).await.0.is_err());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            flags in proptest::num::u32::ANY,
            packets in vec(vec(proptest::num::u8::ANY, 0..40), 0..6),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("builds");
            let packets: Vec<_> = packets.iter().map(|packet| &packet[..]).collect();
            drop(runtime.block_on(asked(flags, &packets)));
        }
    }
}
