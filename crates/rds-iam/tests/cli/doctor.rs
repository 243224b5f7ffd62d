//! `rds-iam doctor`: the first cause that it names is the real one.

use std::{fs, time::Duration};

use rds_testkit::{AccessKey, Ca, Fault, PasswordMethod, PostgresServer, ServerError};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::support::{
    HOST, Ran, closed_port, folder, program, program_with, rfc3339, run, server, server_with, session_key,
    time_server, url,
};

/// How far this machine's clock is from the right time, in a report that has asked.
const RIGHT: i64 = 0;

struct Report {
    code: i32,
    json: Value,
}

impl Report {
    /// The codes of the causes, most likely first.
    fn causes(&self) -> Vec<&str> {
        let causes = self.json["causes"].as_array().expect("a list");
        causes.iter().map(|cause| cause["code"].as_str().expect("a code")).collect()
    }

    fn step(&self, name: &str) -> &Value {
        let steps = self.json["steps"].as_array().expect("a list");
        steps
            .iter()
            .find(|step| step["step"] == name)
            .unwrap_or_else(|| panic!("step {name} in {}", self.json))
    }

    #[track_caller]
    fn first_cause_is(&self, exit_code: i32, cause: &str) {
        assert_eq!((self.code, self.causes().first().copied()), (exit_code, Some(cause)), "{:#}", self.json);
        assert!(self.causes().len() <= 3);
    }

    #[track_caller]
    fn says(&self, step: &str, status: &str, part: &str) {
        let step = self.step(step);
        assert_eq!(step["status"], status, "{step}");
        assert!(step.to_string().contains(part), "{step} should say {part}");
    }
}

async fn examine(command: Command, url: &str, ahead: i64) -> Report {
    // A server that is ahead means a machine that is behind.
    let time = time_server(-ahead).await;
    report(run(command, ["doctor", "--json", "--time-url", &time, url]).await)
}

#[track_caller]
fn report(ran: Ran) -> Report {
    assert_eq!(ran.err, "");
    no_secret(&ran.out);
    let json = serde_json::from_str(&ran.out).expect("json");
    Report { code: ran.code.expect("an exit code"), json }
}

