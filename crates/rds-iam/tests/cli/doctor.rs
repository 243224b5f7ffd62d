//! `rds-iam doctor`: the first cause that it names is the real one.

pub(crate) mod credentials;
mod dns;
#[cfg(feature = "mysql")]
mod mysql;
mod postgres;
#[cfg(target_os = "linux")]
mod screen;
mod secrets;
mod sts;
mod topology;

use std::fs;

use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    dns_server::DnsServer,
    support::{
        CommandOutput, HOST, folder, program, program_with, rfc3339, run, server, session_key, time_server,
        url,
    },
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

/// Runs the doctor where [`HOST`] is this machine.
async fn examine(command: Command, url: &str, ahead: i64) -> Report {
    let dns = DnsServer::start(&[(HOST, "127.0.0.1")]).await;
    examine_by(&dns, command, url, ahead).await
}

async fn examine_by(dns: &DnsServer, command: Command, url: &str, ahead: i64) -> Report {
    // A server that is ahead means a machine that is behind.
    let time = time_server(-ahead).await;
    let dns = dns.address().to_string();
    report(run(command, ["doctor", "--json", "--time-url", &time, "--dns-server", &dns, url]).await)
}

#[track_caller]
fn report(ran: CommandOutput) -> Report {
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
        "mariadb://jane:geheim@db.example/app",
        "mysql://jane:geheim@db.example:port/app",
        "mysql://jane:geheim?@db.example/app",
        "oracle://jane:geheim@db.example/app",
        "jdbc:postgresql://db.example/app?user=jane&password=geheim",
        "jane:geheim@db.example",
        "host=db.example user=jane password='geheim",
        "'postgres://jane:geheim@db.example/app'",
        "\"postgres://jane:geheim@db.example/app\"",
        "postgres:/jane:geheim@db.example/app",
        "postgres//jane:geheim@db.example/app",
        "geheim://jane@db.example/app",
        "geheim",
        "postgres://jane@db.example/app?geheim=1@x",
        "postgres://jane@db.example/app?geheim",
    ] {
        for json in [false, true] {
            let more = if json { vec!["--json"] } else { vec![] };
            let arguments = ["doctor", "--time-url", &time, url].into_iter().chain(more);
            let ran = run(program(), arguments).await;

            assert_eq!(ran.code, Some(10), "{url}: {}", ran.out);
            for part in ["geheim", "gehe", "heim"] {
                assert!(!ran.out.contains(part) && !ran.err.contains(part), "{url}: {}{}", ran.out, ran.err);
            }
        }
    }
}

#[tokio::test]
async fn arguments_in_the_wrong_place_are_not_shown() {
    let url = "postgres://jane:geheim@db.example/app";
    for arguments in [
        vec!["token", url],
        vec!["doctor", "a", url],
        vec!["token", "--host", url, "--user", "jane"],
        vec!["token", "--port", url],
        vec!["token", "--pasword=ge/heim"],
        vec!["inspect", url],
        vec!["exec", "--host", HOST, "--user", "jane", "--region", url, "--", "psql"],
        vec!["doctor", "--dns-server", url],
    ] {
        let ran = run(program(), arguments.clone()).await;

        assert_ne!(ran.code, Some(0), "{arguments:?}");
        for part in ["geheim", "ge/heim"] {
            assert!(
                !ran.out.contains(part) && !ran.err.contains(part),
                "{arguments:?}: {}{}",
                ran.out,
                ran.err
            );
        }
    }
    let key = session_key();
    let ran =
        run(program_with(&key), ["exec", "--host", HOST, "--user", "jane", "--", &format!("psql {url}")])
            .await;
    assert!(ran.code == Some(127) && !ran.err.contains("geheim"), "{}", ran.err);
}

#[tokio::test]
async fn user_info_of_the_time_server_is_not_shown() {
    let ran = run(
        program(),
        [
            "doctor",
            "--time-url",
            "http://bob:geheim@127.0.0.1:1/x?y=geheim",
            &format!("postgres://jane@{HOST}/app"),
        ],
    )
    .await;

    assert!(!ran.out.contains("geheim") && ran.out.contains("127.0.0.1"), "{}", ran.out);
}

