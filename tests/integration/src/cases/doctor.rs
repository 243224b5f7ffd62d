//! `rds-iam inspect`, and `rds-iam doctor`: whether it names the cause.

use std::net::Ipv4Addr;

use serde_json::Value;
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{
    Table, key,
    secrets::{self, ID},
};
use crate::{
    Result,
    environment::{Engine, Environment, HOST, OF_SECRETS, OTHER_HOST, Observation, REGION},
    key::Key,
    mysql, postgres,
    programs::{Programs, run as ran},
    report::Report,
    scratch::free_port,
    sources::{Given, Sources, Variables},
};

/// Runs the cases that every engine has.
pub(crate) async fn run(
    environment: &Environment,
    sources: &Sources,
    programs: &Programs,
    report: &mut Report,
) -> Result<()> {
    let mut doctor = Doctor::new(environment, sources, programs, report)?;
    let url = Url::of(environment);
    doctor.row("healthy", "logged in; accepted", &url).await?;
    doctor.with("no credentials", "credentials-missing; not asked", &url.text(), &Vec::new()).await?;
    sources.give(Given { ends_in: -60, ..Given::FIRST })?;
    let profile = sources.environment(&sources.profile("process"));
    doctor.with("credentials expired", "credentials-expired; not asked", &url.text(), &profile).await?;
    sources.give(Given::FIRST)?;

    doctor.row("region wrong", "region; region", &url.and("iamRegion=us-east-1")).await?;
    doctor.row("port signed wrong", "signed-port; endpoint", &url.and("iamDefaultPort=1")).await?;
    let closed = Url { port: free_port()?, ..url.clone() };
    doctor.row("port closed", "port-closed; not asked", &closed).await?;
    // The server's answer does not show that the verifier refuses the port.
    let (port, tunnel) = tunnel(environment.port).await?;
    let near = Url { host: "127.0.0.1", port, ..url.and(&format!("iamHost={HOST}")) };
    doctor.row("tunnel, its port signed", "signed-port among 3; endpoint", &near).await?;
    let mended = Url { more: format!("{}&iamDefaultPort={}", near.more, environment.port), ..near };
    doctor.row("tunnel, the server's port signed", "logged in; accepted", &mended).await?;
    tunnel.abort();
    let stranger = Url { authority: environment.other_authority().display().to_string(), ..url.clone() };
    doctor.row("authority wrong", "unknown-issuer; not asked", &stranger).await?;
    let other = Url { host: OTHER_HOST, ..url.clone() };
    doctor.row("name wrong", "wrong-name; not asked", &other).await?;
    let legacy = Url { user: "legacy", ..url.clone() };
    doctor.row("user by password", "grant-missing; not asked", &legacy).await?;
    let mallory = Url { user: "mallory", ..url.clone() };
    doctor.row("user not in the policy", "policy; policy", &mallory).await?;

    // All clocks but the program's are six minutes behind, so the program is ahead.
    environment.record_at(&[&key()], -360)?;
    sources.give(Given { ahead: -360, ..Given::FIRST })?;
    doctor.row("clock 6 min ahead", "clock-off; future", &url).await?;
    sources.give(Given::FIRST)?;

    // The server's answer does not show the cause, which can only be among the three likeliest.
    environment.record(&[])?;
    doctor.row("key unknown", "credentials-refused among 3; key", &url).await?;
    let replaced = Key { id: "AKIAREPLACED".to_owned(), ..key() };
    environment.record(&[&replaced])?;
    doctor.row("keys replaced", "credentials-refused among 3; key", &url).await?;
    environment.record(&[&key()])?;

    let (port, other) = other_service("SSH-2.0-OpenSSH_9.2p1\r\n").await?;
    doctor.row("SSH at the port", "other-service; not asked", &Url { port, ..url.clone() }).await?;
    other.abort();
    let (port, other) = other_service("HTTP/1.1 400 Bad Request\r\n\r\n").await?;
    doctor.row("HTTP at the port", "other-service; not asked", &Url { port, ..url.clone() }).await?;
    other.abort();
    if !matches!(environment.engine, Engine::Postgres) {
        let bob = Url { user: "bob", engine: (url.engine.0, "app"), ..url.clone() };
        doctor.row("database forbidden", "database-forbidden; accepted", &bob).await?;
    }
    doctor.secrets().await
}

/// Starts the near end of a tunnel to a port of this machine.
async fn tunnel(to: u16) -> Result<(u16, JoinHandle<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let task = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
                copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    Ok((port, task))
}