#[track_caller]
fn no_secret(text: &str) {
    let key = session_key();
    for secret in
        [key.secret_access_key(), key.session_token().expect("a session"), "X-Amz-Signature", "geheim"]
    {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

/// A server with the key of [`session_key`].
async fn session_server() -> PostgresServer {
    server_with(|builder| builder.access_key(session_key())).await
}

#[tokio::test]
async fn healthy() {
    let server = server().await;

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    assert_eq!((report.code, report.causes().len()), (0, 0), "{:#}", report.json);
    let statuses: Vec<_> =
        report.json["steps"].as_array().expect("a list").iter().map(|step| &step["status"]).collect();
    assert_eq!(statuses, ["ok"; 8]);
    report.says("host", "ok", "instance endpoint");
    report.says("credentials", "ok", "AWS_ACCESS_KEY_ID in the environment, access key …");
    report.says("tls", "ok", &format!("certificate for {HOST}, issued by CN=rds-testkit CA, until 20"));
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn credentials_missing() {
    let server = server().await;

    let report = examine(program(), &url(&server, ""), RIGHT).await;

    report.first_cause_is(13, "credentials-missing");
    report.says("tls", "ok", HOST);
    report.says("login", "skipped", "");
}

#[tokio::test]
async fn credentials_expired() {
    let server = server().await;
    let report = examine(with_process("expired", &rfc3339(-60)), &url(&server, ""), RIGHT).await;

    report.first_cause_is(13, "credentials-expired");
    report.says("credentials", "failed", "profile `dev` (AWS_PROFILE)");
}

#[tokio::test]
async fn credentials_of_a_profile_tell_their_end() {
    let server = session_server().await;
    let end = rfc3339(3600);
    let report = examine(with_process("living", &end), &url(&server, "&awsProfile=dev"), RIGHT).await;

    assert_eq!(report.code, 0, "{:#}", report.json);
    report.says("credentials", "ok", &format!("profile `dev`, access key …RRRR, expires {end}"));
}

/// The program with a profile whose credentials come from another program.
fn with_process(name: &str, expiration: &str) -> Command {
    let (folder, key) = (folder(&format!("doctor-{name}")), session_key());
    let answer = folder.join("credentials.json");
    let json = serde_json::json!({
        "Version": 1,
        "AccessKeyId": key.access_key_id(),
        "SecretAccessKey": key.secret_access_key(),
        "SessionToken": key.session_token(),
        "Expiration": expiration,
    });
    fs::write(&answer, json.to_string()).expect("is written");
    let config = folder.join("config");
    let text = format!("[profile dev]\nregion = us-east-2\ncredential_process = cat {}\n", answer.display());
    fs::write(&config, text).expect("is written");
    let mut command = program();
    command.env("AWS_CONFIG_FILE", config).env("AWS_PROFILE", "dev");
    command
}

#[tokio::test]
async fn region_wrong() {
    let server = server().await;

    let report =
        examine(program_with(server.access_key()), &url(&server, "&iamRegion=eu-west-1"), RIGHT).await;

    report.first_cause_is(16, "region");
    report.says("host", "warning", "`iamRegion` is eu-west-1 and the name says us-east-2");
}

#[tokio::test]
async fn signed_port_wrong() {
    let server = server().await;

    let report =
        examine(program_with(server.access_key()), &url(&server, "&iamDefaultPort=5433"), RIGHT).await;

    report.first_cause_is(16, "signed-port");
    report.says("host", "warning", "which only a tunnel explains");
}

#[tokio::test]
async fn signed_port_missing_behind_a_tunnel() {
    let server = server_with(|builder| builder.signed_port(5432)).await;
    let (port, roots) = (server.port(), server.ca_file().display());
    let url = format!("postgres://jane@127.0.0.1:{port}/app?plugins=iam&iamHost={HOST}&sslrootcert={roots}");

    let report = examine(program_with(server.access_key()), &url, RIGHT).await;

    assert!(report.causes().contains(&"signed-port"), "{:#}", report.json);
    assert_eq!((report.code, report.causes().len()), (16, 3));
}

#[tokio::test]
async fn port_closed() {
    let server = server().await;
    let closed = closed_port().await.port();
    let url = url(&server, "").replace(&format!(":{}/", server.port()), &format!(":{closed}/"));

    let report = examine(program_with(server.access_key()), &url, RIGHT).await;

    report.first_cause_is(14, "port-closed");
}

#[tokio::test]
async fn tls_not_offered() {
    let server = server().await;
    server.inject_always(Fault::NoTls);

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(15, "tls-not-offered");
    no_token_was_sent(&server);
}

#[tokio::test]
async fn authority_wrong() {
    let server = server().await;
    server.inject_always(Fault::CertificateFrom(Ca::generate().expect("generates")));

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(15, "unknown-issuer");
    report.says("tls", "failed", "sslrootcert");
    no_token_was_sent(&server);
}

#[tokio::test]
async fn name_wrong() {
    let server = server().await;
    server.inject_always(Fault::CertificateFor("other.abc123.us-east-2.rds.amazonaws.com".to_owned()));

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(15, "wrong-name");
    report.says("tls", "failed", "certificate for other.abc123.us-east-2.rds.amazonaws.com");
    no_token_was_sent(&server);
}

#[tokio::test]
async fn certificate_expired() {
    let server = server().await;
    server.inject_always(Fault::CertificateExpired);

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(15, "certificate-expired");
}

#[track_caller]
fn no_token_was_sent(server: &PostgresServer) {
    assert!(server.attempts().iter().all(|attempt| attempt.password_len == 0), "{:?}", server.attempts());
}

#[tokio::test]
async fn grant_missing() {
    for method in [PasswordMethod::Cleartext, PasswordMethod::Md5, PasswordMethod::ScramSha256] {
        let server =
            server_with(|builder| builder.password_user("bob", "geheim").password_method(method)).await;
        let url = url(&server, "").replace("jane@", "bob@");

        let report = examine(program_with(server.access_key()), &url, RIGHT).await;

        report.first_cause_is(16, "grant-missing");
    }
}

#[tokio::test]
async fn policy_missing() {
    let key = AccessKey::new("AKIAQQQQWWWWEEEERRRR", "the-secret-of-the-key").allow("somebody");
    let server = server_with(|builder| builder.access_key(key)).await;

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(16, "policy");
    let log = report.json["log"].as_str().expect("a log");
    assert!(log.contains("/aws/rds/instance/db/iam-db-auth-error"), "{log}");
}

#[tokio::test]
async fn clock_ahead() {
    let server = server().await;
    server.authority().rewind(Duration::from_secs(360));

    let report = examine(program_with(server.access_key()), &url(&server, ""), 360).await;

    report.first_cause_is(16, "clock-off");
    report.says("clock", "warning", "ahead of http://127.0.0.1");
}

#[tokio::test]
async fn clock_ahead_and_nobody_to_ask() {
    let server = server().await;
    server.authority().rewind(Duration::from_secs(360));
    let time = format!("http://{}", closed_port().await);

    let ran =
        run(program_with(server.access_key()), ["doctor", "--json", "--time-url", &time, &url(&server, "")])
            .await;

    let report = report(ran);
    assert!(report.causes().contains(&"clock-off"), "{:#}", report.json);
    assert_eq!((report.code, report.causes().len()), (16, 3));
    report.says("clock", "skipped", "not checked");
}

#[tokio::test]
async fn clock_a_little_behind_is_no_cause() {
    let server = server().await;

    let report = examine(program_with(server.access_key()), &url(&server, ""), -60).await;

    report.says("clock", "warning", " behind http://127.0.0.1");
    assert_eq!(report.code, 0);
}

#[tokio::test]
async fn key_revoked() {
    let server = session_server().await;
    server.authority().revoke_key(session_key().access_key_id());

    let report = examine(program_with(&session_key()), &url(&server, ""), RIGHT).await;

    assert!(report.causes().contains(&"credentials-refused"), "{:#}", report.json);
    assert_eq!((report.code, report.causes().len()), (16, 3));
}

#[tokio::test]
async fn database_missing() {
    let server = server_with(|builder| builder.database("other")).await;

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(16, "no-access-rule");
}

#[tokio::test]
async fn server_throttles() {
    let server = server().await;
    server.inject_always(Fault::Refuse(ServerError::new("53300", "sorry, too many clients already")));

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(16, "throttled");
}

#[tokio::test]
async fn refusal_that_repeats_the_token_is_blanked() {
    let server = server_with(|builder| builder.access_key(session_key().allow("other"))).await;
    server.authority().deny(session_key().access_key_id(), "jane");
    server.inject_always(Fault::EchoPassword);

    let report = examine(program_with(&session_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(16, "policy");
    report.says("login", "failed", "PAM authentication failed");
}

#[tokio::test]
async fn custom_domain_without_its_endpoint_is_read_from_the_certificate() {
    let server = server().await;
    let (port, roots) = (server.port(), server.ca_file().display());
    let url =
        format!("postgres://jane@localhost:{port}/app?plugins=iam&hostaddr=127.0.0.1&sslrootcert={roots}");

    let report = examine(program_with(server.access_key()), &url, RIGHT).await;

    report.first_cause_is(11, "host-name");
    report.says("tls", "failed", &format!("try iamHost={HOST}"));
    no_token_was_sent(&server);
}

#[tokio::test]
async fn parameter_wrong() {
    let server = server().await;
    let url = url(&server, "&passwrod=geheim");

    let report = examine(program_with(server.access_key()), &url, RIGHT).await;

    report.first_cause_is(10, "parameters");
    report.says("parameters", "failed", "did you mean `password`?");
    report.says("login", "skipped", "");
}

#[tokio::test]
async fn malformed_url_shows_no_part_of_a_password() {
    let time = time_server(0).await;
    for url in [
        "postgres://jane:geheim@db.example:port/app",
        "postgres://jane:ge@heim@db.example/app",
        "mysql://jane:geheim@db.example/app",
        "jane:geheim@db.example",
        "host=db.example user=jane password='geheim",
    ] {
        let ran = run(program(), ["doctor", "--time-url", &time, url]).await;

        assert_eq!(ran.code, Some(10), "{url}: {}", ran.out);
        for part in ["geheim", "gehe", "heim"] {
            assert!(!ran.out.contains(part) && !ran.err.contains(part), "{url}: {}{}", ran.out, ran.err);
        }
    }
}

#[tokio::test]
async fn several_hosts_are_examined_one_at_a_time() {
    let url = format!("postgres://jane@{HOST},{HOST}/app?plugins=iam");

    let report = examine(program(), &url, RIGHT).await;

    report.first_cause_is(10, "parameters");
    report.says("parameters", "failed", "one at a time");
}

#[tokio::test]
async fn url_comes_from_the_environment_and_hides_its_password() {
    let (server, time) = (server().await, time_server(0).await);
    let mut command = program_with(server.access_key());
    command
        .env("DATABASE_URL", url(&server, "").replace("jane@", "jane:geheim@").replace("plugins=iam&", ""));

    let ran = run(command, ["doctor", "--time-url", &time]).await;

    assert_eq!(ran.code, Some(0), "{}", ran.out);
    no_secret(&ran.out);
    for part in ["warning parameters", "leave out the password", "add plugins=iam", "ok      login"] {
        assert!(ran.out.contains(part), "{part} in {}", ran.out);
    }
    assert!(!ran.out.contains('\x1b'), "no colours into a pipe");
}

#[tokio::test]
async fn url_comes_from_standard_input() {
    let (server, time) = (server().await, time_server(0).await);
    let mut command = program_with(server.access_key());
    command.args(["doctor", "--json", "--time-url", &time, "-"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());

    let mut child = command.spawn().expect("runs");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(format!("{}\n", url(&server, "")).as_bytes()).await.expect("is read");
    drop(input);
    let output = child.wait_with_output().await.expect("ends");

    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn url_missing() {
    let ran = run(program(), ["doctor"]).await;

    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("DATABASE_URL"), "{}", ran.err);
}

#[tokio::test]
async fn causes_are_numbered_for_people() {
    let (server, time) = (server().await, time_server(0).await);
    server.authority().deny(server.access_key().access_key_id(), "jane");

    let ran =
        run(program_with(server.access_key()), ["doctor", "--time-url", &time, &url(&server, "")]).await;

    assert!(ran.out.contains("failed  login"), "{}", ran.out);
    assert!(ran.out.contains("most likely first:\n  1. perhaps no policy lets access key …"), "{}", ran.out);
    assert!(ran.out.contains("iam-db-auth-error"), "{}", ran.out);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn terminal_gets_colours_unless_the_person_says_no() {
    for (no_color, coloured) in [("", true), ("1", false)] {
        let mut command = program();
        command.env("NO_COLOR", no_color).args(["doctor", "host=nowhere"]);

        let ran = crate::support::on_a_terminal(command).await;

        assert_eq!(ran.out.contains("\x1b[1;31mfailed \x1b[0m"), coloured, "{}", ran.out);
    }
}
