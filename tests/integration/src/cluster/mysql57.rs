//! Three servers of MySQL 5.7 with a plugin that plays Aurora MySQL.
//!
//! They do not replicate: a role is no more than `read_only`, and what an instance reports is a
//! table of its own.

use std::fs;

use mysql_async::prelude::Queryable;
use rds_wrapper::Topology;

use super::{Cluster, IDS, Nodes, WRITER, address};
use crate::{
    Result,
    environment::Engine,
    mysql::{Oracle, administrator},
    prerequisites::Prerequisites,
    scratch::Scratch,
    service::{Plan, as_server, compile},
};

/// Run while the first instance's data is created, each statement in a line of its own.
const SET_UP: &str = "\
CREATE USER 'app'@'%' IDENTIFIED BY 'app password' REQUIRE SSL;
CREATE DATABASE aurora;
CREATE TABLE aurora.instances (id VARCHAR(63) PRIMARY KEY, session VARCHAR(63) NOT NULL);
CREATE SQL SECURITY INVOKER VIEW aurora.replica_host_status AS SELECT id AS SERVER_ID, \
session AS SESSION_ID, \
1.5 AS CPU, 12 AS REPLICA_LAG_IN_MILLISECONDS, NOW(6) AS LAST_UPDATE_TIMESTAMP FROM aurora.instances;
GRANT SELECT ON aurora.* TO 'app'@'%';
CREATE DATABASE app;
CREATE TABLE app.beats (at TIMESTAMP);
GRANT INSERT, SELECT ON app.* TO 'app'@'%';
";

/// A cluster of MySQL 5.7 servers.
pub(crate) struct Mysql57(Nodes);

impl Cluster for Mysql57 {
    const ENGINE: Engine = Engine::Mysql;

    async fn start(prerequisites: &Prerequisites, scratch: &Scratch, name: &str) -> Result<Self> {
        let mut cluster = Self(Nodes::prepare(prerequisites, scratch, name)?);
        let folder = cluster.0.folder.clone();
        let oracle = Oracle::copy(prerequisites, &folder)?;
        compile("aurora_plugin.c", &folder.join("aurora_plugin.so"), &[])?;
        let set_up = folder.join("set_up.sql");
        fs::write(&set_up, SET_UP)?;
        for id in IDS {
            let set_up = format!("--init-file={}", set_up.display());
            oracle.initialize(prerequisites, &cluster.0.folder(id), &[SMALL_LOG, &set_up])?;
            cluster.run(prerequisites, &oracle, id)?;
        }
        cluster.report(&rows("a")).await?;
        cluster.take_writes("a", true).await?;
        Ok(cluster)
    }

    fn nodes(&self) -> &Nodes {
        &self.0
    }

    fn nodes_mut(&mut self) -> &mut Nodes {
        &mut self.0
    }

    fn topology() -> Topology {
        Topology::default()
    }

    fn kill(&mut self, id: &str) -> Result<()> {
        self.0.end(id, "KILL")
    }

    async fn step_down(&mut self, id: &str) -> Result<()> {
        self.take_writes(id, false).await?;
        let mut connection = administrator(&self.0.folder(id)).await?;
        let of_application =
            format!("SELECT id FROM information_schema.processlist WHERE user = '{}'", WRITER.0);
        let sessions: Vec<u64> = connection.query(of_application).await?;
        for session in sessions {
            // An error is that of a session that has ended meanwhile.
            let _ = connection.query_drop(format!("KILL {session}")).await;
        }
        Ok(connection.disconnect().await?)
    }

    async fn promote(&self, id: &str) -> Result<()> {
        self.report(&rows(id)).await?;
        self.take_writes(id, true).await
    }
}

/// The default of 48 MB, twice for each instance, takes longer to write than all else.
const SMALL_LOG: &str = "--innodb-log-file-size=4M";

impl Mysql57 {
    fn run(&mut self, prerequisites: &Prerequisites, oracle: &Oracle, id: &'static str) -> Result<()> {
        let folder = self.0.folder(id);
        let within = |name: &str| folder.join(name).display().to_string();
        let mut command = as_server(prerequisites, oracle.program());
        command.arg("--no-defaults").args(oracle.arguments()).arg(SMALL_LOG).current_dir(&folder);
        let settings = [
            ("datadir", within("data")),
            ("tmpdir", folder.display().to_string()),
            ("socket", within("server.socket")),
            ("pid-file", within("server.pid")),
            ("bind-address", address(id).to_string()),
            ("port", self.0.port.to_string()),
            ("ssl-ca", self.0.certificates.authority.display().to_string()),
            ("ssl-cert", self.0.certificates.certificate.display().to_string()),
            ("ssl-key", self.0.certificates.key.display().to_string()),
            ("plugin-dir", self.0.folder.display().to_string()),
            ("plugin-load-add", "aurora_plugin.so".to_owned()),
            ("aurora-server-id", id.to_owned()),
            ("read-only", "ON".to_owned()),
            ("performance-schema", "OFF".to_owned()),
            ("innodb-buffer-pool-size", "8M".to_owned()),
            ("innodb-flush-log-at-trx-commit", "0".to_owned()),
        ];
        command.args(settings.map(|(name, value)| format!("--{name}={value}"))).arg("--skip-name-resolve");
        let log = folder.join("server.log");
        let ready = "ready for connections";
        self.0.run(id, command, &Plan { name: "MySQL 5.7", ready, signal: "TERM", log: &log })
    }

    /// Changes the role of an instance, whose sessions stay.
    pub(crate) async fn take_writes(&self, id: &str, takes: bool) -> Result<()> {
        let mut connection = administrator(&self.0.folder(id)).await?;
        connection.query_drop(format!("SET GLOBAL read_only = {}", u8::from(!takes))).await?;
        Ok(connection.disconnect().await?)
    }

    /// Sets the rows that all running instances report: ids and sessions.
    pub(crate) async fn report(&self, rows: &[(String, String)]) -> Result<()> {
        for id in self.0.running() {
            let mut connection = administrator(&self.0.folder(id)).await?;
            connection.query_drop("BEGIN").await?;
            connection.query_drop("DELETE FROM aurora.instances").await?;
            connection.exec_batch("INSERT INTO aurora.instances VALUES (?, ?)", rows.to_vec()).await?;
            connection.query_drop("COMMIT").await?;
            connection.disconnect().await?;
        }
        Ok(())
    }
}

/// Returns the rows of a cluster with this writer.
pub(crate) fn rows(writer: &str) -> Vec<(String, String)> {
    let session = |id: &str| if id == writer { "MASTER_SESSION_ID".to_owned() } else { format!("0c1e-{id}") };
    IDS.map(|id| (id.to_owned(), session(id))).into()
}