/// Starts a server that sends this text to every client, and nothing else.
async fn other_service(says: &'static str) -> Result<(u16, JoinHandle<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(says.as_bytes()).await);
            // Reads what the client sends: closing a socket with unread bytes resets the
            // connection.
            drop(stream.shutdown().await);
            drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
        }
    });
    Ok((port, task))
}

/// Runs the cases of PostgreSQL alone, whose TLS can be switched off while it runs.
pub(crate) async fn postgres(
    server: &postgres::Server,
    starting: &postgres::Starting,
    sources: &Sources,
    programs: &Programs,
    report: &mut Report,
) -> Result<()> {
    let mut doctor = Doctor::new(server.environment(), sources, programs, report)?;
    doctor.inspect().await?;
    server.set_tls(false).await?;
    doctor.row("no tls", "tls-not-offered; not asked", &Url::of(server.environment())).await?;
    server.set_tls(true).await?;
    server.set_expiring_certificate(true).await?;
    doctor.row("certificate near its end", EXPIRING, &Url::of(server.environment())).await?;
    server.set_expiring_certificate(false).await?;
    let url = Url { port: starting.port, ..Url::of(server.environment()) };
    doctor.row("starting up", "not-ready; not asked", &url).await?;
    for (case, rules) in [
        ("rejected by pg_hba.conf", "hostssl all jane 127.0.0.1/32 reject\n"),
        ("no entry in pg_hba.conf", "hostssl all bob 127.0.0.1/32 pam pamservice=rds\n"),
    ] {
        server.set_access(rules).await?;
        doctor.row(case, "no-access-rule; not asked", &Url::of(server.environment())).await?;
    }
    server.set_access(postgres::ACCESS).await?;
    let url = Url { user: "bob", ..Url::of(server.environment()) };
    let app = Url { engine: ("postgres", "app"), ..url.clone() };
    let missing = Url { engine: ("postgres", "missing"), ..url.clone() };
    for (case, expected, url, before, after) in [
        ("no LOGIN", "login-forbidden; accepted", &url, "ALTER ROLE bob NOLOGIN", "ALTER ROLE bob LOGIN"),
        (
            "no CONNECT",
            "database-forbidden; accepted",
            &app,
            "REVOKE CONNECT ON DATABASE app FROM PUBLIC",
            "GRANT CONNECT ON DATABASE app TO PUBLIC",
        ),
        (
            "not accepting connections",
            "not-ready; accepted",
            &app,
            "ALTER DATABASE app ALLOW_CONNECTIONS false",
            "ALTER DATABASE app ALLOW_CONNECTIONS true",
        ),
        (
            "too many connections of the role",
            "throttled; accepted",
            &url,
            "ALTER ROLE bob CONNECTION LIMIT 0",
            "ALTER ROLE bob CONNECTION LIMIT -1",
        ),
        ("database missing", "no-database; accepted", &missing, "SELECT 1", "SELECT 1"),
    ] {
        server.administer(&[before]).await?;
        doctor.row(case, expected, url).await?;
        server.administer(&[after]).await?;
    }
    Ok(())
}

/// Runs the cases of MariaDB and MySQL alone.
pub(crate) async fn mysql(
    server: &mysql::Server,
    sources: &Sources,
    programs: &Programs,
    report: &mut Report,
) -> Result<()> {
    let environment = server.environment();
    let mut doctor = Doctor::new(environment, sources, programs, report)?;
    let url = Url::of(environment);
    // MySQL 5.7 reads its certificate once.
    if matches!(environment.engine, Engine::Mariadb) {
        server.set_expiring_certificate(true).await?;
        doctor.row("certificate near its end", EXPIRING, &url).await?;
        server.set_expiring_certificate(false).await?;
    }
    let filled = server.fill().await?;
    doctor.row("refused before the greeting", "throttled; not asked", &url).await?;
    filled.release().await
}

/// The row for a certificate that expires in some days.
const EXPIRING: &str = "logged in, certificate-ends-soon; accepted";

struct Doctor<'a> {
    table: Table<'a>,
    sources: &'a Sources,
    programs: &'a Programs,
}

impl<'a> Doctor<'a> {
    fn new(
        environment: &'a Environment,
        sources: &'a Sources,
        programs: &'a Programs,
        report: &'a mut Report,
    ) -> Result<Self> {
        environment.record(&[&key()])?;
        sources.give(Given::FIRST)?;
        Ok(Self { table: Table { environment, report }, sources, programs })
    }

