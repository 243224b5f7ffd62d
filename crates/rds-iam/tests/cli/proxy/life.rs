//! The start of a proxy, and its end.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
};

use rds_testkit::PostgresServer;
use rustix::process::Signal;
use tokio::process::Command;

use super::{Running, connect, current_user, proxy, sockets};
use crate::support::{program, run, server};

#[tokio::test]
async fn refused_login_is_reported_at_the_start_with_its_causes() {
    let server = server().await;
    let key = server.access_key().access_key_id().to_owned();
    server.token_policy().deny(&key, "jane");
    let folder = sockets("denied");
    let folder = folder.to_string_lossy();

    let ran = run(proxy(&server), ["--listen", &folder]).await;

    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("PAM authentication failed") && ran.err.contains("  1. "), "{}", ran.err);
    assert!(!ran.err.contains("X-Amz"), "{}", ran.err);

    let mut command = proxy(&server);
    command.args(["--lazy", "--listen", &folder]);
    let running = Running::start(command, 1).await;
    assert!(connect(&running.config(0)).await.is_err());
    let ran = running.end().await;
    assert!(ran.err.contains("WARN client login failed"), "{}", ran.err);
    assert!(!ran.err.contains("X-Amz"), "{}", ran.err);
}

#[tokio::test]
async fn failing_login_is_warned_about_once_with_every_cause() {
    let server = server().await;
    let key = server.access_key().access_key_id().to_owned();
    server.token_policy().deny(&key, "jane");
    let mut command = proxy(&server);
    command.args(["--lazy", "--listen", &sockets("causes").to_string_lossy()]);
    let running = Running::start(command, 1).await;

    for _ in 0..5 {
        assert!(connect(&running.config(0)).await.is_err());
    }

    let ran = running.end().await;
    let warnings: Vec<_> = ran.err.lines().filter(|line| line.contains("WARN")).collect();
    let [warning] = warnings[..] else { panic!("{}", ran.err) };
    assert!(warning.contains("client login failed"), "{warning}");
    for part in ["failed=1", "PAM authentication failed", "; 1. ", "; 2. ", "; 3. "] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
    assert!(!ran.err.contains("X-Amz"), "{}", ran.err);
}

#[tokio::test]
async fn credentials_missing() {
    let server = server().await;
    let mut command = program();
    command.args(["proxy", &server.url(), "--listen", &sockets("none").to_string_lossy()]);

    let ran = run(command, []).await;

    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("credentials"), "{}", ran.err);
}

#[tokio::test]
async fn first_signal_drains_sessions_and_the_second_ends_them() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = server().await;
        let mut command = proxy(&server);
        command.args(["--listen", &sockets("drain").to_string_lossy()]);
        let running = Running::start(command, 1).await;
        let config = running.config(0);
        let client = connect(&config).await.expect("is let in");

        running.signal(signal);
        while connect(&config).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(current_user(&client).await, "jane");
        running.signal(signal);
        let output = running.child.wait_with_output().await.expect("ends");

        assert_eq!(output.status.code(), Some(0));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.starts_with("waiting for sessions to end ("), "{errors}");
        assert!(client.simple_query("SELECT 1").await.is_err());
    }
}

#[tokio::test]
async fn sessions_are_cut_when_the_drain_is_over() {
    let server = server().await;
    let mut command = proxy(&server);
    command.args(["--drain-timeout", "1", "--listen", &sockets("cut").to_string_lossy()]);
    let running = Running::start(command, 1).await;
    let client = connect(&running.config(0)).await.expect("is let in");

    let ran = running.end().await;

    assert_eq!(ran.code, Some(0));
    assert!(ran.err.contains("sessions outlived the drain sessions=1"), "{}", ran.err);
    assert!(client.simple_query("SELECT 1").await.is_err());
}

