//! The statements by which the wrapper family queries a server for its cluster.
//!
//! They are matched in canonical form, see [`sql::canonical`](crate::sql::canonical), with or
//! without schema qualifiers.

mod aurora;
mod multi_az;

use std::time::{Duration, SystemTime};

use super::Deployment;
use super::view::Instance;
use crate::rows::{Rows, Value};
use crate::server::Engine;
use crate::server_error::ServerError;

/// A row not updated for longer belongs to a removed instance.
const OLDEST: Duration = Duration::from_secs(300);

type Answer = Option<Result<Rows, ServerError>>;

/// A node's report about the cluster and itself.
pub(super) struct Topology {
    pub(super) deployment: Deployment,
    pub(super) domain: String,
    pub(super) port: u16,
    pub(super) id: String,
    pub(super) claims_writer: Option<bool>,
    pub(super) is_read_only: bool,
    pub(super) reports_read_only: Option<bool>,
    pub(super) instances: Vec<Instance>,
    pub(super) now: SystemTime,
}

impl Topology {
    /// Returns whether the node answers that it is the writer.
    fn is_writer(&self) -> bool {
        let is_own = |instance: &Instance| instance.is_writer && instance.id == self.id;
        self.claims_writer.unwrap_or_else(|| self.instances.iter().any(is_own))
    }

    fn reports_read_only(&self) -> bool {
        self.reports_read_only.unwrap_or(self.is_read_only)
    }

    fn endpoint(&self, id: &str) -> String {
        format!("{id}.{}", self.domain)
    }
}

/// Answers a statement about the cluster; `None` for any other.
pub(super) fn answer(canonical: &str, topology: &Topology) -> Answer {
    let answer = match topology.deployment {
        Deployment::AuroraMysql => aurora::mysql(canonical, topology),
        Deployment::AuroraPostgres => aurora::postgres(canonical, topology),
        Deployment::MultiAzMysql => multi_az::mysql(canonical, topology),
        Deployment::MultiAzPostgres => multi_az::postgres(canonical, topology),
        Deployment::InstanceMysql | Deployment::InstancePostgres => None,
    };
    answer.or_else(|| answer_without_cluster(topology.deployment.engine(), canonical))
}

/// Answers as a server outside of any cluster, where these functions, tables and variables do not
/// exist.
pub(crate) fn answer_without_cluster(engine: Engine, canonical: &str) -> Answer {
    let has = |text: &str| canonical.contains(text);
    let error = |code: &str, message: &str| Some(Err(ServerError::new(code, message)));
    match engine {
        Engine::Postgres => {
            let functions = ["aurora_replica_status", "aurora_db_instance_identifier", "aurora_version"];
            if let Some(function) = functions.iter().find(|name| has(&format!("{name} ( )"))) {
                return error("42883", &format!("function {function}() does not exist"));
            }
            if has("rds_tools .") {
                return error("3F000", "schema \"rds_tools\" does not exist");
            }
            let is_settings = has("from pg_settings where name = 'rds.extensions'");
            is_settings.then(|| Ok(Rows::new([column(canonical)])))
        }
        Engine::Mysql if canonical.starts_with("show variables like '") => {
            Some(Ok(Rows::new(["Variable_name", "Value"])))
        }
        Engine::Mysql if matches!(canonical, "show replica status" | "show slave status") => {
            Some(Ok(Rows::new(["Source_Server_Id"])))
        }
        Engine::Mysql if canonical.contains("from information_schema . tables where") => {
            Some(Ok(Rows::new([column(canonical)])))
        }
        Engine::Mysql if has("@@aurora_server_id") => {
            error("1193", "Unknown system variable 'aurora_server_id'")
        }
        Engine::Mysql if has("information_schema . replica_host_status") => {
            error("1109", "Unknown table 'REPLICA_HOST_STATUS' in information_schema")
        }
        Engine::Mysql if has("mysql . rds_topology") => {
            error("1146", "Table 'mysql.rds_topology' doesn't exist")
        }
        Engine::Mysql => None,
    }
}

/// Answers `SHOW VARIABLES LIKE` for one existing variable.
fn variable(canonical: &str, name: &str, value: &str) -> Option<Rows> {
    let is_asked = canonical == format!("show variables like '{name}'");
    is_asked.then(|| Rows::one([("Variable_name", Value::from(name)), ("Value", value.into())]))
}

/// Returns the name of a statement's first column: its alias, or itself.
fn column(canonical: &str) -> String {
    let list = canonical.strip_prefix("select ").unwrap_or(canonical);
    let item = list.split(" from ").next().unwrap_or(list);
    item.rsplit(" as ").next().unwrap_or(item).to_owned()
}

#[cfg(test)]
mod tests;
