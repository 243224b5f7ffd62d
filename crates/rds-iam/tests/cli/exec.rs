//! `rds-iam exec`.

mod mariadb;
mod postgres;
mod secrets;
mod url;

use std::os::unix::process::ExitStatusExt;

use rds_testkit::AccessKey;
use tokio::process::Command;

use crate::support::{
    CommandOutput, HOST, USER, folder, log_in, program, program_with, run, server, session_key,
};

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
            "printf '%s|' \"$PGPASSWORD\" \"$PGHOST\" \"$PGPORT\" \"$PGUSER\" \"$PGSSLMODE\" \
             \"$PGSSLROOTCERT\" \"$PGGSSENCMODE\" \"$PGSERVICE\"; printf %s \"$1\"",
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
    assert!(ran.err.contains("client `no-such-psql` not found"), "{}", ran.err);
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

/// The client of the tests that tells what it was given.
const MYSQL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/mysql");

/// `rds-iam exec` with a bundle.
async fn exec(command: Command, more: &[&str]) -> CommandOutput {
    let server = server().await;
    let roots = server.ca_file().display().to_string();
    let arguments = ["exec", "--host", HOST, "--user", USER, "--sslrootcert", &roots];
    run(command, arguments.into_iter().chain(more.iter().copied())).await
}

