//! MySQL's own clients through the proxy.

use std::{path::Path, time::Duration};

use rds_testkit::{AuthPlugin, Fault, Gate, MysqlServer, Phase};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::Command,
    time::Instant,
};

use super::{PASSWORD, Running, sockets};
use crate::support::{CommandOutput, HOST, USER, installed, program_with, run};

pub(super) async fn server(plugin: AuthPlugin) -> MysqlServer {
    let builder = MysqlServer::builder().host(HOST).region("us-east-2").user(USER).database("app");
    builder.plugin(plugin).start().await.expect("the server starts")
}

pub(super) fn proxy(server: &MysqlServer) -> Command {
    let mut command = program_with(server.access_key());
    command.args(["proxy", &server.url()]).env("RDS_IAM_LOCAL_PASSWORD", PASSWORD);
    command
}

/// Returns the port that a proxy printed.
pub(super) fn port(running: &Running) -> u16 {
    let port = running.output.split_whitespace().find_map(|word| word.strip_prefix("port="));
    port.expect("is printed").parse().expect("a number")
}

async fn mariadb(password: &str, arguments: &[&str]) -> CommandOutput {
    let mut command = Command::new("mariadb");
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent").env("MYSQL_PWD", password);
    let shared = ["--no-defaults", "-N", "-B", "-u", USER, "-e", "SELECT 1"];
    run(command, shared.into_iter().chain(arguments.iter().copied())).await
}

#[tokio::test]
async fn mariadb_works_by_port_and_by_socket_with_every_method() {
    if !installed("mariadb").await {
        return;
    }
    for plugin in [AuthPlugin::CachingSha2, AuthPlugin::Native] {
        let server = server(plugin).await;
        let mut command = proxy(&server);
        command.args(["--listen", "0"]);
        let running = Running::start(command, 1).await;
        let line = running.output.lines().find(|line| line.starts_with("  host=")).expect("is printed");
        let port = port(&running).to_string();
        assert!(line.ends_with(" user=jane database=app"), "{line}");

        for method in ["mysql_native_password", "caching_sha2_password"] {
            let method = format!("--default-auth={method}");
            let arguments = ["-h", "127.0.0.1", "-P", &port, &method, "app"];
            let ran = mariadb(PASSWORD, &arguments).await;
            assert_eq!((ran.code, ran.out.as_str()), (Some(0), "1\n"), "{}", ran.err);
            let ran = mariadb("another password", &arguments).await;
            assert!(ran.err.contains("1045") && ran.err.contains("local password"), "{}", ran.err);
        }
        running.end().await;

        let folder = sockets("mysql");
        let mut command = proxy(&server);
        command.args(["--listen", &folder.to_string_lossy()]);
        let running = Running::start(command, 1).await;
        let socket = format!("--socket={}", folder.join("mysql.sock").display());
        assert!(running.output.contains(&socket[2..]), "{}", running.output);
        let ran = mariadb("", &[&socket, "app"]).await;
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), "1\n"), "{}", ran.err);
        let ran =
            run(Command::new("mariadb"), ["--no-defaults", "-u", "another", &socket, "-e", "SELECT 1"]).await;
        assert!(ran.err.contains("connect as `jane`"), "{}", ran.err);
        running.end().await;
    }
}

#[tokio::test]
async fn refusal_is_reported_at_the_start() {
    let server = server(AuthPlugin::Native).await;
    let key = server.access_key().access_key_id().to_owned();
    server.token_policy().deny(&key, USER);

    let ran = run(proxy(&server), ["--listen", "0"]).await;

    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("Access denied for user 'jane'") && ran.err.contains("  1. "), "{}", ran.err);
    assert!(!ran.err.contains("X-Amz"), "{}", ran.err);
}

#[tokio::test]
async fn plugins_that_query_a_session_work_for_mysql_too() {
    let server = server(AuthPlugin::Native).await;
    let mut command = program_with(server.access_key());
    command.env("RDS_IAM_LOCAL_PASSWORD", PASSWORD);
    command.args(["proxy", "--listen", "0", &server.url().replace("plugins=iam", "plugins=iam,failover2")]);

    let running = Running::start(command, 1).await;

    assert_eq!(running.end().await.code, Some(0));
}

/// A client of the proxy's socket, which needs no password.
pub(super) struct RawClient(UnixStream);

