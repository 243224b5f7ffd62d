//! A PostgreSQL primary with two streaming standbys.

use std::{fs, path::Path};

use rds_wrapper::{Topology, topology::Dialect};
use tokio_postgres::NoTls;

use super::{Cluster, IDS, Nodes, address};
use crate::{
    Result,
    environment::Engine,
    prerequisites::Prerequisites,
    scratch::Scratch,
    service::{Plan, as_server, finish},
};

const ACCESS: &str = "\
local   all         rdsadmin             trust
host    replication rdsadmin 127.0.0.0/8 trust
hostssl all         app      127.0.0.0/8 scram-sha-256
";

/// The functions report the rows of a file, which every instance reads at every call.
const FUNCTIONS: &str = "
CREATE FUNCTION pg_catalog.aurora_replica_status(
  OUT server_id text, OUT session_id text, OUT cpu double precision, OUT replica_lag_in_msec integer,
  OUT last_update_timestamp timestamptz)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT j->>'id', j->>'session', (j->>'cpu')::float8, (j->>'lag')::int,
         CASE WHEN j ? 'age' THEN now() - make_interval(secs => (j->>'age')::float8) END
  FROM jsonb_array_elements(pg_catalog.pg_read_file('FILE')::jsonb) j $$;
CREATE FUNCTION pg_catalog.aurora_db_instance_identifier() RETURNS text LANGUAGE sql STABLE
  AS $$ SELECT current_setting('cluster_name') $$;
CREATE ROLE app LOGIN PASSWORD 'app password';
CREATE TABLE public.beats (at timestamptz);
GRANT INSERT, SELECT ON public.beats TO app";

/// A cluster of PostgreSQL servers.
pub(crate) struct Postgres(Nodes);

impl Cluster for Postgres {
    const ENGINE: Engine = Engine::Postgres;

    async fn start(prerequisites: &Prerequisites, scratch: &Scratch, name: &str) -> Result<Self> {
        let programs = prerequisites.postgres().ok_or("PostgreSQL is gone")?;
        let mut cluster = Self(Nodes::prepare(prerequisites, scratch, name)?);
        fs::write(cluster.0.folder.join("pg_hba.conf"), ACCESS)?;
        cluster.tell("a")?;

        let mut initdb = as_server(prerequisites, programs.join("initdb"));
        initdb.args([
            "--username=rdsadmin",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
            "-D",
        ]);
        initdb.arg(cluster.0.data("a")).current_dir(&cluster.0.folder);
        finish(initdb)?;
        cluster.run(prerequisites, &programs, "a")?;
        let file = cluster.0.folder.join("topology.json").display().to_string();
        cluster.administer("a", &FUNCTIONS.replace("FILE", &file)).await?;
        // Copied after the functions exist, which a standby cannot create itself.
        for id in &IDS[1..] {
            let mut copy = as_server(prerequisites, programs.join("pg_basebackup"));
            copy.args(["--username=rdsadmin", "--checkpoint=fast", "--no-sync", "--write-recovery-conf"]);
            copy.args(["--wal-method=stream", "--host", &address("a").to_string()]);
            copy.args(["--port", &cluster.0.port.to_string(), "--pgdata"]).arg(cluster.0.data(id));
            copy.current_dir(&cluster.0.folder);
            finish(copy)?;
            cluster.run(prerequisites, &programs, id)?;
        }
        Ok(cluster)
    }

    fn nodes(&self) -> &Nodes {
        &self.0
    }

    fn nodes_mut(&mut self) -> &mut Nodes {
        &mut self.0
    }

    fn topology() -> Topology {
        // PostgreSQL does not list the setting that marks a server as Aurora.
        Topology::builder().dialect(Dialect::aurora_postgres()).build()
    }

    fn kill(&mut self, id: &str) -> Result<()> {
        // An immediate shutdown drops the connections.
        self.0.end(id, "QUIT")
    }

    async fn step_down(&mut self, id: &str) -> Result<()> {
        // A fast shutdown tells the clients by 57P01.
        self.0.end(id, "INT")
    }

    async fn promote(&self, id: &str) -> Result<()> {
        self.tell(id)?;
        self.administer(id, "SELECT pg_catalog.pg_promote(true, 30)").await
    }
}

impl Postgres {
    fn run(&mut self, prerequisites: &Prerequisites, programs: &Path, id: &'static str) -> Result<()> {
        let folder = self.0.folder(id);
        let mut command = as_server(prerequisites, programs.join("postgres"));
        command.arg("-D").arg(self.0.data(id)).current_dir(&folder);
        // Nothing is synced to disk: the data is removed with the folder.
        let settings = [
            ("cluster_name", id.to_owned()),
            ("hba_file", self.0.folder.join("pg_hba.conf").display().to_string()),
            ("listen_addresses", address(id).to_string()),
            ("port", self.0.port.to_string()),
            ("unix_socket_directories", folder.display().to_string()),
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", self.0.certificates.certificate.display().to_string()),
            ("ssl_key_file", self.0.certificates.key.display().to_string()),
            ("fsync", "off".to_owned()),
        ];
        for (name, value) in settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let log = folder.join("postgres.log");
        let ready = "database system is ready to accept";
        self.0.run(id, command, &Plan { name: "PostgreSQL", ready, signal: "QUIT", log: &log })
    }

    async fn administer(&self, id: &str, sql: &str) -> Result<()> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.0.folder(id)).port(self.0.port).user("rdsadmin").dbname("postgres");
        let (client, connection) = config.connect(NoTls).await?;
        let task = tokio::spawn(connection);
        client.batch_execute(sql).await?;
        drop(client);
        task.await??;
        Ok(())
    }

    /// Writes what the instances report.
    fn tell(&self, writer: &str) -> Result<()> {
        let rows = IDS.map(|id| match id == writer {
            true => format!(r#"{{"id":"{id}","session":"MASTER_SESSION_ID","cpu":3.5,"age":0}}"#),
            false => format!(r#"{{"id":"{id}","session":"0c1e-{id}","cpu":1.5,"lag":12,"age":1}}"#),
        });
        // Renamed into place, so that `pg_read_file` never reads half of it.
        let new = self.0.folder.join("topology.new");
        fs::write(&new, format!("[{}]", rows.join(",")))?;
        Ok(fs::rename(new, self.0.folder.join("topology.json"))?)
    }
}
