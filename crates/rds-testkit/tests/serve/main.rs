//! The program `rds-testkit serve`, as another language's tests start it.

#![expect(clippy::unwrap_used, reason = "the fixtures stand outside of the test functions")]

#[expect(dead_code, reason = "shared with the tests of the PostgreSQL server")]
#[path = "../postgres/signer.rs"]
mod signer;
#[cfg(target_os = "linux")]
mod system;

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use serde_json::Value;

/// A running program, ended with the test.
struct Served {
    child: Child,
    says: Value,
}

impl Served {
    fn start(args: &[&str]) -> Self {
        let mut child = command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, says: serde_json::from_str(&line).unwrap() }
    }

    fn text(&self, name: &str) -> &str {
        self.says[name].as_str().unwrap()
    }

    fn port(&self) -> u16 {
        self.says["port"].as_u64().unwrap().try_into().unwrap()
    }

    fn sign(&self) -> String {
        let env = |name: &str| self.says["env"][name].as_str().unwrap().to_owned();
        let server = signer::Signer {
            host: self.text("host").to_owned(),
            port: self.port(),
            region: self.text("region").to_owned(),
            service: "rds-db".to_owned(),
            user: self.text("user").to_owned(),
            access_key_id: env("AWS_ACCESS_KEY_ID"),
            secret: env("AWS_SECRET_ACCESS_KEY"),
            session_token: None,
            at: now(),
            expires: 900,
        };
        server.sign()
    }

    async fn login(&self, token: &str) -> Result<String, tokio_postgres::Error> {
        let ca = Certificate::from_pem(&std::fs::read(self.text("ca_file")).unwrap()).unwrap();
        let tls =
            TlsConnector::builder().disable_built_in_roots(true).add_root_certificate(ca).build().unwrap();
        let mut config = tokio_postgres::Config::new();
        config.host("localhost").hostaddr(self.text("address").parse().unwrap()).port(self.port());
        config.user(self.text("user")).password(token).dbname("app");
        let (client, connection) = config.connect(MakeTlsConnector::new(tls)).await?;
        tokio::spawn(connection);
        Ok(client.query_one("SELECT current_user", &[]).await?.get(0))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Not killed, which would leave its folder behind.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the program goes by the machine's clock")]
fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rds-testkit"));
    command.arg("serve").args(args);
    command
}

fn run(args: &[&str]) -> Output {
    command(args).stdin(Stdio::null()).output().unwrap()
}

#[tokio::test]
async fn client_logs_in_with_the_printed_settings() {
    let served = Served::start(&["--engine", "postgres", "--user", "shop"]);
    assert_eq!(served.login(&served.sign()).await.unwrap(), "shop");
    let error = served.login("no token").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "28000");
}

#[test]
fn program_ends_when_its_input_closes_and_leaves_nothing() {
    let mut served = Served::start(&["--engine", "mysql"]);
    let (port, ca_file) = (served.port(), served.text("ca_file").to_owned());
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert!(std::fs::exists(&ca_file).unwrap());
    drop(served.child.stdin.take());
    assert!(served.child.wait().unwrap().success());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!std::fs::exists(&ca_file).unwrap());
}

#[test]
fn program_ends_when_its_time_is_over() {
    let mut served = Served::start(&["--engine", "postgres", "--for", "1s"]);
    assert!(served.child.wait().unwrap().success());
}

#[test]
fn keys_and_authority_are_new_at_each_start() {
    let (one, two) = (Served::start(&["--engine", "postgres"]), Served::start(&["--engine", "postgres"]));
    let key = |served: &Served| served.says["env"]["AWS_SECRET_ACCESS_KEY"].clone();
    assert_ne!(key(&one), key(&two));
    let ca = |served: &Served| std::fs::read_to_string(served.text("ca_file")).unwrap();
    assert_ne!(ca(&one), ca(&two));
    assert!(!ca(&one).contains("PRIVATE KEY"));
}

#[test]
fn invalid_command_line_is_refused() {
    let output = run(&["--engine", "postgres", "--forward", "postgres://u:hunter2@192.0.2.1:5432"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("--forward-remote") && !error.contains("hunter2"), "{error}");
    assert!(output.stdout.is_empty());
    let help = run(&["--help"]);
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().starts_with("Usage: "));
}

#[test]
fn port_in_use_is_refused() {
    let served = Served::start(&["--engine", "postgres"]);
    let output = run(&["--engine", "postgres", "--port", &served.port().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&served.port().to_string()), "{error}");
}
