//! The real clients of MariaDB, where they are installed.

use std::{os::unix::process::ExitStatusExt, process::Stdio};

use rds_testkit::{AccessKey, Fault, Gate, MysqlServer, MysqlServerBuilder, Phase};
use tokio::process::Command;

use crate::support::{CommandOutput, HOST, USER, installed, interrupt, program_with};

/// A server that the client finds under a name of this machine; tokens are for [`HOST`].
async fn server() -> MysqlServer {
    server_with(|builder| builder).await
}

async fn server_with(set_up: impl FnOnce(MysqlServerBuilder) -> MysqlServerBuilder) -> MysqlServer {
    let builder = MysqlServer::builder().host(HOST).host("localhost").user(USER);
    set_up(builder).start().await.expect("the server starts")
}

/// `rds-iam exec … -- CLIENT --host localhost …`: the name of the endpoint leads nowhere in a test.
fn exec(server: &MysqlServer, client: &str, arguments: &[&str]) -> Command {
    let mut command = program_with(server.access_key());
    command.args(["exec", "--host", HOST, "--user", USER, "--port", &server.port().to_string()]);
    command.arg("--sslrootcert").arg(server.ca_file());
    command.args(["--", client]).args(arguments);
    command
}

#[tokio::test]
async fn client_logs_in() {
    for client in ["mariadb", "mysql"] {
        if !installed(client).await {
            continue;
        }
        let server = server().await;
        let query = ["-h", "localhost", "-N", "-e", "SELECT CURRENT_USER()"];

        let ran = CommandOutput::from(exec(&server, client, &query).output().await.expect("runs"));

        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "jane@%\n", ""), "{client}");
        assert!(server.attempts().iter().all(|attempt| attempt.tls));
        assert_eq!(server.accepted(), 1);
    }
}

#[tokio::test]
async fn exit_code_is_the_clients() {
    if !installed("mariadb").await {
        return;
    }
    let server = server().await;

    let wrong_query = exec(&server, "mariadb", &["-h", "localhost", "-e", "SELEC"]).output().await;
    server.token_policy().deny(server.access_key().access_key_id(), USER);
    let refused = exec(&server, "mariadb", &["-h", "localhost", "-e", "SELECT 1"]).output().await;

    let (wrong_query, refused) =
        (CommandOutput::from(wrong_query.expect("runs")), CommandOutput::from(refused.expect("runs")));
    assert_eq!(wrong_query.code, Some(1), "{}", wrong_query.err);
    assert!(wrong_query.err.contains("ERROR 1064 (42000)"), "{}", wrong_query.err);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains("ERROR 1045 (28000): Access denied for user 'jane'"), "{}", refused.err);
}

#[tokio::test]
async fn certificate_of_another_name_gets_no_token() {
    if !installed("mariadb").await {
        return;
    }
    let server = server().await;
    server.inject_always(Fault::CertificateFor("other.example".to_owned()));

    let ran = CommandOutput::from(
        exec(&server, "mariadb", &["-h", "localhost", "-e", "SELECT 1"]).output().await.expect("runs"),
    );

    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("ERROR 2026"), "{}", ran.err);
    assert!(server.attempts().iter().all(|attempt| attempt.password_len == 0), "{:?}", server.attempts());
}

#[tokio::test]
async fn interrupt_ends_the_client() {
    if !installed("mariadb").await {
        return;
    }
    let (server, gate) = (server().await, Gate::new());
    server.inject(Fault::Hang(Phase::Login, gate.clone()));
    let mut command = exec(&server, "mariadb", &["-h", "localhost", "-e", "SELECT 1"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
    // The client waits for the answer to its token.
    gate.arrived(1).await;

    let pid = child.id().expect("runs");
    #[cfg(target_os = "linux")]
    {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).expect("runs");
        assert_eq!(name, "mariadb\n", "the client took the program's place");
    }
    interrupt(pid).await;

    assert_eq!(child.wait().await.expect("ends").signal(), Some(2));
}

#[tokio::test]
async fn tokens_of_every_length_arrive_whole() {
    for client in ["mariadb", "mariadb-dump"] {
        if !installed(client).await {
            continue;
        }
        for length in [100, 1_400, 3_200, 7_000] {
            let key = AccessKey::new("ASIAQQQQWWWWEEEERRRR", "secret").with_session_token("s".repeat(length));
            let server = server_with(|builder| builder.access_key(key).database("app")).await;
            let arguments = if client == "mariadb" {
                vec!["-h", "localhost", "-N", "-e", "SELECT CURRENT_USER()"]
            } else {
                vec!["-h", "localhost", "--no-data", "--skip-lock-tables", "app"]
            };

            let ran = CommandOutput::from(exec(&server, client, &arguments).output().await.expect("runs"));

            let attempts = server.attempts();
            assert!(attempts.iter().all(|attempt| attempt.tls), "{attempts:?}");
            assert!(
                attempts.iter().any(|attempt| attempt.password_len > length),
                "{client} {length}: {attempts:?}"
            );
            assert_eq!(server.accepted(), 1, "{client} {length}: {}", ran.err);
            assert!(!ran.err.contains("sss"), "{client} {length}: {}", ran.err);
        }
    }
}
