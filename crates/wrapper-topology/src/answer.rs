//! An instance's answers about itself and its cluster.

use std::{sync::Arc, time::Duration};

use wrapper_core::{Error, ErrorKind, Result, Session, adapter::Rows};

use crate::dialect::{Dialect, Layout};

/// The answers of one instance to all queries on one connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// The id that the instance reports as its own.
    pub(crate) id: Arc<str>,
    /// Whether it claims to be the cluster's writer.
    pub(crate) is_writer: bool,
    /// Whether it rejects writes.
    pub(crate) is_read_only: bool,
    pub(crate) rows: Vec<Row>,
}

/// One instance in another one's list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) id: Arc<str>,
    pub(crate) is_writer: bool,
    pub(crate) cpu: Option<f32>,
    pub(crate) lag: Option<Duration>,
    /// As the server writes it; `None` for the instance's own row, which is always current.
    pub(crate) updated: Option<String>,
}

/// Detects the dialect of a server; `None` if it does not belong to a known kind of cluster. Sets
/// `missing` to the grants that the user lacks.
///
/// # Errors
///
/// Returns the error of a statement that was not answered at all.
pub(crate) async fn detect(
    session: &mut dyn Session,
    missing: &mut Option<&'static str>,
) -> Result<Option<Dialect>> {
    for dialect in Dialect::of_engine(session.engine()) {
        if is_understood(session, dialect, missing).await? {
            return Ok(Some(dialect.clone()));
        }
    }
    Ok(None)
}

