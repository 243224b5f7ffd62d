//! Clients of another account of this machine.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use rustix::process::geteuid;
use tokio::process::Command;

use super::{Running, proxy};
use crate::support::{CommandOutput, installed, run, server};

/// An account that owns nothing.
const NOBODY: u32 = 65_534;

/// Whether clients can be run as another account, which only root may do.
async fn can_change_account() -> bool {
    if !geteuid().is_root() {
        // Past the harness, which captures what tests print.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: needs root to run a client as another account\n",
        );
        return false;
    }
    installed("psql").await
}

/// Runs psql as another account, without a password.
async fn psql_of_another(place: &str) -> CommandOutput {
    let mut psql = Command::new("psql");
    psql.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent");
    psql.current_dir("/").uid(NOBODY).gid(NOBODY);
    run(psql, ["-X", "-w", "-At", place, "-c", "SELECT current_user"]).await
}

/// Returns a folder for sockets that other accounts can reach, unlike a checkout in a home folder.
fn reachable(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("rds-iam-{name}-{}", std::process::id()))
}

#[tokio::test]
async fn socket_is_closed_to_another_account_by_its_folder_and_by_the_peers_uid() {
    if !can_change_account().await {
        return;
    }
    let server = server().await;
    let folder = reachable("closed");
    let mut command = proxy(&server);
    command.args(["--verbose", "--listen", &folder.to_string_lossy()]);
    let running = Running::start(command, 1).await;
    let place = format!("host={} port={} user=jane dbname=app", folder.display(), server.port());

    let ran = psql_of_another(&place).await;
    assert!(ran.code == Some(2) && ran.err.contains("Permission denied"), "{ran:?}");

    // Even if somebody opens the way to the socket.
    let open = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("is set");
    };
    open(&folder, 0o755);
    open(&folder.join(format!(".s.PGSQL.{}", server.port())), 0o666);
    let ran = psql_of_another(&place).await;
    assert!(ran.code == Some(2) && ran.err.contains("closed the connection"), "{ran:?}");

    let ran = running.end().await;
    assert!(ran.err.contains("uid: 65534"), "{}", ran.err);
    // The login of the start alone.
    assert_eq!(server.attempts().len(), 1);
    fs::remove_dir_all(folder).expect("is removed");
}

#[tokio::test]
async fn socket_is_open_to_an_account_that_is_allowed() {
    if !can_change_account().await {
        return;
    }
    let server = server().await;
    let folder = reachable("allowed");
    let mut command = proxy(&server);
    command.args(["--allow-gid", "65534", "--listen", &folder.to_string_lossy()]);
    let running = Running::start(command, 1).await;

    let ran =
        psql_of_another(&format!("host={} port={} user=jane dbname=app", folder.display(), server.port()))
            .await;

    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "jane\n"), "{}", ran.err);
    running.end().await;
    fs::remove_dir_all(folder).expect("is removed");
}

#[tokio::test]
async fn port_is_closed_to_another_account_without_the_password() {
    if !can_change_account().await {
        return;
    }
    let server = server().await;
    let mut command = proxy(&server);
    command.args(["--listen", "0"]).env("RDS_IAM_LOCAL_PASSWORD", super::PASSWORD);
    let running = Running::start(command, 1).await;
    let place = running.output.lines().find(|line| line.starts_with("  host=")).expect("is printed").trim();

    let ran = psql_of_another(place).await;
    assert!(ran.code == Some(2) && ran.err.contains("no password supplied"), "{ran:?}");
    let ran = psql_of_another(&format!("{place} password=another")).await;
    assert!(ran.code == Some(2) && ran.err.contains("local password"), "{ran:?}");

    running.end().await;
    assert_eq!(server.attempts().len(), 1);
}