#[tokio::test]
async fn writer_where_a_reader_is_requested() {
    let server = server().await;
    let url = url(&server, "&target_session_attrs=read-only");

    let report = examine(program_with(server.access_key()), &url, RIGHT).await;

    report.first_cause_is(16, "other");
    report.says("login", "failed", "is not what `target_session_attrs` asks for");
    report.says("login", "failed", "use the writer or the reader endpoint");
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
    for part in ["warning parameters", "remove the password", "add plugins=iam", "ok      login"] {
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
    for ran in [run(program(), ["doctor"]).await, run(program(), ["doctor", " "]).await] {
        assert_eq!(ran.code, Some(2));
        assert!(ran.err.contains("DATABASE_URL"), "{}", ran.err);
    }
}

macro_rules! no_url {
    ($name:ident, $text:expr, $says:expr) => {
        #[tokio::test]
        async fn $name() {
            let ran = run(program(), ["doctor", "--json", $text]).await;

            let report = report(ran);
            report.first_cause_is(10, "parameters");
            report.says("parameters", "failed", $says);
        }
    };
}

no_url!(host_alone, HOST, "write postgres://user@db.abc123.us-east-2.rds.amazonaws.com/database");
no_url!(url_of_jdbc, "jdbc:mysql://db.example/app", "leave out `jdbc:`");
no_url!(
    scheme_misspelt,
    "postgress://jane@db.example/app",
    "write postgres://user@host/database, or mysql://"
);
#[cfg(not(feature = "mysql"))]
no_url!(mysql_left_out, "mysql://jane@db.example/app", "--features mysql");

#[tokio::test]
async fn causes_are_numbered_for_people() {
    let (server, time) = (server().await, time_server(0).await);
    server.token_policy().deny(server.access_key().access_key_id(), "jane");

    let ran =
        run(program_with(server.access_key()), ["doctor", "--time-url", &time, &url(&server, "")]).await;

    assert!(ran.out.contains("failed  login"), "{}", ran.out);
    assert!(
        ran.out.contains("most likely first:\n  1. perhaps no IAM policy allows access key …"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("iam-db-auth-error"), "{}", ran.out);
}

#[tokio::test]
async fn credentials_of_a_profile_show_their_expiry() {
    let server = crate::support::server_with(|builder| builder.access_key(session_key())).await;
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
    // A program of its own, as no shell reads the setting.
    let (process, asked) = (folder.join("process"), folder.join("asked"));
    let script = format!("echo asked >>{}; cat {}", asked.display(), answer.display());
    fs::write(&process, script).expect("is written");
    let text = format!("[profile dev]\nregion = us-east-2\ncredential_process = sh {}\n", process.display());
    fs::write(&config, text).expect("is written");
    let mut command = program();
    command.env("AWS_CONFIG_FILE", config).env("AWS_PROFILE", "dev");
    command
}

#[tokio::test]
async fn json_has_one_form() {
    let server = server().await;

    let report = examine(program_with(server.access_key()), &url(&server, "&passwrod=geheim"), RIGHT).await;
    let healthy = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&report.json), ["causes", "exit_code", "program", "steps", "target", "version"]);
    assert_eq!((&report.json["version"], &report.json["exit_code"]), (&Value::from(1), &Value::from(10)));
    assert_eq!(report.json["program"], concat!("rds-iam ", env!("CARGO_PKG_VERSION")));
    assert_eq!(report.json["target"], Value::Null);
    assert_eq!(keys(&report.json["steps"][0]), ["code", "fact", "remedy", "status", "step"]);
    assert_eq!(keys(&report.json["causes"][0]), ["code", "text"]);
    assert_eq!(report.json["steps"][0]["code"], "parameters");
    let target = serde_json::json!({
        "engine": "postgres", "host": HOST, "port": server.port(), "user": "jane", "database": "app",
        "signed_host": HOST, "signed_port": server.port(), "region": "us-east-2",
    });
    assert_eq!((&healthy.json["target"], &healthy.json["exit_code"]), (&target, &Value::from(0)));
}

/// The doctor at a source of credentials that never answers.
fn hanging(name: &str) -> Command {
    credentials::with_script(name, "exec sleep 600")
}

#[tokio::test]
async fn time_of_all_steps_is_limited() {
    let (server, time) = (server().await, time_server(0).await);
    let arguments = ["doctor", "--json", "--timeout", "2", "--time-url", &time, &url(&server, "")];

    let report = report(run(hanging("limit"), arguments).await);

    report.first_cause_is(13, "credentials-failed");
    report.says("credentials", "failed", "not finished within the 2s of --timeout");
    report.says("login", "skipped", "no time left");
}
