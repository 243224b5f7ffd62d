//! Running the program, and servers for it to meet.

use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::{Output, Stdio},
    time::{Duration, SystemTime},
};

use rds_testkit::{AccessKey, CertificateAuthority, PostgresServer, PostgresServerBuilder};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use token_cache::Clock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Command,
};
use wrapper_core::Registry;
use wrapper_iam::SystemClock;
use wrapper_pg::Connector;

pub(crate) const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";
pub(crate) const USER: &str = "jane";

/// A PostgreSQL server at [`HOST`] that knows [`USER`].
pub(crate) async fn server() -> PostgresServer {
    server_with(|builder| builder).await
}

pub(crate) async fn server_with(
    set_up: impl FnOnce(PostgresServerBuilder) -> PostgresServerBuilder,
) -> PostgresServer {
    let builder = PostgresServer::builder().host(HOST).region("us-east-2").user(USER).ca(&ca_for(90));
    set_up(builder).start().await.expect("the server starts")
}

/// An authority whose certificates end in so many days.
pub(crate) fn ca_for(days: u64) -> CertificateAuthority {
    CertificateAuthority::generate_for(Duration::from_secs(days * 24 * 60 * 60)).expect("generates")
}

/// A key that may log in as `jane` alone, of a session.
pub(crate) fn session_key() -> AccessKey {
    AccessKey::new("ASIAQQQQWWWWEEEERRRR", "the-secret-of-the-key")
        .with_session_token("the-session-token")
        .allow(USER)
}

/// The connection string for a server, with more at its end.
pub(crate) fn url(server: &PostgresServer, more: &str) -> String {
    let (port, roots) = (server.port(), server.ca_file().display());
    format!("postgres://{USER}@{HOST}:{port}/app?plugins=iam&hostaddr=127.0.0.1&sslrootcert={roots}{more}")
}

/// The program with nothing of this machine's configuration.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rds-iam"));
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The program with the credentials of a key.
pub(crate) fn program_with(key: &AccessKey) -> Command {
    let mut command = program();
    command.envs(key.env());
    command
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("is text"),
            err: String::from_utf8(output.stderr).expect("is text"),
        }
    }
}

pub(crate) async fn run<'a>(
    mut command: Command,
    arguments: impl IntoIterator<Item = &'a str>,
) -> CommandOutput {
    command.args(arguments).output().await.expect("runs").into()
}

/// Logs in with a token that the program printed.
pub(crate) async fn log_in(server: &PostgresServer, token: &str) {
    let (port, roots) = (server.port().to_string(), server.ca_file().to_string_lossy().into_owned());
    let map = [
        ("host", HOST),
        ("hostaddr", "127.0.0.1"),
        ("port", &port),
        ("user", USER),
        ("password", token),
        ("sslmode", "verify-full"),
        ("sslrootcert", &roots),
    ];
    let connector = Connector::from_map(map, Registry::new()).expect("builds");
    let (client, connection) = connector.connect().await.expect("the token is taken");
    drop(client);
    connection.await.expect("ends well");
}

/// A server that tells a time so far ahead of this machine's, or behind.
pub(crate) async fn time_server(ahead: i64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("is bound");
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let since = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
            let now = i64::try_from(since.as_secs()).expect("fits");
            let date = OffsetDateTime::from_unix_timestamp(now + ahead).expect("a time");
            let date = date.format(&Rfc2822).expect("formats").replace("+0000", "GMT");
            let answer = format!("HTTP/1.1 403 Forbidden\r\nDate: {date}\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
            // Servers keep connections open.
            kept.push(stream);
        }
    });
    format!("http://{address}")
}

/// A port on which nothing listens.
pub(crate) async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("is bound")
}

/// A private folder for one test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("rds-iam-{name}"));
    fs::create_dir_all(&folder).expect("is made");
    folder
}

/// The time so long ago, or to come, as the files of AWS have it.
pub(crate) fn rfc3339(offset: i64) -> String {
    let offset_by = Duration::from_secs(offset.unsigned_abs());
    let time = if offset < 0 { SystemClock.now() - offset_by } else { SystemClock.now() + offset_by };
    let time = OffsetDateTime::from(time).replace_nanosecond(0).expect("valid");
    time.format(&time::format_description::well_known::Rfc3339).expect("formats")
}

/// Runs a program whose standard output is a terminal.
#[cfg(target_os = "linux")]
pub(crate) async fn on_a_terminal(command: Command) -> CommandOutput {
    on_a_terminal_of(500, command).await
}

/// Runs a program whose standard output is a terminal of so many columns.
#[cfg(target_os = "linux")]
pub(crate) async fn on_a_terminal_of(columns: u16, mut command: Command) -> CommandOutput {
    use std::{fs::File, io::Read};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let path = ptsname(&master, Vec::new()).expect("has a name").into_string().expect("is text");
    let terminal = File::options().read(true).write(true).open(path).expect("opens");
    let size = rustix::termios::Winsize { ws_row: 25, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&terminal, size).expect("is set");
    let child = command.stdout(terminal).stderr(Stdio::piped()).spawn().expect("runs");
    // The command holds the terminal's other end, without which reading would never end.
    drop(command);
    let screen = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        // The end of a terminal is an error.
        let _ = File::from(master).read_to_end(&mut text);
        String::from_utf8(text).expect("is text")
    });
    let output = child.wait_with_output().await.expect("ends");
    CommandOutput { out: screen.await.expect("is read"), ..CommandOutput::from(output) }
}

/// Returns whether a program is there, and says so if not.
pub(crate) async fn installed(program: &str) -> bool {
    let package = match program {
        "mariadb" | "mariadb-dump" | "mysql" => "mariadb-client",
        "pg_dump" | "psql" => "postgresql-client",
        "groff" => "groff-base",
        package => package,
    };
    let found =
        Command::new("sh").args(["-c", &format!("command -v {program}")]).output().await.expect("runs");
    if !found.status.success() {
        // Past the harness, which keeps to itself what tests print.
        let _ = writeln!(io::stderr(), "skipped: `{program}` is not installed (apt-get install {package})");
    }
    found.status.success()
}

/// Sends a process the signal of Ctrl-C, by the shell's own `kill`: not every machine has another.
pub(crate) async fn interrupt(pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {pid}")]).status().await;
    assert!(sent.expect("runs").success());
}