    async fn row(&mut self, case: &str, expected: &str, url: &Url) -> Result<()> {
        self.with(case, expected, &url.text(), &key().variables()).await
    }

    /// Runs the doctor for logins with user and password of a secret.
    async fn secrets(&mut self) -> Result<()> {
        let [(user, password), _] = OF_SECRETS;
        let Url { engine: (scheme, database), host, port, authority, .. } = Url::of(self.table.environment);
        let url = format!(
            "{scheme}://{host}:{port}/{database}?plugins=awsSecretsManager&secretId={ID}&secretRegion={REGION}&sslrootcert={authority}"
        );
        for (case, expected, user, password) in [
            ("secret, healthy", "logged in; not asked", user, password),
            ("secret, password changed since", "secret-rotation; not asked", user, "former password"),
        ] {
            let service = secrets::service(user, password).await?;
            let aws = service.access_key();
            let variables = vec![
                ("AWS_ACCESS_KEY_ID", aws.access_key_id().to_owned()),
                ("AWS_SECRET_ACCESS_KEY", aws.secret_access_key().to_owned()),
                ("AWS_ENDPOINT_URL_SECRETS_MANAGER", service.url()),
            ];
            self.with(case, expected, &url, &variables).await?;
        }
        Ok(())
    }

    /// Runs the doctor with these variables.
    async fn with(&mut self, case: &str, expected: &str, url: &str, variables: &Variables) -> Result<()> {
        let examined = async {
            let mut command = self.programs.command(self.programs.rds_iam(), variables);
            command.args(["doctor", "--json", "--time-url", self.sources.address(), url]);
            let ran = ran(command).await?;
            let json: Value = serde_json::from_str(&ran.out)
                .map_err(|error| format!("no report ({error}): {}{}", ran.out, ran.err))?;
            let wanted = expected.split([' ', ';']).next().unwrap_or_default();
            Ok(Observation { text: cause(&json, wanted), details: vec![ran.out] })
        };
        let seen = self.table.environment.observe_fallible(examined).await?;
        self.table.row(&format!("doctor: {case}"), expected, &seen);
        Ok(())
    }

    async fn inspect(&mut self) -> Result<()> {
        let mut command = self.programs.command(self.programs.rds_iam(), &Vec::new());
        command.args(["inspect", "--json", HOST]);
        let ran = ran(command).await?;
        let json: Value = serde_json::from_str(&ran.out)?;
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let seen =
            Observation { text: format!("{}, {}", text("kind"), text("region")), details: vec![ran.out] };
        self.table.row("rds-iam inspect", &format!("instance endpoint, {REGION}"), &seen);
        Ok(())
    }
}

/// Returns the first cause, or the wanted one among the others; after a login, the warnings.
fn cause(report: &Value, wanted: &str) -> String {
    let causes: Vec<&str> = report["causes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|cause| cause["code"].as_str())
        .collect();
    match causes.first() {
        None => {
            let steps = report["steps"].as_array().into_iter().flatten();
            let warnings = steps.filter(|step| step["status"] == "warning");
            warnings.fold("logged in".to_owned(), |text, step| {
                format!("{text}, {}", step["code"].as_str().unwrap_or_default())
            })
        }
        Some(_) if causes[1..].contains(&wanted) => format!("{wanted} among {}", causes.len()),
        Some(first) => (*first).to_owned(),
    }
}

/// A connection string in its parts.
#[derive(Clone)]
struct Url {
    /// Scheme and database.
    engine: (&'static str, &'static str),
    user: &'static str,
    host: &'static str,
    port: u16,
    authority: String,
    more: String,
}

impl Url {
    fn of(environment: &Environment) -> Self {
        let engine = match environment.engine {
            Engine::Mariadb | Engine::Mysql => ("mysql", ""),
            Engine::Postgres => ("postgres", "postgres"),
        };
        let authority = environment.authority().display().to_string();
        Self { engine, user: "jane", host: HOST, port: environment.port, authority, more: String::new() }
    }

    fn and(&self, more: &str) -> Self {
        Self { more: format!("&{more}"), ..self.clone() }
    }

    fn text(&self) -> String {
        let Self { engine: (scheme, database), user, host, port, authority, more } = self;
        format!("{scheme}://{user}@{host}:{port}/{database}?plugins=iam&sslrootcert={authority}{more}")
    }
}
