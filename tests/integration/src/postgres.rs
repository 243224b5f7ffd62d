//! A PostgreSQL server that asks for tokens through PAM, as RDS does.

use std::{
    fs,
    io::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use rds_wrapper::iam::{Clock, SystemClock};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::{
    Result,
    cases::exec::MIGRATED,
    certificates::Certificates,
    environment::{Engine, Environment, FORWARDED, HOST, OF_SECRETS, READER_HOST, REGION, USERS},
    prerequisites::Prerequisites,
    scratch::{Scratch, free_port, hand_over},
    service::{Plan, Service, as_server, compile, finish},
    verifier::Verifier,
};

/// The rules of RDS: tokens for users with `rds_iam`, passwords for the others, and no logins
/// without TLS but those that `rds-testkit` forwards.
pub(crate) const ACCESS: &str = "\
hostssl   all +rds_iam 127.0.0.1/32 pam pamservice=rds
hostssl   all all      127.0.0.1/32 scram-sha-256
hostnossl all forwarded 127.0.0.1/32 scram-sha-256
hostnossl all all      127.0.0.1/32 reject
";

/// The rule for the administrator of the suite.
const OWN_ACCESS: &str = "local all rdsadmin trust\n";

/// How long the server may take to reload its configuration.
const RELOAD: Duration = Duration::from_secs(20);

/// A running server, stopped on drop.
#[derive(Debug)]
pub(crate) struct Server {
    // Dropped in this order.
    _service: Service,
    environment: Environment,
    folder: PathBuf,
}

impl Server {
    /// Starts a server with its verifier.
    pub(crate) async fn start(prerequisites: &Prerequisites, scratch: &Scratch) -> Result<Self> {
        let programs = prerequisites.postgres().ok_or("PostgreSQL is gone")?;
        let folder = scratch.folder(prerequisites, "postgresql")?;
        let port = free_port()?;
        let certificates = Certificates::issue(&folder, [HOST, READER_HOST])?;
        let verifier = Verifier::start(prerequisites, &folder, HOST, port, REGION)?;
        let services = pam_services(&folder, &verifier.socket())?;
        fs::write(folder.join("pg_hba.conf"), format!("{OWN_ACCESS}{ACCESS}"))?;
        hand_over(prerequisites, &folder)?;

        let data = folder.join("data");
        initdb(prerequisites, &programs, &folder, &data)?;
        fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"))?.write_all(b"ssl = on\n")?;

        let mut command = as_server(prerequisites, "env");
        command.arg(format!("LD_PRELOAD={}", services.join("pam_services.so").display()));
        command.arg(format!("PAM_SERVICES={}", services.display()));
        command.arg(programs.join("postgres")).arg("-D").arg(&data).current_dir(&folder);
        let settings = [
            ("hba_file", folder.join("pg_hba.conf").display().to_string()),
            ("listen_addresses", Ipv4Addr::LOCALHOST.to_string()),
            ("port", port.to_string()),
            ("unix_socket_directories", folder.display().to_string()),
            ("ssl_cert_file", certificates.certificate.display().to_string()),
            ("ssl_key_file", certificates.key.display().to_string()),
            ("fsync", "off".to_owned()),
        ];
        for (name, value) in settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let log = folder.join("postgres.log");
        let ready = "database system is ready to accept connections";
        let service = Service::start(command, &Plan { name: "PostgreSQL", ready, signal: "INT", log: &log })?;

        let environment = Environment::new(Engine::Postgres, port, certificates, verifier);
        let server = Self { _service: service, environment, folder };
        server.create_users().await?;
        Ok(server)
    }

    /// Turns TLS on or off.
    pub(crate) async fn set_tls(&self, on: bool) -> Result<()> {
        let wanted = if on { "on" } else { "off" };
        self.administer(&[&format!("ALTER SYSTEM SET ssl = {wanted}")]).await?;
        self.reload().await
    }

    /// Presents a certificate that is about to expire, or one that lasts.
    pub(crate) async fn set_expiring_certificate(&self, expires: bool) -> Result<()> {
        self.environment.certificates().replace(expires)?;
        self.reload().await
    }

    /// Replaces [`ACCESS`] by these rules.
    pub(crate) async fn set_access(&self, rules: &str) -> Result<()> {
        fs::write(self.folder.join("pg_hba.conf"), format!("{OWN_ACCESS}{rules}"))?;
        self.reload().await
    }

    /// Reloads configuration, access rules and certificate.
    async fn reload(&self) -> Result<()> {
        // The postmaster sets this time when it reloads, and a new connection is forked from it.
        let loaded_at = "SELECT pg_conf_load_time()";
        let before = self.administer(&[loaded_at]).await?;
        self.administer(&["SELECT pg_reload_conf()"]).await?;
        let deadline = SystemClock.now() + RELOAD;
        while self.administer(&[loaded_at]).await? == before {
            if SystemClock.now() > deadline {
                return Err("PostgreSQL does not read its configuration again".into());
            }
        }
        Ok(())
    }

    async fn create_users(&self) -> Result<()> {
        let mut statements =
            vec!["CREATE ROLE rds_iam; CREATE USER legacy PASSWORD 'legacy password'".to_owned()];
        let (user, password) = FORWARDED;
        statements.push(format!("CREATE USER {user} PASSWORD '{password}'"));
        statements.push(format!("CREATE DATABASE app OWNER {user}"));
        statements
            .extend(OF_SECRETS.map(|(user, password)| format!("CREATE USER {user} PASSWORD '{password}'")));
        statements.extend(USERS.map(|user| format!("CREATE USER \"{user}\"; GRANT rds_iam TO \"{user}\"")));
        statements.push(format!("CREATE DATABASE {MIGRATED} OWNER jane"));
        self.administer(&statements.iter().map(String::as_str).collect::<Vec<_>>()).await.map(drop)
    }

    /// Runs statements in a new administrator connection, and returns the last value.
    pub(crate) async fn administer(&self, statements: &[&str]) -> Result<String> {
        let (folder, port) = (self.folder.display(), self.environment.port);
        let text = format!("host={folder} port={port} user=rdsadmin dbname=postgres");
        let (client, connection) = tokio_postgres::connect(&text, NoTls).await?;
        let task = tokio::spawn(connection);
        let mut last = String::new();
        for statement in statements {
            for message in client.simple_query(statement).await? {
                if let SimpleQueryMessage::Row(row) = message {
                    last = row.get(0).unwrap_or_default().to_owned();
                }
            }
        }
        drop(client);
        task.await??;
        Ok(last)
    }

    /// Returns the server as the suite sees it.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// A server with the same certificate that stays at the start of its recovery, stopped on drop.
pub(crate) struct Starting {
    _service: Service,
    pub(crate) port: u16,
}

impl Starting {
    /// Starts the server until it listens.
    pub(crate) fn start(prerequisites: &Prerequisites, scratch: &Scratch, of: &Server) -> Result<Self> {
        let programs = prerequisites.postgres().ok_or("PostgreSQL is gone")?;
        let folder = scratch.folder(prerequisites, "postgresql-starting")?;
        let (data, port) = (folder.join("data"), free_port()?);
        initdb(prerequisites, &programs, &folder, &data)?;
        fs::write(data.join("standby.signal"), "")?;
        hand_over(prerequisites, &folder)?;
        let certificates = of.environment.certificates();
        let mut command = as_server(prerequisites, programs.join("postgres"));
        command.arg("-D").arg(&data).current_dir(&folder);
        let settings = [
            ("listen_addresses", Ipv4Addr::LOCALHOST.to_string()),
            ("port", port.to_string()),
            ("unix_socket_directories", folder.display().to_string()),
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", certificates.certificate.display().to_string()),
            ("ssl_key_file", certificates.key.display().to_string()),
            // Called before the recovery begins, and does not return.
            ("restore_command", "sleep 600".to_owned()),
        ];
        for (name, value) in settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let log = folder.join("postgres.log");
        let plan =
            Plan { name: "PostgreSQL", ready: "database system was shut down", signal: "QUIT", log: &log };
        Ok(Self { _service: Service::start(command, &plan)?, port })
    }
}

fn initdb(prerequisites: &Prerequisites, programs: &Path, folder: &Path, data: &Path) -> Result<()> {
    let mut initdb = as_server(prerequisites, programs.join("initdb"));
    let arguments =
        ["--username=rdsadmin", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"];
    initdb.args(arguments).arg(data).current_dir(folder);
    finish(initdb)
}

/// Makes the PAM service `rds`, and the library by which PostgreSQL finds it.
fn pam_services(folder: &Path, socket: &Path) -> Result<PathBuf> {
    let services = folder.join("pam.d");
    fs::create_dir(&services)?;
    let module = services.join("pam_rds_iam.so");
    compile("pam_rds_iam.c", &module, &["-l:libpam.so.0"])?;
    compile("pam_services.c", &services.join("pam_services.so"), &["-l:libpam.so.0"])?;
    let module = module.display();
    let rds = format!("auth required {module} {}\naccount required {module}\n", socket.display());
    fs::write(services.join("rds"), rds)?;
    Ok(services)
}
