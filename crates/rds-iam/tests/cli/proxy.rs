//! `rds-iam proxy`.

mod accounts;
mod config;
#[cfg(target_os = "linux")]
mod files;
mod life;
mod mysql;

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Stdio};

use rds_testkit::PostgresServer;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use tokio_postgres::{Client, Config, NoTls};

use crate::support::{CommandOutput, USER, folder, installed, program_with, run, server};

const PASSWORD: &str = "a local password";

/// A running proxy, with what it printed until it was ready.
struct Running {
    child: Child,
    output: String,
}

impl Running {
    /// Runs a proxy and waits until it has printed the addresses of so many targets.
    async fn start(mut command: Command, places: usize) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
        let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        let (mut output, mut found) = (String::new(), 0);
        while found < places {
            let Some(line) = lines.next_line().await.expect("is text") else {
                let ran = CommandOutput::from(child.wait_with_output().await.expect("ends"));
                panic!("ended before it was ready: {output}{ran:?}");
            };
            found += usize::from(line.starts_with("  host=") || line.starts_with("  socket="));
            output.push_str(&line);
            output.push('\n');
        }
        Self { child, output }
    }

    /// Returns the client configuration that it printed for a target.
    fn config(&self, target: usize) -> Config {
        let line =
            self.output.lines().filter(|line| line.starts_with("  host=")).nth(target).expect("is printed");
        line.trim().parse().expect("is right")
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).expect("is sent");
    }

    fn id(&self) -> Pid {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).expect("runs");
        Pid::from_raw(id).expect("an id")
    }

    async fn end(self) -> CommandOutput {
        self.signal(Signal::TERM);
        self.child.wait_with_output().await.expect("ends").into()
    }
}

/// The program with a server's key, about to proxy it.
fn proxy(server: &PostgresServer) -> Command {
    let mut command = program_with(server.access_key());
    command.args(["proxy", &server.url()]);
    command
}

/// A folder of our own for the sockets of a test.
fn sockets(name: &str) -> PathBuf {
    let folder = folder(&format!("proxy-{name}"));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("is set");
    folder
}

