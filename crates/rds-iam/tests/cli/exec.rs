//! `rds-iam exec`.

mod mariadb;

use std::os::unix::process::ExitStatusExt;

use crate::support::{HOST, USER, log_in, program, program_with, run, server, session_key};

#[tokio::test]
async fn client_gets_the_token_in_its_environment() {
    let server = server().await;
    let (port, roots) = (server.port().to_string(), server.ca_file().display().to_string());
    let mut command = program_with(server.access_key());
    command.env("PGSERVICE", "elsewhere").env("PGSSLMODE", "disable");

    let ran = run(
        command,
        [
            "exec",
            "--host",
            HOST,
            "--user",
            USER,
            "--port",
            &port,
            "--sslrootcert",
            &roots,
            "--",
            "sh",
            "-c",
            r#"printf %s "$PGPASSWORD|$PGHOST|$PGPORT|$PGUSER|$PGSSLMODE|$PGSSLROOTCERT|$PGGSSENCMODE|$PGSERVICE|$1""#,
            "sh",
            "a b",
        ],
    )
    .await;

    let (token, rest) = ran.out.split_once('|').expect("token and the others");
    assert_eq!(rest, format!("{HOST}|{port}|{USER}|verify-full|{roots}|disable||a b"));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    log_in(&server, token).await;
}

#[tokio::test]
async fn roots_default_to_the_environment_and_then_to_the_system() {
    for (given, expected) in [(None, "system"), (Some("/my/roots.pem"), "/my/roots.pem")] {
        let mut command = program_with(&session_key());
        command.envs(given.map(|path| ("PGSSLROOTCERT", path)));

        let ran =
            run(command, ["exec", "--host", HOST, "--user", USER, "--", "printenv", "PGSSLROOTCERT"]).await;

        assert_eq!(ran.out.trim(), expected);
    }
}

#[tokio::test]
async fn exit_code_is_the_clients() {
    let ran = run(
        program_with(&session_key()),
        ["exec", "--host", HOST, "--user", USER, "--", "sh", "-c", "exit 42"],
    )
    .await;

    assert_eq!(ran.code, Some(42));
}

#[tokio::test]
async fn signal_reaches_the_client_and_its_death_is_seen() {
    let mut command = program_with(&session_key());
    command.args(["exec", "--host", HOST, "--user", USER, "--", "sh", "-c", "echo $$; kill -TERM $$"]);

    let child = command.stdout(std::process::Stdio::piped()).spawn().expect("runs");
    let pid = child.id().expect("runs").to_string();
    let output = child.wait_with_output().await.expect("ends");

    assert_eq!(output.status.signal(), Some(15));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), pid, "the client took the program's place");
}

#[tokio::test]
async fn client_missing() {
    let ran =
        run(program_with(&session_key()), ["exec", "--host", HOST, "--user", USER, "--", "no-such-psql"])
            .await;

    assert_eq!(ran.code, Some(127));
    assert!(ran.err.contains("client `no-such-psql` was not found"), "{}", ran.err);
}

#[tokio::test]
async fn client_is_not_run_without_credentials() {
    let ran = run(program(), ["exec", "--host", HOST, "--user", USER, "--", "echo", "ran"]).await;

    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn token_stays_out_of_the_process_list() {
    // Looks at itself too: what the program and the client were started with.
    let look = r#"for file in /proc/[0-9]*/cmdline; do tr '\0' ' ' 2>/dev/null <"$file"; echo; done"#;
    let user = "only-in-this-test";

    let ran =
        run(program_with(&session_key()), ["exec", "--host", HOST, "--user", user, "--", "sh", "-c", look])
            .await;

    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines.iter().any(|line| line.contains("/proc/[0-9]*/cmdline")), "the client itself is listed");
    assert!(!lines.iter().any(|line| line.contains(user)), "{lines:?}");
}

/// What a client called mysql is given, which says that it is of a version.
async fn mysql(version: &str) -> String {
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/mysql");
    let roots = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let mut command = program_with(&session_key());
    command.env("CLIENT_VERSION", version);
    let ran =
        run(command, ["exec", "--host", HOST, "--user", USER, "--sslrootcert", roots, "--", client, "app"])
            .await;
    assert_eq!(ran.err, "");
    ran.out
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn mysql_gets_a_nameless_private_file() {
    let out = mysql("mysql  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server)").await;

    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("argument --defaults-file=/dev/fd/"), "{out}");
    assert_eq!(lines[1], "argument app");
    assert_eq!(lines[2], "mode 600 links 0");
    for line in
        ["[client]", "ssl-mode=VERIFY_IDENTITY", "enable-cleartext-plugin", "port=3306", "user=\"jane\""]
    {
        assert!(lines.contains(&line), "{line} in {out}");
    }
    let password = lines.iter().find(|line| line.starts_with("password=")).expect("a password");
    assert!(password.starts_with(&format!("password=\"{HOST}:3306/?Action=connect&DBUser=jane")));
    assert_eq!(*lines.last().expect("a count"), "0", "no token in the environment");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn mariadb_gets_its_own_words_for_tls() {
    let out = mysql("mysql  Ver 15.1 Distrib 10.11.6-MariaDB").await;

    assert!(out.contains("\nssl-verify-server-cert\n") && !out.contains("ssl-mode"), "{out}");
}

#[tokio::test]
async fn mysql_without_roots_is_refused() {
    let ran =
        run(program_with(&session_key()), ["exec", "--host", HOST, "--user", USER, "--", "mysql"]).await;

    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("--sslrootcert"), "{}", ran.err);
}

#[tokio::test]
async fn roots_that_are_not_there() {
    for client in ["psql", "mysql"] {
        let arguments =
            ["exec", "--host", HOST, "--user", USER, "--sslrootcert", "/nonexistent.pem", "--", client];

        let ran = run(program_with(&session_key()), arguments).await;

        assert_eq!(ran.code, Some(1), "{client}");
        assert!(ran.err.contains("cannot read `/nonexistent.pem` of --sslrootcert"), "{}", ran.err);
    }
}
