//! A PostgreSQL primary with two streaming standbys that answer the topology queries of Aurora.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::Command,
};

use tokio_postgres::NoTls;

use crate::{
    Result,
    certificates::Certificates,
    prerequisites::Prerequisites,
    scratch::{Scratch, free_port, hand_over},
    service::{Plan, Service, as_server, finish},
};

/// What follows the ids of the instances in their names.
pub(crate) const DOMAIN: &str = "abc123.us-east-2.rds.amazonaws.com";

/// The writer endpoint, whose name stays with the first writer, as DNS that is stale.
pub(crate) const ENDPOINT: &str = "app.cluster-abc123.us-east-2.rds.amazonaws.com";

/// Who writes, and the password.
pub(crate) const WRITER: (&str, &str) = ("app", "app password");

/// The instances, the first writer first.
pub(crate) const IDS: [&str; 3] = ["a", "b", "c"];

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

/// A running cluster, stopped on drop.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    folder: PathBuf,
    port: u16,
    certificates: Certificates,
}

struct Node {
    id: &'static str,
    folder: PathBuf,
    service: Service,
    is_frozen: bool,
}

impl Cluster {
    /// Starts a cluster in a folder of this name.
    pub(crate) async fn start(prerequisites: &Prerequisites, scratch: &Scratch, name: &str) -> Result<Self> {
        let programs = prerequisites.postgres().ok_or("PostgreSQL is gone")?;
        let folder = scratch.folder(prerequisites, name)?;
        let names = IDS.map(|id| format!("{id}.{DOMAIN}"));
        let certificates = Certificates::issue(&folder, [ENDPOINT, &names[0], &names[1], &names[2]])?;
        fs::write(folder.join("pg_hba.conf"), ACCESS)?;
        tell(&folder, "a")?;
        IDS.iter().try_for_each(|id| fs::create_dir(folder.join(id)))?;
        hand_over(prerequisites, &folder)?;
        let mut cluster = Self { nodes: Vec::new(), port: free_port()?, folder, certificates };

        let mut initdb = as_server(prerequisites, programs.join("initdb"));
        initdb.args([
            "--username=rdsadmin",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
            "-D",
        ]);
        initdb.arg(cluster.data("a")).current_dir(&cluster.folder);
        finish(initdb)?;
        cluster.run(prerequisites, &programs, "a")?;
        let file = cluster.folder.join("topology.json").display().to_string();
        cluster.administer("a", &FUNCTIONS.replace("FILE", &file)).await?;
        // Copied after the functions exist, which a standby cannot create itself.
        for id in &IDS[1..] {
            let mut copy = as_server(prerequisites, programs.join("pg_basebackup"));
            copy.args(["--username=rdsadmin", "--checkpoint=fast", "--no-sync", "--write-recovery-conf"]);
            copy.args(["--wal-method=stream", "--host", &address("a").to_string()]);
            copy.args(["--port", &cluster.port.to_string(), "--pgdata"]).arg(cluster.data(id));
            copy.current_dir(&cluster.folder);
            finish(copy)?;
            cluster.run(prerequisites, &programs, id)?;
        }
        Ok(cluster)
    }