impl RawClient {
    /// Logs in; `None` where nothing listens.
    pub(super) async fn connect(socket: &Path) -> Option<Self> {
        // PROTOCOL_41, SECURE_CONNECTION and PLUGIN_AUTH; packets of 16 MiB; utf8mb4.
        const HEAD: [u8; 9] = [0, 0x82, 8, 0, 0, 0, 0, 1, 45];
        let mut client = Self(UnixStream::connect(socket).await.ok()?);
        assert_eq!(client.read().await[0], 10, "a greeting");
        let login = [&HEAD[..], &[0; 23], USER.as_bytes(), b"\0\0mysql_native_password\0"].concat();
        client.send(1, &login).await;
        assert_eq!(client.read().await[0], 0, "an OK");
        Some(client)
    }

    /// Runs a statement without rows.
    pub(super) async fn run(&mut self, sql: &str) {
        self.send(0, &[b"\x03", sql.as_bytes()].concat()).await;
        assert_eq!(self.read().await[0], 0, "an OK");
    }

    async fn send(&mut self, number: u8, payload: &[u8]) {
        let [a, b, c, _] = u32::try_from(payload.len()).expect("fits").to_le_bytes();
        self.0.write_all(&[&[a, b, c, number], payload].concat()).await.expect("is sent");
    }

    async fn read(&mut self) -> Vec<u8> {
        let mut header = [0; 4];
        self.0.read_exact(&mut header).await.expect("is answered");
        let mut payload = vec![0; usize::from(header[0]) | usize::from(header[1]) << 8];
        self.0.read_exact(&mut payload).await.expect("is answered");
        payload
    }
}

#[tokio::test]
async fn transaction_is_finished_before_the_drain_ends() {
    let server = server(AuthPlugin::Native).await;
    let folder = sockets("mysql-transaction");
    let mut command = proxy(&server);
    command.args(["--listen", &folder.to_string_lossy()]);
    let running = Running::start(command, 1).await;
    let socket = folder.join("mysql.sock");
    let mut client = RawClient::connect(&socket).await.expect("listens");
    client.run("BEGIN").await;

    running.signal(Signal::TERM);
    while UnixStream::connect(&socket).await.is_ok() {
        tokio::task::yield_now().await;
    }

    client.run("COMMIT").await;
    drop(client);
    let output = running.child.wait_with_output().await.expect("ends");
    assert_eq!(output.status.code(), Some(0));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("outlived"), "{errors}");
}

/// Ends a proxy by so many signals while a login is under way at a frozen server, and returns how
/// long it lived on after the second.
async fn end_at_a_frozen_server(signals: usize) -> Duration {
    let server = server(AuthPlugin::Native).await;
    let folder = sockets("mysql-frozen");
    let mut command = proxy(&server);
    command.args(["--listen", &folder.to_string_lossy()]);
    let mut running = Running::start(command, 1).await;
    let gate = Gate::new();
    server.inject_always(Fault::Hang(Phase::Accept, gate.clone()));
    let socket = folder.join("mysql.sock");
    let mut client = UnixStream::connect(&socket).await.expect("listens");
    gate.arrived(1).await;

    running.signal(Signal::TERM);
    while UnixStream::connect(&socket).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    running.signal(Signal::TERM);
    // Each signal is seen before the next is sent.
    assert_eq!(client.read(&mut [0]).await.expect("is read"), 0);
    if signals == 3 {
        running.signal(Signal::TERM);
    }
    let status = running.child.wait().await.expect("ends");

    assert_eq!(status.code(), Some(0));
    begun.elapsed()
}

#[tokio::test]
async fn second_signal_ends_the_proxy_soon_though_a_server_is_frozen() {
    let lasted = end_at_a_frozen_server(2).await;

    assert!(lasted < Duration::from_secs(4), "{lasted:?}");
}

#[tokio::test]
async fn third_signal_ends_the_proxy_at_once() {
    let mut lasted = Vec::new();
    // A busy machine may delay some.
    while lasted.len() < 5 && !lasted.iter().any(|lasted| *lasted < Duration::from_millis(900)) {
        lasted.push(end_at_a_frozen_server(3).await);
    }

    assert!(lasted.iter().any(|lasted| *lasted < Duration::from_millis(900)), "{lasted:?}");
}
