//! A MariaDB or MySQL server with a plugin of the name and the answers of RDS's.

use std::{
    fs::{self, Permissions},
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use mysql_async::{Conn, OptsBuilder, prelude::Queryable};
use rds_wrapper::iam::{Clock, SystemClock};

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

/// The lowest limit that every version accepts.
const FEW_CONNECTIONS: usize = 10;

/// How long connections may take to close.
const CLOSING: Duration = Duration::from_secs(20);

/// A running server, stopped on drop.
#[derive(Debug)]
pub(crate) struct Server {
    // Dropped in this order.
    _service: Service,
    environment: Environment,
    folder: PathBuf,
}

/// All connections that a server accepts, held open.
pub(crate) struct Filled {
    connections: Vec<Conn>,
}

impl Server {
    /// Starts MariaDB with its verifier.
    pub(crate) fn mariadb(prerequisites: &Prerequisites, scratch: &Scratch) -> Result<Self> {
        let folder = scratch.folder(prerequisites, "mariadb")?;
        let mut install = as_server(prerequisites, "mariadb-install-db");
        install.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
        install.arg(format!("--datadir={}", folder.join("data").display())).current_dir(&folder);
        finish(install)?;
        Self::start(prerequisites, folder, Engine::Mariadb, "/usr/sbin/mariadbd", &[])
    }

    /// Starts MySQL 5.7 with its verifier.
    pub(crate) fn mysql57(prerequisites: &Prerequisites, scratch: &Scratch) -> Result<Self> {
        let folder = scratch.folder(prerequisites, "mysql57")?;
        let oracle = Oracle::copy(prerequisites, &folder)?;
        oracle.initialize(prerequisites, &folder, &[])?;
        let more: Vec<_> = oracle.arguments().collect();
        Self::start(prerequisites, folder, Engine::Mysql, oracle.program(), &more)
    }

    fn start(
        prerequisites: &Prerequisites,
        folder: PathBuf,
        engine: Engine,
        program: &str,
        more: &[&str],
    ) -> Result<Self> {
        let port = free_port()?;
        let certificates = Certificates::issue(&folder, [HOST, READER_HOST])?;
        let verifier = Verifier::start(prerequisites, &folder, HOST, port, REGION)?;
        let dialect = if matches!(engine, Engine::Mariadb) { "-DMARIADB" } else { "-UMARIADB" };
        compile("aws_authentication_plugin.c", &folder.join("aws_authentication_plugin.so"), &[dialect])?;
        fs::write(folder.join("users.sql"), users())?;
        hand_over(prerequisites, &folder)?;

        let mut command = as_server(prerequisites, "env");
        command.arg(format!("TOKEN_VERIFIER={}", verifier.socket().display())).current_dir(&folder);
        command.args([program, "--no-defaults"]).args(more);
        let within = |name: &str| folder.join(name).display().to_string();
        let settings = [
            ("datadir", within("data")),
            ("tmpdir", folder.display().to_string()),
            ("socket", within("server.socket")),
            ("pid-file", within("server.pid")),
            ("bind-address", Ipv4Addr::LOCALHOST.to_string()),
            ("port", port.to_string()),
            ("ssl-ca", certificates.authority.display().to_string()),
            ("ssl-cert", certificates.certificate.display().to_string()),
            ("ssl-key", certificates.key.display().to_string()),
            ("plugin-dir", folder.display().to_string()),
            ("plugin-load-add", "aws_authentication_plugin.so".to_owned()),
            ("init-file", within("users.sql")),
            ("innodb-buffer-pool-size", "32M".to_owned()),
            // MariaDB's default; that of MySQL 5.7 is less than a row of the clients.
            ("max-allowed-packet", "16M".to_owned()),
        ];
        command.args(settings.map(|(name, value)| format!("--{name}={value}"))).arg("--skip-name-resolve");
        let log = folder.join("server.log");
        let plan = Plan { name: engine.name(), ready: "ready for connections", signal: "TERM", log: &log };
        let service = Service::start(command, &plan)?;
        let environment = Environment::new(engine, port, certificates, verifier);
        Ok(Self { _service: service, environment, folder })
    }

    /// Presents a certificate that is about to expire, or one that lasts; only MariaDB reads it
    /// again.
    pub(crate) async fn set_expiring_certificate(&self, expires: bool) -> Result<()> {
        self.environment.certificates().replace(expires)?;
        let mut administrator = self.administrator().await?;
        administrator.query_drop("FLUSH SSL").await?;
        Ok(administrator.disconnect().await?)
    }

    /// Opens as many connections as the server accepts, so it refuses the next one in place of its
    /// greeting.
    pub(crate) async fn fill(&self) -> Result<Filled> {
        let mut connections = vec![self.administrator().await?];
        connections[0].query_drop(format!("SET GLOBAL max_connections = {FEW_CONNECTIONS}")).await?;
        let deadline = SystemClock.now() + CLOSING;
        // The limit leaves one more for administrators. Earlier connections may still be closing.
        while connections.len() <= FEW_CONNECTIONS {
            match self.administrator().await {
                Ok(connection) => connections.push(connection),
                Err(error) if SystemClock.now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        Ok(Filled { connections })
    }

    async fn administrator(&self) -> Result<Conn> {
        administrator(&self.folder).await
    }

    /// Returns the server as the suite sees it.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

impl Filled {
    /// Closes the connections, and restores the limit.
    pub(crate) async fn release(mut self) -> Result<()> {
        self.connections[0].query_drop("SET GLOBAL max_connections = DEFAULT").await?;
        for connection in self.connections {
            connection.disconnect().await?;
        }
        Ok(())
    }
}

/// Returns the SQL of RDS's guide for each user, and users who deviate from it.
fn users() -> String {
    let by_token = USERS.map(|user| {
        format!("CREATE USER '{user}'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL;\n")
    });
    let others = "\
CREATE USER 'lax'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS';
CREATE USER 'legacy'@'%' IDENTIFIED BY 'legacy password';
CREATE USER 'guarded'@'%' IDENTIFIED BY 'guarded password' REQUIRE SSL;
";
    let (user, password) = FORWARDED;
    let forwarded = format!(
        "CREATE USER '{user}'@'%' IDENTIFIED BY '{password}';\n\
         CREATE DATABASE app;\nGRANT ALL ON app.* TO '{user}'@'%';\nGRANT PROCESS ON *.* TO '{user}'@'%';\n"
    );
    let of_secrets = OF_SECRETS.map(|(user, password)| {
        format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{password}' REQUIRE SSL;\n")
    });
    by_token.concat()
        + others
        + &forwarded
        + &of_secrets.concat()
        + "GRANT SELECT, CREATE TEMPORARY TABLES ON app.* TO 'jane'@'%';\n"
        + &format!("CREATE DATABASE {MIGRATED};\nGRANT ALL ON {MIGRATED}.* TO 'jane'@'%';\n")
}

/// Connects as the administrator, over the socket in a server's folder.
pub(crate) async fn administrator(folder: &Path) -> Result<Conn> {
    let options = OptsBuilder::default().socket(Some(folder.join("server.socket").display().to_string()));
    Ok(Conn::new(options.user(Some("root"))).await?)
}

/// MySQL 5.7, Oracle's own build.
pub(crate) struct Oracle {
    program: String,
    arguments: [String; 6],
}

impl Oracle {
    /// Copies the program into a temporary folder, since other users may not enter its own.
    pub(crate) fn copy(prerequisites: &Prerequisites, folder: &Path) -> Result<Self> {
        let home = folder.join("server");
        let mut cp = Command::new("cp");
        cp.arg("-r").arg(prerequisites.mysql57()).arg(&home);
        finish(cp)?;
        let program = home.join("mysqld");
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        hand_over(prerequisites, folder)?;
        // Its defaults need folders that only a package creates, and kernel interfaces that
        // containers lack.
        let arguments = [
            format!("--basedir={}", home.display()),
            format!("--lc-messages-dir={}", home.join("share/mysql").display()),
            "--secure-file-priv=NULL".to_owned(),
            "--innodb-use-native-aio=0".to_owned(),
            "--explicit-defaults-for-timestamp".to_owned(),
            "--tls-version=TLSv1.2".to_owned(),
        ];
        Ok(Self { program: program.display().to_string(), arguments })
    }

    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// Returns the arguments of every start.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &str> {
        self.arguments.iter().map(String::as_str)
    }

    /// Creates the data in a server's folder.
    pub(crate) fn initialize(
        &self,
        prerequisites: &Prerequisites,
        folder: &Path,
        more: &[&str],
    ) -> Result<()> {
        let mut initialize = as_server(prerequisites, &self.program);
        initialize.args(["--no-defaults", "--initialize-insecure"]).args(self.arguments()).args(more);
        initialize.arg(format!("--datadir={}", folder.join("data").display())).current_dir(folder);
        finish(initialize)
    }
}
