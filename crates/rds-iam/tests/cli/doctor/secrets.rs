//! The doctor where user and password come from Secrets Manager.

use rds_testkit::{PostgresServer, SecretsError, SecretsServer};
use tokio::process::Command;

use super::{RIGHT, Report, examine};
use crate::support::{HOST, closed_port, program_with};

const ID: &str = "prod/app";
const PASSWORD: &str = "geheim-first";

/// The service with the secret of `app`.
async fn service() -> SecretsServer {
    let service = SecretsServer::start().await.expect("the service starts");
    service.put(ID, secret("app", PASSWORD));
    service
}

fn secret(user: &str, password: &str) -> String {
    format!(r#"{{"username":"{user}","password":"{password}"}}"#)
}

async fn database(password: &str) -> PostgresServer {
    let ca = crate::support::ca_for(90);
    let server = PostgresServer::builder().host(HOST).ca(&ca).password_user("app", password);
    server.start().await.expect("the server starts")
}

/// The program with the service's credentials, for which the service is at this address.
fn command(service: &SecretsServer, address: &str) -> Command {
    let mut command = program_with(service.access_key());
    command.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", address);
    command
}

fn url(server: &PostgresServer, user: &str, more: &str) -> String {
    let (port, roots) = (server.port(), server.ca_file().display());
    let secret = format!("plugins=awsSecretsManager&secretId={ID}&secretRegion=us-east-2");
    format!("postgres://{user}{HOST}:{port}/app?{secret}&sslrootcert={roots}{more}")
}

async fn examined(service: &SecretsServer, server: &PostgresServer) -> Report {
    examine(command(service, &service.url()), &url(server, "", ""), RIGHT).await
}

#[tokio::test]
async fn login_with_the_secret_ok() {
    let (service, server) = (service().await, database(PASSWORD).await);

    let report = examined(&service, &server).await;

    assert_eq!((report.code, report.causes()), (0, vec![]), "{:#}", report.json);
    report.says("parameters", "ok", "user and password of secret `prod/app`");
    report.says("secret", "ok", "`prod/app` in us-east-2, version");
    report.says("secret", "ok", "is for user `app`");
    report.says("login", "ok", "logged in as `app`");
    assert_eq!(
        (&report.json["target"]["user"], &report.json["target"]["region"]),
        (&"app".into(), &"us-east-2".into())
    );
    assert_eq!(service.requests().len(), 1, "asked once");
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn login_at_mysql_ok() {
    let service = service().await;
    let server = rds_testkit::MysqlServer::builder().host(HOST).ca(&crate::support::ca_for(90));
    let server = server.password_user("app", PASSWORD).start().await.expect("the server starts");
    let (port, roots) = (server.port(), server.ca_file().display());
    let url = format!(
        "mysql://{HOST}:{port}/app?plugins=secretsManager&secretId={ID}&secretRegion=us-east-2&sslrootcert={roots}"
    );

    let report = examine(command(&service, &service.url()), &url, RIGHT).await;

    assert_eq!((report.code, report.causes()), (0, vec![]), "{:#}", report.json);
    report.says("login", "ok", "logged in as `app`");
}

#[tokio::test]
async fn refused_login_is_explained_by_the_rotation() {
    let (service, server) = (service().await, database("geheim-second").await);

    let report = examined(&service, &server).await;

    report.first_cause_is(16, "secret-rotation");
    assert_eq!(report.causes(), ["secret-rotation", "secret-out-of-step"]);
    assert!(report.json["log"].is_null(), "the log of IAM logins tells nothing of it: {:#}", report.json);
}

/// One row: what the service does, and what the doctor says first.
#[tokio::test]
async fn service_that_gives_no_secret_is_explained() {
    let server = database(PASSWORD).await;
    for (error, cause, remedy) in [
        (SecretsError::access_denied(), "secret-policy", "secretsmanager:GetSecretValue"),
        (SecretsError::kms_denied(), "secret-kms", "kms:Decrypt"),
    ] {
        let service = service().await;
        service.fail(10, error);

        let report = examined(&service, &server).await;

        report.first_cause_is(17, cause);
        report.says("secret", "failed", remedy);
        assert!(!report.step("secret")["fact"].to_string().contains("check first"), "told once");
        report.says("login", "skipped", "");
    }
}

/// One row: what is stored, and what the doctor says of it.
#[tokio::test]
async fn secret_that_cannot_be_used_is_explained() {
    let server = database(PASSWORD).await;
    for (text, fact, remedy) in [
        (Some("geheim"), "is not JSON", "store user and password as"),
        (Some(r#"{"username":"app","pass":"geheim"}"#), "lacks property `password`", "name the existing one"),
        (
            Some(r#"{"username":"app","password":"geheim\n"}"#),
            "contains a control character",
            "store it without",
        ),
        (None, "no such secret", "describe-secret"),
    ] {
        let service = SecretsServer::start().await.expect("the service starts");
        if let Some(text) = text {
            service.put(ID, text);
        }

        let report = examined(&service, &server).await;

        assert_eq!(report.code, 17, "{:#}", report.json);
        report.says("secret", "failed", fact);
        report.says("secret", "failed", remedy);
    }
}

#[tokio::test]
async fn service_out_of_reach_is_explained() {
    let (service, server) = (service().await, database(PASSWORD).await);
    let address = format!("http://{}", closed_port().await);

    let report = examine(command(&service, &address), &url(&server, "", ""), RIGHT).await;

    report.first_cause_is(17, "secret-network");
}

#[tokio::test]
async fn user_of_another_name_wrong() {
    let (service, server) = (service().await, database(PASSWORD).await);

    let report = examine(command(&service, &service.url()), &url(&server, "jane@", ""), RIGHT).await;

    assert_eq!(report.code, 17, "{:#}", report.json);
    report.says("secret", "failed", "user `jane` is configured, but secret `prod/app` is for `app`");
    report.says("secret", "failed", "remove the user");
}

#[tokio::test]
async fn plugin_missing_causes_a_warning() {
    let (service, server) = (service().await, database(PASSWORD).await);
    let url = url(&server, "", "").replace("plugins=awsSecretsManager&", "");

    let report = examine(command(&service, &service.url()), &url, RIGHT).await;

    assert_eq!(report.code, 0, "{:#}", report.json);
    report.says("parameters", "warning", "add plugins=awsSecretsManager");
}

#[tokio::test]
async fn configuration_of_a_secret_wrong() {
    let (service, server) = (service().await, database(PASSWORD).await);
    for (from, to, says) in [
        ("&secretRegion=us-east-2", "", "set `secretRegion`"),
        ("awsSecretsManager", "awsSecretsManager,iam", "iam"),
        ("&secretId=prod/app", "", "needs `secretId`"),
        (
            "&secretRegion",
            "&secretEndpoint=http://127.0.0.1:1&secretRegion",
            "must be Secrets Manager at AWS",
        ),
    ] {
        let url = url(&server, "", "").replace(from, to);

        let report = examine(command(&service, &service.url()), &url, RIGHT).await;

        report.first_cause_is(10, "parameters");
        report.says("parameters", "failed", says);
    }
    assert!(service.requests().is_empty());
}
