//! Aurora: `aurora_replica_status()` and `information_schema.replica_host_status`.

use super::{Answer, OLDEST, Topology, column, variable};
use crate::cluster::view::Instance;
use crate::rows::{Rows, Type, Value};
use crate::server::Engine;
use crate::sql;

const POSTGRES_VERSION: &str = "16.4.1";
const MYSQL_VERSION: &str = "3.08.0";

/// The engine-specific parts of the statements.
struct Dialect {
    engine: Engine,
    table: &'static str,
    recent: &'static str,
    own_row: &'static str,
}

const POSTGRES: Dialect = Dialect {
    engine: Engine::Postgres,
    table: "aurora_replica_status ( )",
    recent: "EXTRACT(EPOCH FROM(NOW() - LAST_UPDATE_TIMESTAMP)) <= 300 \
             OR SESSION_ID = 'MASTER_SESSION_ID' OR LAST_UPDATE_TIMESTAMP IS NULL",
    own_row: "SESSION_ID = 'MASTER_SESSION_ID' AND SERVER_ID = aurora_db_instance_identifier()",
};

const MYSQL: Dialect = Dialect {
    engine: Engine::Mysql,
    table: "information_schema . replica_host_status",
    recent: "time_to_sec(timediff(now(), LAST_UPDATE_TIMESTAMP)) <= 300 OR SESSION_ID = 'MASTER_SESSION_ID'",
    own_row: "SESSION_ID = 'MASTER_SESSION_ID' AND SERVER_ID = @@aurora_server_id",
};

pub(super) fn postgres(canonical: &str, topology: &Topology) -> Answer {
    if canonical.contains("from pg_settings where name = 'rds.extensions'") {
        let value = match canonical.contains("like '%aurora_stat_utils%'") {
            true => true.into(),
            false => Value::from("aurora_stat_utils,pg_stat_statements"),
        };
        return Some(Ok(Rows::one([(column(canonical), value)])));
    }
    POSTGRES.answer(canonical, topology).map(Ok)
}

pub(super) fn mysql(canonical: &str, topology: &Topology) -> Answer {
    variable(canonical, "aurora_version", MYSQL_VERSION).or_else(|| MYSQL.answer(canonical, topology)).map(Ok)
}

impl Dialect {
    fn answer(&self, canonical: &str, topology: &Topology) -> Option<Rows> {
        let list = canonical.strip_prefix("select ")?;
        let (list, instances) = match list.split_once(&format!(" from {}", self.table)) {
            Some((list, rest)) => (list, self.rows(rest.trim_start(), topology)?),
            // Without a table the answer is one row, about this server.
            None if list.contains(" from ") => return None,
            None => (list, vec![Instance::reader(&*topology.id)]),
        };
        let is_table = canonical.contains(self.table);
        let items = sql::items(list);
        let mut columns = Vec::with_capacity(items.len());
        for item in &items {
            let (expression, name) = item.split_once(" as ").unwrap_or((item, item));
            let kind = self.kind(expression, is_table)?;
            columns.push((expression, name.split(' ').next().unwrap_or(name), kind));
        }
        let typed = Rows::typed(columns.iter().map(|(_, name, kind)| (*name, *kind)));
        // Statements about other settings are answered by the server itself.
        let is_own = is_table || columns.iter().any(|(expression, ..)| expression.contains("aurora_"));
        is_own.then(|| {
            instances.iter().fold(typed, |rows, instance| {
                rows.row(columns.iter().map(|(item, ..)| self.value(item, instance, topology)))
            })
        })
    }

    /// Returns the rows that satisfy a statement's condition.
    fn rows(&self, rest: &str, topology: &Topology) -> Option<Vec<Instance>> {
        let (condition, limit) = match rest.split_once("limit ") {
            Some((condition, limit)) => (condition.trim_end(), limit.parse().ok()?),
            None => (rest, usize::MAX),
        };
        let is_recent = |instance: &Instance| instance.age <= OLDEST || instance.is_writer;
        let rows = topology.instances.iter().cloned();
        let rows: Vec<Instance> = match condition.strip_prefix("where ") {
            None if condition.is_empty() => rows.collect(),
            Some(condition) if condition == sql::canonical(self.recent) => rows.filter(is_recent).collect(),
            Some(condition) if condition == sql::canonical(self.own_row) => {
                let own = Instance::writer(&*topology.id);
                topology.is_writer().then_some(own).into_iter().collect()
            }
            Some("session_id = 'MASTER_SESSION_ID'") => rows.filter(|row| row.is_writer).collect(),
            _ => return None,
        };
        Some(rows.into_iter().take(limit).collect())
    }

    /// Returns the type of an item of a select list; `None` for an unknown one.
    fn kind(&self, item: &str, is_table: bool) -> Option<Type> {
        let number = item.parse::<i32>().is_ok().then_some(Type::Int4);
        let own = match (item, self.engine) {
            ("aurora_db_instance_identifier ( )" | "aurora_version ( )", Engine::Postgres) => {
                Some(Type::Text)
            }
            ("pg_is_in_recovery ( )", Engine::Postgres) => Some(Type::Bool),
            ("@@aurora_server_id" | "@@aurora_version", Engine::Mysql) => Some(Type::Text),
            ("@@innodb_read_only" | "@@read_only", Engine::Mysql) => Some(Type::Int8),
            _ => None,
        };
        let of_table = match item {
            "server_id" | "session_id" => Some(Type::Text),
            "cpu" => Some(Type::Float8),
            "last_update_timestamp" => Some(Type::Timestamp),
            item if is_role(item) => Some(Type::Bool),
            item if is_lag(item) => Some(Type::Int4),
            _ => None,
        };
        number.or(own).or(of_table.filter(|_| is_table))
    }

    fn value(&self, item: &str, instance: &Instance, topology: &Topology) -> Value {
        match item {
            "server_id" => instance.id.clone().into(),
            "session_id" if instance.is_writer => "MASTER_SESSION_ID".into(),
            "session_id" => session_id(&instance.id).into(),
            "cpu" => instance.cpu.into(),
            // Since Aurora PostgreSQL 13.9 an instance's own row has no update time.
            "last_update_timestamp" if self.engine == Engine::Postgres && instance.id == topology.id => {
                Value::Null
            }
            "last_update_timestamp" => (topology.now - instance.age).into(),
            "aurora_db_instance_identifier ( )" | "@@aurora_server_id" => topology.id.clone().into(),
            "aurora_version ( )" => POSTGRES_VERSION.into(),
            "@@aurora_version" => MYSQL_VERSION.into(),
            "pg_is_in_recovery ( )" => topology.reports_read_only().into(),
            "@@innodb_read_only" | "@@read_only" => i64::from(topology.reports_read_only()).into(),
            item if is_role(item) => instance.is_writer.into(),
            // The writer has no lag.
            item if is_lag(item) && instance.is_writer && !item.starts_with("coalesce") => Value::Null,
            item if is_lag(item) => i32::try_from(instance.lag.as_millis()).unwrap_or(i32::MAX).into(),
            number => number.parse::<i32>().ok().into(),
        }
    }
}

fn is_role(item: &str) -> bool {
    item == "case when session_id = 'MASTER_SESSION_ID' then true else false end"
}

fn is_lag(item: &str) -> bool {
    let columns = ["replica_lag_in_msec", "replica_lag_in_milliseconds"];
    columns.iter().any(|column| item == *column || item == format!("coalesce ( {column} , 0 )"))
}

/// Returns a reader's session id, in the form of a UUID.
fn session_id(id: &str) -> String {
    let hex = crate::hash::hex(&crate::hash::sha256(id.as_bytes()));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}