/// Returns whether a server answers each detection statement of a dialect with a value other than
/// "no".
async fn is_understood(
    session: &mut dyn Session,
    dialect: &Dialect,
    missing: &mut Option<&'static str>,
) -> Result<bool> {
    for sql in &*dialect.detection {
        match session.query(sql).await {
            Ok(rows) => {
                // The last column: `SHOW VARIABLES` answers with the name and then the value.
                let value = rows.rows().first().and_then(|row| row.last()?.as_deref()).unwrap_or_default();
                if value.is_empty() || is_no(value) {
                    return Ok(false);
                }
            }
            Err(error) => {
                let Some(answer) = error.server() else { return Err(error) };
                // Missing privilege: PostgreSQL's code, and MySQL's for a table, a global privilege
                // and a routine. Other codes mean that the table or function does not exist.
                if matches!(answer.code(), "42501" | "1142" | "1227" | "1370") {
                    let (name, grants) = (dialect.name(), dialect.grants);
                    *missing = Some(grants);
                    tracing::warn!(deployment = name, grants, %error,
                        "the user lacks the grants to query the topology");
                }
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Queries whether a server rejects writes.
///
/// # Errors
///
/// Returns the error of the statement.
pub(crate) async fn is_read_only(session: &mut dyn Session, dialect: &Dialect) -> Result<bool> {
    let rows = session.query(&dialect.role).await?;
    let values = rows.rows().first().map(|row| row.iter().map(Option::as_deref).collect::<Vec<_>>());
    match values.as_deref() {
        None | Some([]) => Err(unreadable(dialect, "the role")),
        // The server accepts writes only if every value is "no".
        Some(values) => Ok(!values.iter().all(|value| value.is_some_and(is_no))),
    }
}

/// Runs all queries on an instance; without a cluster its id is the dialled one.
///
/// # Errors
///
/// Returns the error of a statement, or a driver error for a malformed answer.
pub(crate) async fn ask(
    session: &mut dyn Session,
    dialect: &Dialect,
    dialled: Option<&Arc<str>>,
) -> Result<Answer> {
    // Several statements are no snapshot: a failover in between shows as answers that disagree.
    let is_read_only = is_read_only(session, dialect).await?;
    if !dialect.discovers() {
        let id = dialled.cloned().unwrap_or_else(|| "".into());
        return Ok(Answer { id, is_writer: !is_read_only, is_read_only, rows: Vec::new() });
    }
    let identity = session.query(&dialect.identity).await?;
    let own = identity.rows().first().and_then(|row| Some((row.first()?.clone()?, row.get(1)?.clone()?)));
    let (own_key, id) = own.ok_or_else(|| unreadable(dialect, "the instance id"))?;
    let writer = session.query(&dialect.writer).await?;
    let table = session.query(&dialect.topology).await?;
    let (is_writer, rows) = match dialect.layout {
        Layout::MultiAz { source } => {
            // Both engines name the source of a replica here; only the writer has none but itself.
            let is_writer = writer.rows().is_empty();
            let key = if is_writer { Some(own_key) } else { column(&writer, source) };
            (is_writer, multi_az(&table, key.as_deref()))
        }
        _ => (!writer.rows().is_empty(), aurora(&table)),
    };
    Ok(Answer { id: id.into(), is_writer, is_read_only, rows: tidied(rows) })
}

/// Parses Aurora's rows: id, whether it is the writer, CPU, lag in ms, time of update.
fn aurora(table: &Rows) -> Vec<Row> {
    let read = |row: &Vec<Option<String>>| {
        let text = |at: usize| row.get(at).and_then(Option::as_deref);
        Some(Row {
            id: text(0)?.into(),
            is_writer: matches!(text(1), Some("t" | "1" | "true")),
            cpu: text(2).and_then(|cpu| cpu.parse().ok()),
            lag: text(3)
                .and_then(|lag| lag.parse::<f64>().ok())
                .and_then(|millis| Duration::try_from_secs_f64(millis / 1000.0).ok()),
            updated: text(4).map(str::to_owned),
        })
    };
    table.rows().iter().filter_map(read).collect()
}

/// Parses the rows of a Multi-AZ DB cluster: resource id and endpoint; `writer` is a resource id.
fn multi_az(table: &Rows, writer: Option<&str>) -> Vec<Row> {
    let read = |row: &Vec<Option<String>>| {
        let (key, endpoint) = (row.first()?.as_deref()?, row.get(1)?.as_deref()?);
        // The row's domain and port are ignored: only the pattern decides where instances are.
        let id = endpoint.split('.').next().unwrap_or(endpoint);
        let is_writer = writer == Some(key);
        Some(Row { id: id.into(), is_writer, cpu: None, lag: None, updated: None })
    };
    table.rows().iter().filter_map(read).collect()
}

/// Keeps the newer row of an instance listed twice, and the newest of several writers.
fn tidied(rows: Vec<Row>) -> Vec<Row> {
    let is_newer = |row: &Row, than: &Row| match (&row.updated, &than.updated) {
        (None, Some(_)) => true,
        // As text: both are one server's ISO timestamps, which sort like their times.
        (Some(row), Some(than)) => row > than,
        _ => false,
    };
    let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        match kept.iter_mut().find(|other| other.id.eq_ignore_ascii_case(&row.id)) {
            Some(other) if is_newer(&row, other) => *other = row,
            Some(_) => {}
            None => kept.push(row),
        }
    }
    let newest = kept.iter().enumerate().filter(|(_, row)| row.is_writer).fold(None, |newest, (at, row)| {
        newest.filter(|newest: &usize| !is_newer(row, &kept[*newest])).or(Some(at))
    });
    for (at, row) in kept.iter_mut().enumerate() {
        row.is_writer &= Some(at) == newest;
    }
    kept
}

fn column(rows: &Rows, name: &str) -> Option<String> {
    let at = rows.columns().iter().position(|column| column.eq_ignore_ascii_case(name))?;
    rows.rows().first()?.get(at)?.clone()
}

/// Returns whether a value means "no": MariaDB's `@@read_only` is a word since version 12.
fn is_no(value: &str) -> bool {
    matches!(value, "f" | "0" | "false") || value.eq_ignore_ascii_case("off")
}

fn unreadable(dialect: &Dialect, what: &str) -> Error {
    let message = format!("the server's answer lacks {what}, expected that of {}", dialect.name());
    Error::new(ErrorKind::Driver, message)
}

#[cfg(test)]
mod tests;