/// What a client called mysql is given, which says that it is of a version.
async fn mysql(version: &str, key: &AccessKey) -> String {
    let mut command = program_with(key);
    command.env("CLIENT_VERSION", version);
    let ran = exec(command, &["--", MYSQL, "app"]).await;
    assert_eq!(ran.err, "");
    ran.out
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn mysql_gets_a_pipe_that_its_children_find_empty() {
    let out = mysql("mysql  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server)", &session_key()).await;

    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("argument --defaults-file=/dev/fd/"), "{out}");
    assert_eq!(lines[1], "argument app");
    assert_eq!(lines[2], "type fifo");
    for line in
        ["[client]", "ssl-mode=VERIFY_IDENTITY", "enable-cleartext-plugin", "port=\"3306\"", "user=\"jane\""]
    {
        assert!(lines.contains(&line), "{line} in {out}");
    }
    let password = lines.iter().find(|line| line.starts_with("password=")).expect("a password");
    assert!(password.starts_with(&format!("password=\"{HOST}:3306/?Action=connect&DBUser=jane")));
    assert!(lines.contains(&"left: "), "{out}");
    assert_eq!(*lines.last().expect("a count"), "0", "no token in the environment");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn mariadb_gets_its_own_words_for_tls() {
    let out = mysql("mysql  Ver 15.1 Distrib 10.11.6-MariaDB", &session_key()).await;

    assert!(out.contains("\nssl-verify-server-cert\n") && !out.contains("ssl-mode"), "{out}");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn token_that_a_line_cannot_hold_goes_into_the_environment() {
    for (length, variables) in [(3_000, "0"), (4_000, "1"), (8_000, "1")] {
        let key = session_key().with_session_token("s".repeat(length));

        let out = mysql("mysql  Ver 15.1 Distrib 10.11.6-MariaDB", &key).await;

        assert!(out.lines().all(|line| line.len() < 4_095), "no line is cut");
        assert_eq!(out.lines().last(), Some(variables), "{length}");
        assert_eq!(out.contains("password="), variables == "0", "{length}");
    }
}

#[tokio::test]
async fn mysql_without_roots_is_refused() {
    let ran =
        run(program_with(&session_key()), ["exec", "--host", HOST, "--user", USER, "--", "mysql"]).await;

    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("--sslrootcert"), "{}", ran.err);
}

#[tokio::test]
async fn roots_file_missing() {
    for client in ["psql", "mysql"] {
        let arguments =
            ["exec", "--host", HOST, "--user", USER, "--sslrootcert", "/nonexistent.pem", "--", client];

        let ran = run(program_with(&session_key()), arguments).await;

        assert_eq!(ran.code, Some(2), "{client}");
        assert!(ran.err.contains("cannot read `/nonexistent.pem` of --sslrootcert"), "{}", ran.err);
    }
}

/// A program of this name in a folder of its own, which notes that it was run.
fn noting(name: &str) -> (std::path::PathBuf, std::path::PathBuf) {
    let folder = folder(&format!("exec-{name}"));
    let (program, note) = (folder.join(name), folder.join("was-run"));
    std::fs::write(&program, format!("#!/bin/sh\necho \"$@\" >>{}\n", note.display())).expect("is written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("is set");
    let _ = std::fs::remove_file(&note);
    (program, note)
}

#[tokio::test]
async fn program_of_another_name_is_never_run_to_learn_about_it() {
    for name in ["mysql-backup.sh", "mysqlsh", "mycli"] {
        let (program, note) = noting(name);

        let ran =
            exec(program_with(&session_key()), &["--engine", "mysql", "--", &program.to_string_lossy()])
                .await;

        assert_eq!(ran.code, Some(2), "{name}");
        assert!(ran.err.contains("{defaults-file}") && ran.err.contains("--url-env"), "{}", ran.err);
        assert!(!note.exists(), "{name} was run");
    }
}

#[tokio::test]
async fn client_that_hangs_at_its_version_is_run_anyway() {
    let folder = folder("exec-hangs");
    let program = folder.join("mysql");
    std::fs::write(&program, "#!/bin/sh\n[ \"$1\" = --version ] && exec sleep 600\necho ran\n")
        .expect("is written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("is set");

    let ran = exec(program_with(&session_key()), &["--", &program.to_string_lossy()]).await;

    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "ran\n"), "{}", ran.err);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn client_behind_another_program_gets_the_file_where_it_belongs() {
    let mut command = program_with(&session_key());
    command.env("CLIENT_VERSION", "mysql  Ver 15.1 Distrib 10.11.6-MariaDB");

    let ran = exec(command, &["--", "env", "LANG=C", MYSQL, "{defaults-file}", "app"]).await;

    assert!(ran.out.starts_with("argument --defaults-file=/dev/fd/"), "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("\nargument app\n") && ran.out.contains("\nssl-verify-server-cert\n"),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn mysql_at_an_address_is_refused_with_a_way_out() {
    let ran = exec(program_with(&session_key()), &["--hostaddr", "127.0.0.1", "--", MYSQL]).await;

    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains(&format!("`127.0.0.1 {HOST}` to /etc/hosts")), "{}", ran.err);
}

/// The variables of this name that the client gets, whatever the person's own are.
async fn variables(arguments: &[&str], inherited: &[(&str, &str)], wanted: &[&str]) -> String {
    let mut command = program_with(&session_key());
    command.envs(inherited.iter().copied());
    let show = wanted.iter().map(|name| format!("${{{name}-unset}}")).collect::<Vec<_>>().join("|");
    let script = format!("printf %s \"{show}\"");
    let ran =
        run(command, ["exec"].iter().chain(arguments).chain(&["--", "sh", "-c", &script]).copied()).await;
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    ran.out
}

#[tokio::test]
async fn connection_string_and_options_become_libpq_variables() {
    let url = format!("postgres://jane@{HOST}:6000/my%20app?application_name=report&connect_timeout=7");

    let out = variables(
        &["--url", &url, "--hostaddr", "127.0.0.9"],
        &[("PGCHANNELBINDING", "require"), ("PGREQUIREAUTH", "scram-sha-256")],
        &[
            "PGHOST",
            "PGHOSTADDR",
            "PGPORT",
            "PGDATABASE",
            "PGAPPNAME",
            "PGCONNECT_TIMEOUT",
            "PGCHANNELBINDING",
            "PGREQUIREAUTH",
        ],
    )
    .await;

    assert_eq!(out, format!("{HOST}|127.0.0.9|6000|my app|report|7|unset|unset"));
}

#[tokio::test]
async fn tunnel_is_verified_by_the_name_that_is_signed_for() {
    let arguments = ["--host", "127.0.0.1", "--port", "15432", "--user", USER, "--iam-host", HOST];
    let port = ["--iam-port", "5432"];

    let out =
        variables(&[&arguments[..], &port].concat(), &[], &["PGHOST", "PGHOSTADDR", "PGPORT", "PGPASSWORD"])
            .await;

    assert!(out.starts_with(&format!("{HOST}|127.0.0.1|15432|{HOST}:5432/?Action=connect")), "{out}");
}

#[tokio::test]
async fn connection_string_comes_from_the_environment() {
    let url = format!("postgres://jane@{HOST}/app");

    let out = variables(&[], &[("DATABASE_URL", &url)], &["PGHOST", "PGDATABASE"]).await;

    assert_eq!(out, format!("{HOST}|app"));
}

#[tokio::test]
async fn psql_before_16_is_refused_without_roots() {
    for (version, refused) in [("15.18 (Debian 15.18-0+deb12u1)", true), ("16.2", false)] {
        let folder = folder(&format!("exec-psql-{refused}"));
        let program = folder.join("psql");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] && {{ echo 'psql (PostgreSQL) {version}'; exit; }}\nprintf \
             %s \"$PGSSLROOTCERT\"\n"
        );
        std::fs::write(&program, script).expect("is written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("is set");
        let program = program.to_string_lossy();

        let ran =
            run(program_with(&session_key()), ["exec", "--host", HOST, "--user", USER, "--", &program]).await;

        if refused {
            assert_eq!(ran.code, Some(2));
            assert!(ran.err.contains("global-bundle.pem"), "{}", ran.err);
        } else {
            assert_eq!((ran.code, ran.out.as_str()), (Some(0), "system"), "{}", ran.err);
        }
    }
}

#[tokio::test]
async fn wrong_values_are_wrong_usage() {
    for (arguments, says) in [
        (vec!["--host", "db.example", "--user", USER], "--host"),
        (vec!["--host", "https://db.example", "--user", USER], "invalid --host"),
        (vec!["--host", HOST], "--user"),
        (vec!["--url", "postgres://jane@h/app", "--host", HOST], "cannot be used with"),
        (vec!["--url", "-"], "standard input is the client's"),
        (vec!["--url", "mysql://jane@db.example/app?sslmode=disable"], ""),
        (vec![], "DATABASE_URL"),
        (vec!["--host", HOST, "--user", USER, "--url-env", "A B"], "name of a variable"),
    ] {
        let all = ["exec"].iter().chain(&arguments).chain(&["--", "echo", "ran"]);

        let ran = run(program_with(&session_key()), all.copied()).await;

        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{arguments:?}: {}", ran.err);
    }
}