#[tokio::test]
async fn systemd_is_notified_of_the_start_and_of_the_end() {
    let server = server().await;
    let folder = sockets("systemd");
    let path = folder.join("notify");
    drop(fs::remove_file(&path));
    let socket = UnixDatagram::bind(&path).expect("binds");
    let notified = || {
        let mut text = [0; 64];
        let length = socket.recv(&mut text).expect("is notified");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let mut command = proxy(&server);
    command.args(["--listen", &folder.join("db").to_string_lossy()]).env("NOTIFY_SOCKET", &path);

    let running = Running::start(command, 1).await;

    assert_eq!(notified(), "READY=1");
    assert!(connect(&running.config(0)).await.is_ok());
    running.end().await;
    assert_eq!(notified(), "STOPPING=1");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn abstract_systemd_socket_is_notified() {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};

    let server = server().await;
    let name = format!("rds-iam-notify-{}", std::process::id());
    let socket = SocketAddr::from_abstract_name(&name).and_then(|address| UnixDatagram::bind_addr(&address));
    let mut command = proxy(&server);
    command.args(["--listen", &sockets("abstract").to_string_lossy()]);
    command.env("NOTIFY_SOCKET", format!("@{name}"));

    let running = Running::start(command, 1).await;

    let mut text = [0; 64];
    let length = socket.expect("binds").recv(&mut text).expect("is notified");
    assert_eq!(&text[..length], b"READY=1");
    running.end().await;
}

/// The program in a shell that has set something up, listening in a folder.
pub(super) fn proxy_after(first: &str, server: &PostgresServer, folder: &Path, options: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!(r#"{first}; exec "$0" proxy "$1" --listen "$2" {options}"#);
    command.args(["-c", &script, env!("CARGO_BIN_EXE_rds-iam"), &server.url()]).arg(folder);
    let with_key = crate::support::program_with(server.access_key());
    let environment = with_key.as_std().get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.env_clear().envs(environment).kill_on_drop(true);
    command
}

#[tokio::test]
async fn transaction_is_finished_before_the_drain_ends() {
    let server = server().await;
    let mut command = proxy(&server);
    command.args(["--listen", &sockets("transaction").to_string_lossy()]);
    let running = Running::start(command, 1).await;
    let config = running.config(0);
    let client = connect(&config).await.expect("is let in");
    client.batch_execute("BEGIN").await.expect("answers");

    running.signal(Signal::TERM);
    while connect(&config).await.is_ok() {
        tokio::task::yield_now().await;
    }

    client.batch_execute("COMMIT").await.expect("answers");
    drop(client);
    let output = running.child.wait_with_output().await.expect("ends");
    assert_eq!(output.status.code(), Some(0));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("outlived"), "{errors}");
}

#[tokio::test]
async fn folder_admits_allowed_accounts_under_any_umask() {
    let server = server().await;
    for (umask, options, mode) in [("077", "--allow-uid 4000", 0o750), ("000", "--lazy", 0o700)] {
        let folder = sockets("umask").join("db");
        drop(fs::remove_dir_all(&folder));

        let running =
            Running::start(proxy_after(&format!("umask {umask}"), &server, &folder, options), 1).await;

        let found = fs::metadata(&folder).expect("is there").permissions().mode() & 0o777;
        assert_eq!(found, mode, "{found:o}");
        running.end().await;
    }
}

#[tokio::test]
async fn log_of_every_client_holds_nothing_of_a_token() {
    let server = server().await;
    let mut command = proxy(&server);
    command.args(["--verbose", "--listen", &sockets("verbose").to_string_lossy()]);
    let running = Running::start(command, 1).await;

    drop(connect(&running.config(0)).await.expect("is let in"));
    let mut other = running.config(0);
    assert!(connect(other.user("postgres")).await.is_err());

    let output = running.output.clone();
    let ran = running.end().await;
    assert!(ran.err.contains("DEBUG client refused"), "{}", ran.err);
    for text in [output, ran.out, ran.err] {
        assert!(!text.contains("X-Amz") && !text.contains("Signature"), "{text}");
    }
}
