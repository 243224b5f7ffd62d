//! The few statements that the server understands.

use super::signal::Signal;
use crate::rows::Type;
use crate::sql;

/// A parsed statement; its result is determined when it runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Statement {
    Begin(&'static str),
    Command(&'static str),
    Empty,
    End(&'static str),
    /// Answered by the test or the cluster.
    Known(String),
    Rows {
        tag: &'static str,
        columns: Vec<Column>,
    },
    Signal(Signal),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) value: Expression,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Expression {
    CurrentUser,
    Database,
    InRecovery,
    Integer(i32),
    Nothing,
    Pid,
    ReadOnly,
    Version,
}

impl Statement {
    /// Parses one statement; `is_known` returns whether the test or the cluster answers it.
    pub(super) fn parse(sql: &str, is_known: impl Fn(&str) -> bool) -> Option<Self> {
        if is_known(sql) {
            return Some(Self::Known(sql.trim().trim_end_matches(';').to_owned()));
        }
        if let Some(signal) = Signal::parse(sql) {
            return Some(Self::Signal(signal));
        }
        let sql = sql.trim().trim_end_matches(';').split_whitespace().collect::<Vec<_>>().join(" ");
        let lower = sql.to_ascii_lowercase();
        let (keyword, rest) = lower.split_once(' ').unwrap_or((&lower, ""));
        Some(match keyword {
            "" => Self::Empty,
            "select" => {
                Self::Rows { tag: "SELECT 1", columns: rest.split(',').map(select).collect::<Option<_>>()? }
            }
            "show" => Self::Rows { tag: "SHOW", columns: vec![show(rest)?] },
            "begin" => Self::Begin("BEGIN"),
            "start" => Self::Begin("START TRANSACTION"),
            "commit" | "end" => Self::End("COMMIT"),
            "rollback" | "abort" => Self::End("ROLLBACK"),
            "close" => Self::Command("CLOSE CURSOR ALL"),
            "deallocate" => Self::Command("DEALLOCATE ALL"),
            "discard" => Self::Command("DISCARD ALL"),
            "reset" => Self::Command("RESET"),
            "set" => Self::Command("SET"),
            "unlisten" => Self::Command("UNLISTEN"),
            _ => return None,
        })
    }

    /// Parses the statements of one query string, or returns the first unknown one.
    pub(super) fn parse_all(sql: &str, is_known: impl Fn(&str) -> bool) -> Result<Vec<Self>, &str> {
        let statements = sql::split(sql)
            .into_iter()
            .map(|part| Self::parse(part, &is_known).ok_or(part))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(if statements.is_empty() { vec![Self::Empty] } else { statements })
    }
}

impl Expression {
    pub(super) fn kind(&self) -> Type {
        match self {
            Self::InRecovery => Type::Bool,
            Self::Integer(_) | Self::Pid => Type::Int4,
            Self::CurrentUser | Self::Database | Self::Nothing | Self::ReadOnly | Self::Version => Type::Text,
        }
    }
}

/// Parses one item of a select list, with its cast and alias.
fn select(item: &str) -> Option<Column> {
    let (item, alias) = match item.trim().split_once(" as ") {
        Some((item, alias)) => (item, Some(alias.trim().trim_matches('"'))),
        None => (item.trim(), None),
    };
    let (item, cast) = item.split_once("::").unwrap_or((item, ""));
    let item = item.strip_prefix("pg_catalog.").unwrap_or(item);
    let (name, value) = match item {
        "current_database()" | "current_catalog" => ("current_database", Expression::Database),
        "current_setting('transaction_read_only')" => ("current_setting", Expression::ReadOnly),
        "current_user" | "session_user" | "user" => (item, Expression::CurrentUser),
        "pg_advisory_unlock_all()" => ("pg_advisory_unlock_all", Expression::Nothing),
        "pg_backend_pid()" => ("pg_backend_pid", Expression::Pid),
        "pg_is_in_recovery()" => ("pg_is_in_recovery", Expression::InRecovery),
        "version()" => ("version", Expression::Version),
        number => ("?column?", Expression::Integer(number.parse().ok()?)),
    };
    let is_own_type = match value.kind() {
        Type::Bool => matches!(cast, "" | "bool" | "boolean"),
        Type::Int4 => matches!(cast, "" | "int" | "int4" | "integer"),
        _ => matches!(cast, "" | "text"),
    };
    is_own_type.then(|| Column { name: alias.unwrap_or(name).to_owned(), value })
}

fn show(setting: &str) -> Option<Column> {
    let value = match setting {
        "server_version" => Expression::Version,
        "transaction_read_only" | "default_transaction_read_only" => Expression::ReadOnly,
        _ => return None,
    };
    Some(Column { name: setting.to_owned(), value })
}
