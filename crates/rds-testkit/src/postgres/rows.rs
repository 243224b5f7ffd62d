//! Rows as messages, in text and in binary.

use std::time::{Duration, SystemTime};

use bytes::{BufMut, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{DataRow, FieldDescription, NoData, RowDescription};

use crate::clock;
use crate::rows::{Rows, Type, Value};

const TEXT: i16 = 0;
pub(super) const BINARY: i16 = 1;

/// PostgreSQL's epoch, 2000-01-01, relative to that of Unix.
const POSTGRES_EPOCH: Duration = Duration::from_secs(946_684_800);

/// Returns the description of an answer's columns, if it has any.
pub(super) fn description(rows: &Rows, formats: &[i16]) -> PgWireBackendMessage {
    if !rows.returns_rows() {
        return PgWireBackendMessage::NoData(NoData::new());
    }
    let fields = rows.columns.iter().enumerate().map(|(at, column)| {
        let size = match column.kind {
            Type::Bool => 1,
            Type::Int4 => 4,
            Type::Float8 | Type::Int8 | Type::Timestamp => 8,
            Type::Text => -1,
        };
        FieldDescription::new(column.name.clone(), 0, 0, column.kind as u32, size, -1, format(formats, at))
    });
    PgWireBackendMessage::RowDescription(RowDescription::new(fields.collect()))
}

/// Writes an answer's rows, a message each.
pub(super) fn data<'a>(
    rows: &'a Rows,
    formats: &'a [i16],
) -> impl Iterator<Item = PgWireBackendMessage> + 'a {
    rows.rows.iter().map(|values| {
        let mut row = BytesMut::new();
        for (at, value) in values.iter().enumerate() {
            match encode(value, format(formats, at)) {
                Some(bytes) => {
                    // The texts of a test are shorter than 2 GiB.
                    row.put_i32(bytes.len() as i32);
                    row.put_slice(&bytes);
                }
                None => row.put_i32(-1),
            }
        }
        PgWireBackendMessage::DataRow(DataRow::new(row, values.len() as i16))
    })
}

fn encode(value: &Value, format: i16) -> Option<Vec<u8>> {
    let is_binary = format == BINARY;
    Some(match value {
        Value::Null => return None,
        Value::Bool(yes) if is_binary => vec![u8::from(*yes)],
        Value::Bool(yes) => if *yes { b"t" } else { b"f" }.to_vec(),
        Value::Float8(number) if is_binary => number.to_be_bytes().to_vec(),
        Value::Float8(number) => number.to_string().into_bytes(),
        Value::Int4(number) if is_binary => number.to_be_bytes().to_vec(),
        Value::Int4(number) => number.to_string().into_bytes(),
        Value::Int8(number) if is_binary => number.to_be_bytes().to_vec(),
        Value::Int8(number) => number.to_string().into_bytes(),
        Value::Text(text) => text.clone().into_bytes(),
        Value::Timestamp(at) if is_binary => {
            let since = at.duration_since(SystemTime::UNIX_EPOCH + POSTGRES_EPOCH).unwrap_or_default();
            // 2^63 microseconds are 292,000 years.
            (since.as_micros() as i64).to_be_bytes().to_vec()
        }
        Value::Timestamp(at) => format!("{}+00", clock::text(*at)).into_bytes(),
    })
}

/// Returns a column's format: no format means text, a single one applies to all columns.
pub(super) fn format(formats: &[i16], at: usize) -> i16 {
    match formats {
        [] => TEXT,
        [all] => *all,
        each => each.get(at).copied().unwrap_or(TEXT),
    }
}