    fn run(&mut self, prerequisites: &Prerequisites, programs: &Path, id: &'static str) -> Result<()> {
        let folder = self.folder.join(id);
        let mut command = as_server(prerequisites, programs.join("postgres"));
        command.arg("-D").arg(self.data(id)).current_dir(&folder);
        // The instances share a port and differ in their address, as those of a cluster on AWS do.
        // Nothing is synced to disk: the data is removed with the folder.
        let settings = [
            ("cluster_name", id.to_owned()),
            ("hba_file", self.folder.join("pg_hba.conf").display().to_string()),
            ("listen_addresses", address(id).to_string()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", folder.display().to_string()),
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", self.certificates.certificate.display().to_string()),
            ("ssl_key_file", self.certificates.key.display().to_string()),
            ("fsync", "off".to_owned()),
        ];
        for (name, value) in settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let log = folder.join("postgres.log");
        let ready = "database system is ready to accept";
        let service =
            Service::start(command, &Plan { name: "PostgreSQL", ready, signal: "QUIT", log: &log })?;
        self.nodes.push(Node { id, folder, service, is_frozen: false });
        Ok(())
    }

    fn data(&self, id: &str) -> PathBuf {
        self.folder.join(id).join("data")
    }

    /// The authority of the instances' certificate.
    pub(crate) fn authority(&self) -> &Path {
        &self.certificates.authority
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address behind a name.
    pub(crate) fn resolve(host: &str) -> std::io::Result<Vec<IpAddr>> {
        let id = if host == ENDPOINT { Some("a") } else { host.strip_suffix(DOMAIN) };
        let id =
            id.map(|id| id.trim_end_matches('.')).and_then(|id| IDS.into_iter().find(|known| *known == id));
        id.map(|id| vec![address(id).into()]).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    /// Ends the writer: at once, or after it has told its clients.
    pub(crate) fn stop(&self, id: &str, is_immediate: bool) -> Result<()> {
        // An immediate shutdown drops the connections; a fast one sends 57P01 before.
        self.node(id)?.service.send(if is_immediate { "QUIT" } else { "INT" })
    }

    /// Lets an instance stand still with all its connections open.
    pub(crate) fn freeze(&mut self, id: &str) -> Result<()> {
        // The parent stops first, so that it forks no process that is missing in the list.
        let node = self.nodes.iter_mut().find(|node| node.id == id).ok_or("there is no such instance")?;
        node.service.send("STOP")?;
        node.is_frozen = true;
        signal("STOP", &children(node.service.id())?)
    }

    /// Makes a standby the writer, and says so.
    pub(crate) async fn promote(&self, id: &str) -> Result<()> {
        tell(&self.folder, id)?;
        self.administer(id, "SELECT pg_catalog.pg_promote(true, 30)").await
    }

    async fn administer(&self, id: &str, sql: &str) -> Result<()> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.node(id)?.folder).port(self.port).user("rdsadmin").dbname("postgres");
        let (client, connection) = config.connect(NoTls).await?;
        let task = tokio::spawn(connection);
        client.batch_execute(sql).await?;
        drop(client);
        task.await??;
        Ok(())
    }

    fn node(&self, id: &str) -> Result<&Node> {
        Ok(self.nodes.iter().find(|node| node.id == id).ok_or("there is no such instance")?)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A stopped process hears no other signal.
        for node in self.nodes.iter().filter(|node| node.is_frozen) {
            let _ = node.service.send("QUIT");
            let mut all = children(node.service.id()).unwrap_or_default();
            all.push(node.service.id());
            let _ = signal("CONT", &all);
        }
    }
}

fn address(id: &str) -> Ipv4Addr {
    let at = IDS.iter().position(|known| *known == id).unwrap_or_default();
    Ipv4Addr::new(127, 0, 1, 1 + at as u8)
}

/// Writes what the instances report.
fn tell(folder: &Path, writer: &str) -> Result<()> {
    let rows = IDS.map(|id| match id == writer {
        true => format!(r#"{{"id":"{id}","session":"MASTER_SESSION_ID","cpu":3.5,"age":0}}"#),
        false => format!(r#"{{"id":"{id}","session":"0c1e-{id}","cpu":1.5,"lag":12,"age":1}}"#),
    });
    // Renamed into place, so that `pg_read_file` never reads half of it.
    let new = folder.join("topology.new");
    fs::write(&new, format!("[{}]", rows.join(",")))?;
    Ok(fs::rename(new, folder.join("topology.json"))?)
}

/// The processes that a process has started.
fn children(parent: u32) -> Result<Vec<u32>> {
    let line = format!("PPid:\t{parent}\n");
    let processes =
        fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |id: &u32| {
        fs::read_to_string(format!("/proc/{id}/status")).is_ok_and(|status| status.contains(&line))
    };
    Ok(processes.filter(is_child).collect())
}

fn signal(name: &str, processes: &[u32]) -> Result<()> {
    // By the shell, since `std` has no call for it and `kill` is not a program everywhere.
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s \"$0\" \"$@\"", name]).args(processes.iter().map(u32::to_string));
    finish(kill)
}
