//! Rows as packets, in text and in binary.

use super::wire::{push_length, push_text};
use crate::clock;
use crate::rows::{Column, Rows, Type, Value};

const DOUBLE: u8 = 0x05;
const LONGLONG: u8 = 0x08;
const VAR_STRING: u8 = 0xfd;
const BINARY_COLLATION: u8 = 63;
const UTF8MB4_COLLATION: u8 = 45;

/// The end of rows, as text protocols before and after CLIENT_DEPRECATE_EOF have it.
const OLD_EOF: &[u8] = &[0xfe, 0, 0, 2, 0];
const NEW_EOF: &[u8] = &[0xfe, 0, 0, 2, 0, 0, 0];

/// The encoding of rows.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Form {
    Binary,
    Text,
}

/// Creates the packets of an answer: a result set, or an OK with the number of changed rows.
pub(super) fn packets(rows: &Rows, form: Form, deprecates_eof: bool) -> Vec<Vec<u8>> {
    if !rows.returns_rows() {
        return vec![ok(rows.affected)];
    }
    let mut head = Vec::new();
    push_length(&mut head, rows.columns.len() as u64);
    let mut packets = vec![head];
    packets.extend(rows.columns.iter().map(describe));
    if !deprecates_eof {
        packets.push(OLD_EOF.to_vec());
    }
    packets.extend(rows.rows.iter().map(|row| match form {
        Form::Binary => binary(row),
        Form::Text => text(row),
    }));
    packets.push(if deprecates_eof { NEW_EOF } else { OLD_EOF }.to_vec());
    packets
}

/// Creates the packets that answer a request to prepare a statement.
pub(super) fn prepared(id: u32, parameters: u16, columns: &[Column], deprecates_eof: bool) -> Vec<Vec<u8>> {
    let mut head = vec![0];
    head.extend(id.to_le_bytes());
    // The protocol counts columns in 16 bits.
    head.extend((columns.len() as u16).to_le_bytes());
    head.extend(parameters.to_le_bytes());
    // A filler, and no warnings.
    head.extend([0; 3]);
    let parameter = Column { name: "?".to_owned(), kind: Type::Text };
    let lists = [vec![describe(&parameter); parameters.into()], columns.iter().map(describe).collect()];
    let mut packets = vec![head];
    for list in lists {
        let is_closed = !list.is_empty() && !deprecates_eof;
        packets.extend(list);
        packets.extend(is_closed.then(|| OLD_EOF.to_vec()));
    }
    packets
}

/// Creates an OK packet with the number of changed rows, autocommit.
fn ok(affected: u64) -> Vec<u8> {
    let mut packet = vec![0];
    push_length(&mut packet, affected);
    packet.extend([0, 2, 0, 0, 0]);
    packet
}

fn describe(column: &Column) -> Vec<u8> {
    let (kind, collation) = match column.kind {
        Type::Bool | Type::Int4 | Type::Int8 => (LONGLONG, BINARY_COLLATION),
        Type::Float8 => (DOUBLE, BINARY_COLLATION),
        Type::Text | Type::Timestamp => (VAR_STRING, UTF8MB4_COLLATION),
    };
    let mut packet = Vec::new();
    for text in ["def", "", "", "", &column.name, ""] {
        push_text(&mut packet, text);
    }
    // The length of what follows, the collation, the widest value, the type, flags and decimals.
    packet.extend([0x0c, collation, 0, 255, 0, 0, 0, kind, 0, 0, 0, 0, 0]);
    packet
}

fn text(row: &[Value]) -> Vec<u8> {
    let mut packet = Vec::new();
    for value in row {
        match value {
            // 0xfb is NULL in a text row; no length begins with it.
            Value::Null => packet.push(0xfb),
            Value::Bool(yes) => push_text(&mut packet, if *yes { "1" } else { "0" }),
            Value::Float8(number) => push_text(&mut packet, &number.to_string()),
            Value::Int4(number) => push_text(&mut packet, &number.to_string()),
            Value::Int8(number) => push_text(&mut packet, &number.to_string()),
            Value::Text(text) => push_text(&mut packet, text),
            Value::Timestamp(at) => push_text(&mut packet, &clock::text(*at)),
        }
    }
    packet
}

fn binary(row: &[Value]) -> Vec<u8> {
    // A NUL, then a bit for each column that is NULL, the first two bits unused.
    let mut packet = vec![0; 1 + (row.len() + 7 + 2) / 8];
    for (at, value) in row.iter().enumerate() {
        match value {
            Value::Null => packet[1 + (at + 2) / 8] |= 1 << ((at + 2) % 8),
            Value::Bool(yes) => packet.extend(i64::from(*yes).to_le_bytes()),
            Value::Float8(number) => packet.extend(number.to_le_bytes()),
            Value::Int4(number) => packet.extend(i64::from(*number).to_le_bytes()),
            Value::Int8(number) => packet.extend(number.to_le_bytes()),
            Value::Text(text) => push_text(&mut packet, text),
            Value::Timestamp(at) => push_text(&mut packet, &clock::text(*at)),
        }
    }
    packet
}
