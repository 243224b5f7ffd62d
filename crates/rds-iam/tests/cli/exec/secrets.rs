//! Clients whose user and password come from Secrets Manager.

use rds_testkit::SecretsServer;
use tokio::process::Command;

use super::MYSQL;
use crate::support::{CommandOutput, HOST, folder, program_with, run, server};

const ID: &str = "prod/app";
const PASSWORD: &str = "geheim \\#1";

async fn service(password: &str) -> SecretsServer {
    let service = SecretsServer::start().await.expect("the service starts");
    let text = serde_json::json!({ "username": "app", "password": password });
    service.put(ID, text.to_string());
    service
}

fn command(service: &SecretsServer) -> Command {
    let mut command = program_with(service.access_key());
    command.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", service.url());
    command
}

async fn exec(service: &SecretsServer, scheme: &str, more: &[&str]) -> CommandOutput {
    let server = server().await;
    let roots = server.ca_file().display();
    let url = format!(
        "{scheme}://{HOST}/app?plugins=secretsManager&secretId={ID}&secretRegion=us-east-2&sslrootcert={roots}"
    );
    run(command(service), ["exec", "--url", &url].into_iter().chain(more.iter().copied())).await
}

#[tokio::test]
async fn client_gets_user_and_password_in_its_environment() {
    let service = service(PASSWORD).await;
    let script = r#"printf %s "$PGUSER|$PGPASSWORD|$PGHOST|$PGDATABASE|$PGSSLMODE""#;

    let ran = exec(&service, "postgres", &["--", "sh", "-c", script]).await;

    assert_eq!((ran.out, &*ran.err), (format!("app|{PASSWORD}|{HOST}|app|verify-full"), ""));
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test]
async fn options_name_a_secret_as_a_url_does() {
    let service = service(PASSWORD).await;

    let ran = run(
        command(&service),
        [
            "exec",
            "--host",
            HOST,
            "--secret-id",
            ID,
            "--secret-region",
            "us-east-2",
            "--",
            "printenv",
            "PGUSER",
            "PGPASSWORD",
        ],
    )
    .await;

    assert_eq!((ran.out, &*ran.err), (format!("app\n{PASSWORD}\n"), ""));
}

#[tokio::test]
async fn url_in_a_variable_holds_user_and_password() {
    let service = service(PASSWORD).await;

    let ran = exec(&service, "postgres", &["--url-env", "MINE", "--", "printenv", "MINE"]).await;

    let start = format!("postgres://app:geheim%20%5C%231@{HOST}:5432/app?sslmode=verify-full&");
    assert!(ran.out.starts_with(&start), "{}{}", ran.out, ran.err);
}

#[tokio::test]
async fn sqlx_at_mysql_gets_the_password_of_a_secret() {
    let service = service(PASSWORD).await;
    let folder = folder("exec-secret-sqlx");
    let sqlx = folder.join("sqlx");
    std::fs::copy("/usr/bin/printenv", &sqlx).expect("is copied");

    let ran = exec(&service, "mysql", &["--url-env", "MINE", "--", &sqlx.to_string_lossy(), "MINE"]).await;

    let start = format!("mysql://app:geheim%20%5C%231@{HOST}:3306/app?ssl-mode=VERIFY_IDENTITY&ssl-ca=");
    assert!(ran.out.starts_with(&start), "{}{}", ran.out, ran.err);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn mysql_gets_user_and_password_in_the_pipe_and_sends_nothing_in_clear() {
    let service = service(PASSWORD).await;

    let ran = exec(&service, "mysql", &["--", MYSQL, "app"]).await;

    let lines: Vec<_> = ran.out.lines().collect();
    for line in ["user=\"app\"", "password=\"geheim \\\\#1\"", "ssl-mode=VERIFY_IDENTITY"] {
        assert!(lines.contains(&line), "{line} in {}{}", ran.out, ran.err);
    }
    assert!(!ran.out.contains("cleartext"), "{}", ran.out);
    assert_eq!(lines.last(), Some(&"0"), "no password in the environment");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn password_that_an_option_file_cannot_hold_goes_into_the_environment() {
    let service = service("a'b\"c").await;

    let seen = exec(&service, "mysql", &["--", "sh", "-c", "printenv MYSQL_PWD", "{defaults-file}"]).await;

    assert_eq!(seen.out, "a'b\"c\n", "{}", seen.err);
}

#[tokio::test]
async fn missing_secret_runs_no_client() {
    let service = SecretsServer::start().await.expect("the service starts");

    let ran = exec(&service, "postgres", &["--", "echo", "ran"]).await;

    assert_eq!((ran.code, &*ran.out), (Some(1), ""));
    assert!(ran.err.contains("no such secret: secret `prod/app` in us-east-2"), "{}", ran.err);
    assert!(ran.err.contains("describe-secret"), "{}", ran.err);
}

#[tokio::test]
async fn token_of_a_connection_string_with_a_secret_wrong() {
    let service = service(PASSWORD).await;
    let url = format!("postgres://{HOST}/app?plugins=awsSecretsManager&secretId={ID}&secretRegion=us-east-2");

    let ran = run(command(&service), ["token", "--url", &url]).await;

    assert_eq!((ran.code, &*ran.out), (Some(2), ""));
    assert!(ran.err.contains("use `rds-iam exec`"), "{}", ran.err);
    assert!(service.requests().is_empty());
}