/// A file with the local password.
fn password_file(name: &str, mode: u32) -> String {
    let path = folder(&format!("proxy-{name}")).join("password");
    drop(fs::remove_file(&path));
    fs::write(&path, format!("{PASSWORD}\n")).expect("is written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("is set");
    path.to_string_lossy().into_owned()
}

async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn current_user(client: &Client) -> String {
    client.query_one("SELECT current_user", &[]).await.expect("answers").get(0)
}

#[tokio::test]
async fn socket_serves_its_own_account_without_a_password() {
    let server = server().await;
    let mut command = proxy(&server);
    command.args(["--listen", &sockets("own").to_string_lossy()]);

    let running = Running::start(command, 1).await;

    let client = connect(&running.config(0)).await.expect("is let in");
    assert_eq!(current_user(&client).await, USER);
    drop(client);
    let ran = running.end().await;
    assert_eq!(ran.code, Some(0));
    // It may see the client's end later than the signal.
    let errors = ran.err.lines().filter(|line| !line.starts_with("waiting for sessions"));
    assert_eq!(errors.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[tokio::test]
async fn runtime_folder_of_the_account_is_the_default() {
    let server = server().await;
    let folder = sockets("default");
    let mut command = proxy(&server);
    command.env("XDG_RUNTIME_DIR", &folder);

    let running = Running::start(command, 1).await;

    assert!(connect(&running.config(0)).await.is_ok());
    assert!(running.output.contains(&*folder.to_string_lossy()), "{}", running.output);
    running.end().await;
}

#[tokio::test]
async fn port_requires_the_password_of_the_file() {
    let server = server().await;
    let mut command = proxy(&server);
    command.args(["--listen", "0", "--local-password-file", &password_file("file", 0o600)]);
    let running = Running::start(command, 1).await;

    let mut config = running.config(0);
    assert!(connect(config.password(PASSWORD)).await.is_ok());
    let error = connect(config.password("another password")).await.map(drop).expect_err("is refused");

    assert_eq!(error.code().map(|code| code.code()), Some("28P01"));
    running.end().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn password_of_the_port_is_in_one_place_of_memory() {
    let server = server().await;
    let mut command = proxy(&server);
    let file = password_file("memory", 0o600);
    // Memory that is given back is overwritten at its beginning.
    let (password, end) = (format!("{}the end of it", "long ".repeat(40)), "long long the end of it");
    fs::write(&file, &password).expect("is written");
    command.args(["--listen", "0", "--local-password-file", &file]);
    let running = Running::start(command, 1).await;
    let mut config = running.config(0);
    let client = connect(config.password(&password)).await.expect("is let in");
    assert!(connect(config.password(format!("{password} and more"))).await.is_err());

    let found = occurrences(running.child.id().expect("runs"), end.as_bytes());

    assert_eq!(found, 1);
    drop(client);
    running.end().await;
}

/// How often some bytes stand in the memory that a process may write to.
#[cfg(target_os = "linux")]
fn occurrences(id: u32, wanted: &[u8]) -> usize {
    use std::io::{Read, Seek, SeekFrom};

    let maps = fs::read_to_string(format!("/proc/{id}/maps")).expect("is read");
    let mut memory = fs::File::open(format!("/proc/{id}/mem")).expect("is ours");
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (start, end) =
            line.split_whitespace().next().and_then(|range| range.split_once('-')).expect("two");
        let number = |text| u64::from_str_radix(text, 16).expect("a number");
        let (start, end) = (number(start), number(end));
        memory.seek(SeekFrom::Start(start)).expect("is there");
        let mut bytes = Vec::new();
        // Memory that is reserved and was never touched cannot be read.
        if memory.by_ref().take(end - start).read_to_end(&mut bytes).is_ok() {
            found += bytes.windows(wanted.len()).filter(|bytes| *bytes == wanted).count();
        }
    }
    found
}

#[tokio::test]
async fn port_requires_the_password_of_the_environment() {
    let server = server().await;
    let mut command = proxy(&server);
    command.args(["--listen", "0"]).env("RDS_IAM_LOCAL_PASSWORD", PASSWORD);
    let running = Running::start(command, 1).await;

    let mut config = running.config(0);
    assert!(connect(config.password(PASSWORD)).await.is_ok());
    assert!(connect(config.password("")).await.is_err());
    running.end().await;
}

#[tokio::test]
async fn port_without_a_password_causes_a_warning() {
    let server = server().await;
    let mut command = proxy(&server);
    command.args(["--listen", "0", "--no-local-password"]);
    let running = Running::start(command, 1).await;

    assert!(connect(&running.config(0)).await.is_ok());

    let ran = running.end().await;
    assert!(ran.err.contains("WARN every account of this machine can use the ports"), "{}", ran.err);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn terminal_shows_the_generated_password_and_whole_lines_to_copy() {
    let server = server().await;
    let ran = run(proxy(&server), ["--listen", "0"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(
        ran.err.contains("without a terminal none can be shown: pass --local-password-file"),
        "{}",
        ran.err
    );

    // Ended by itself: the terminal is read to its end.
    let mut command = program_with(server.access_key());
    let script = r#"timeout --foreground -s TERM 3 "$0" proxy "$1" --listen 0; echo "ended with $?""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_rds-iam"), &server.url()]);
    shell.env_clear().envs(command.as_std_mut().get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = crate::support::on_a_terminal_of(30, shell).await;
    let to_copy = ran.out.lines().find(|line| line.starts_with("  host=")).expect("is shown");
    assert!(to_copy.trim_end().ends_with(" user=jane dbname=app"), "{}", ran.out);
    let shown = ran.out.split_once("local password, shown this once: ").expect("is shown").1;
    assert_eq!(shown.split_whitespace().next().map(str::len), Some(32), "{}", ran.out);
    assert!(!ran.err.contains("local password"), "{}", ran.err);
}

#[tokio::test]
async fn password_wrong() {
    let server = server().await;
    for (mode, expected) in [(0o604, "mode 604"), (0o644, "run chmod 600 on it")] {
        let ran =
            run(proxy(&server), ["--listen", "0", "--local-password-file", &password_file("open", mode)])
                .await;
        assert_eq!(ran.code, Some(2));
        assert!(ran.err.contains(expected), "{}", ran.err);
    }
    let mut command = proxy(&server);
    command.env("RDS_IAM_LOCAL_PASSWORD", "geheim");
    let ran = run(command, ["--listen", "0"]).await;
    assert!(ran.err.contains("at least 12 bytes") && !ran.err.contains("geheim"), "{}", ran.err);
    let ran = run(proxy(&server), ["--listen", "0", "--local-password-file", "/nonexistent/file"]).await;
    assert!(ran.err.contains("cannot read the local password's file /nonexistent/file"), "{}", ran.err);
}

#[tokio::test]
async fn address_that_others_can_reach_needs_a_flag() {
    let server = server().await;
    let mut command = proxy(&server);
    command.env("RDS_IAM_LOCAL_PASSWORD", PASSWORD);
    let ran = run(command, ["--listen", "0.0.0.0:0"]).await;
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.err.contains("other machines can reach 0.0.0.0:0") && ran.err.contains("--expose-to-network")
    );

    let ran =
        run(proxy(&server), ["--listen", "0.0.0.0:0", "--expose-to-network", "--no-local-password"]).await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("needs a local password"), "{}", ran.err);
}

#[tokio::test]
async fn psql_works_as_at_the_server_itself() {
    if !installed("psql").await {
        return;
    }
    let server = server().await;
    let folder = sockets("psql");
    let mut command = proxy(&server);
    command.args(["--listen", &folder.to_string_lossy()]);
    let running = Running::start(command, 1).await;
    let port = server.port().to_string();
    // The account's own name stands for the target's user, as psql asks by default.
    let mut psql = Command::new("psql");
    psql.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent");
    psql.args(["-X", "-At", "-h", &folder.to_string_lossy(), "-p", &port, "-U", USER, "-d", "app"]);

    let ran = run(psql, ["-c", "SELECT current_user"]).await;

    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "jane\n"), "{}", ran.err);
    let mut other = Command::new("psql");
    other.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent");
    let ran =
        run(other, ["-X", "-h", &folder.to_string_lossy(), "-p", &port, "-U", "root2", "-d", "app"]).await;
    assert!(ran.err.contains("connect as `jane`"), "{}", ran.err);
    running.end().await;
}
