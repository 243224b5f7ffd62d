//! What keeps a login from working at every engine alike; included by the tests of each, which
//! bring its server.

use std::time::Duration;

use rds_testkit::{AccessKey, CertificateAuthority, Fault};

use super::{Builder, ENGINE, Server, builder, url, url_of};
use crate::{
    dns_server::DnsServer,
    doctor::{RIGHT, examine, examine_by, report, with_process},
    support::{
        HOST, USER, ca_for, closed_port, folder, program, program_with, rfc3339, run, session_key,
        time_server,
    },
};

pub(super) const PROXY: &str = "shop.proxy-abc123.us-east-2.rds.amazonaws.com";

pub(super) async fn start(set_up: impl FnOnce(Builder) -> Builder) -> Server {
    let builder = builder().host(HOST).region("us-east-2").user(USER).ca(&ca_for(90));
    set_up(builder).start().await.expect("the server starts")
}

async fn server() -> Server {
    start(|builder| builder).await
}

/// A server with the key of [`session_key`].
async fn session_server() -> Server {
    start(|builder| builder.access_key(session_key())).await
}

#[track_caller]
pub(super) fn no_token_was_sent(server: &Server) {
    assert!(server.attempts().iter().all(|attempt| attempt.password_len == 0), "{:?}", server.attempts());
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
    let command = with_process(&format!("expired-{ENGINE}"), &rfc3339(-60));

    let report = examine(command, &url(&server, ""), RIGHT).await;

    report.first_cause_is(13, "credentials-expired");
    report.says("credentials", "failed", "profile `dev` (AWS_PROFILE)");
}

#[tokio::test]
async fn region_wrong() {
    let server = server().await;

    let report =
        examine(program_with(server.access_key()), &url(&server, "&iamRegion=eu-west-1"), RIGHT).await;

    report.first_cause_is(16, "region");
    report.says("host", "warning", "`iamRegion` is eu-west-1 but the host name says us-east-2");
    // No grant in the wrong region would help.
    let text = report.json.to_string();
    assert!(text.contains(":rds-db:us-east-2:") && !text.contains(":rds-db:eu-west-1:"), "{text}");
}

#[tokio::test]
async fn signed_port_wrong() {
    let server = server().await;

    let report =
        examine(program_with(server.access_key()), &url(&server, "&iamDefaultPort=5433"), RIGHT).await;

    report.first_cause_is(16, "signed-port");
    report.says("host", "warning", "only right behind a tunnel");
}

#[tokio::test]
async fn signed_port_missing_behind_a_tunnel() {
    let server = start(|builder| builder.signed_port(6000)).await;
    let url = url_of("127.0.0.1", &server, &format!("&iamHost={HOST}"));

    let report = examine(program_with(server.access_key()), &url, RIGHT).await;

    assert!(report.causes().contains(&"signed-port"), "{:#}", report.json);
    assert_eq!((report.code, report.causes().len()), (16, 3));
}

#[tokio::test]
async fn region_wrong_at_a_global_writer() {
    let (global, cluster) =
        ("app.global-abc123.global.rds.amazonaws.com", "app.cluster-abc123.us-east-2.rds.amazonaws.com");
    let server = start(|builder| builder.host(global)).await;
    let dns = DnsServer::start(&[(global, cluster), (cluster, "127.0.0.1")]).await;
    let url = url_of(global, &server, "&iamRegion=eu-west-1");

    let report = examine_by(&dns, program_with(server.access_key()), &url, RIGHT).await;

    report.first_cause_is(16, "region");
    assert!(report.json.to_string().contains("set iamRegion=us-east-2"), "{:#}", report.json);
}

#[tokio::test]
async fn policy_missing_at_a_proxy() {
    let server = start(|builder| builder.host(PROXY)).await;
    server.token_policy().deny(server.access_key().access_key_id(), USER);
    let dns = DnsServer::start(&[(PROXY, "127.0.0.1")]).await;

    let url = url_of(PROXY, &server, "");
    let report = examine_by(&dns, program_with(server.access_key()), &url, RIGHT).await;

    report.first_cause_is(16, "policy");
    assert!(report.json.to_string().contains("dbuser:prx-RESOURCE-ID/jane"), "{:#}", report.json);
    assert_eq!(report.causes()[1], "proxy-role", "{:#}", report.json);
}

#[tokio::test]
async fn cname_host() {
    let server = server().await;
    let node = "ec2-10-0-3-17.us-east-2.compute.amazonaws.com";
    let dns = DnsServer::start(&[("db.example.com", HOST), (HOST, node), (node, "127.0.0.1")]).await;
    let command = || program_with(server.access_key());

    let report = examine_by(&dns, command(), &url_of("DB.example.com", &server, ""), RIGHT).await;

    report.first_cause_is(11, "host-name");
    report.says("host", "failed", &format!("is an alias of `{HOST}`: add iamHost={HOST}\""));
    report.says("dns", "ok", &format!("\"db.example.com -> {HOST} -> {node} -> 127.0.0.1\""));
    report.says("tls", "failed", &format!("try iamHost={HOST}"));
    no_token_was_sent(&server);

    let mended = url_of("db.example.com", &server, &format!("&iamHost={HOST}"));
    assert_eq!(examine_by(&dns, command(), &mended, RIGHT).await.code, 0);
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
async fn certificate_near_its_expiry() {
    let server = start(|builder| builder.ca(&ca_for(20))).await;

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    assert_eq!(report.code, 0, "{:#}", report.json);
    report.says("tls", "warning", "the server's certificate expires in 19 days");
    assert_eq!(report.step("tls")["code"], "certificate-ends-soon");
}

#[tokio::test]
async fn credentials_are_loaded_once() {
    let server = session_server().await;
    let command = with_process(&format!("once-{ENGINE}"), &rfc3339(3600));
    let asked = folder(&format!("doctor-once-{ENGINE}")).join("asked");
    let _ = std::fs::remove_file(&asked);

    let report = examine(command, &url(&server, ""), RIGHT).await;

    assert_eq!(report.code, 0, "{:#}", report.json);
    assert_eq!(std::fs::read_to_string(&asked).expect("was asked"), "asked\n");
}

#[tokio::test]
async fn options_take_the_place_of_a_connection_string() {
    let server = server().await;
    let (port, roots, time) =
        (server.port().to_string(), server.ca_file().display().to_string(), time_server(0).await);
    let arguments = [
        "doctor",
        "--json",
        "--time-url",
        &time,
        "--engine",
        ENGINE,
        "-h",
        HOST,
        "-U",
        USER,
        "-p",
        &port,
        "--hostaddr",
        "127.0.0.1",
        "--sslrootcert",
        &roots,
    ];

    let report = report(run(program_with(server.access_key()), arguments).await);

    assert_eq!(report.code, 0, "{:#}", report.json);
    report.says("dns", "ok", "connects to the given address 127.0.0.1");
    assert_eq!(report.json["target"]["engine"], ENGINE);
    assert_eq!(report.json["target"]["host"], HOST);
}

#[tokio::test]
async fn authority_wrong() {
    let server = server().await;
    server.inject_always(Fault::CertificateFrom(CertificateAuthority::generate().expect("generates")));

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

#[tokio::test]
async fn user_missing() {
    let server = server().await;
    let url = url(&server, "").replace("jane@", "jnae@");

    let report = examine(program_with(server.access_key()), &url, RIGHT).await;

    assert_eq!(report.causes(), ["grant-missing", "no-such-user", "iam-disabled"], "{:#}", report.json);
}

#[tokio::test]
async fn policy_missing() {
    let key = AccessKey::new("AKIAQQQQWWWWEEEERRRR", "the-secret-of-the-key").allow("somebody");
    let server = start(|builder| builder.access_key(key)).await;

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(16, "policy");
    let log = report.json["log"].as_str().expect("a log");
    assert!(log.contains("/aws/rds/instance/db/iam-db-auth-error"), "{log}");
}

#[tokio::test]
async fn clock_ahead() {
    let server = server().await;
    server.token_policy().rewind(Duration::from_secs(360));

    let report = examine(program_with(server.access_key()), &url(&server, ""), 360).await;

    report.first_cause_is(16, "clock-off");
    report.says("clock", "warning", "ahead of http://127.0.0.1");
}

#[tokio::test]
async fn clock_ahead_without_a_time_server() {
    let server = server().await;
    server.token_policy().rewind(Duration::from_secs(360));
    let time = format!("http://{}", closed_port().await);
    let dns = DnsServer::start(&[(HOST, "127.0.0.1")]).await.address().to_string();
    let arguments = ["doctor", "--json", "--dns-server", &dns, "--time-url", &time, &url(&server, "")];

    let report = report(run(program_with(server.access_key()), arguments).await);

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
    server.token_policy().revoke_key(session_key().access_key_id());

    let report = examine(program_with(&session_key()), &url(&server, ""), RIGHT).await;

    assert!(report.causes().contains(&"credentials-refused"), "{:#}", report.json);
    assert_eq!((report.code, report.causes().len()), (16, 3));
}

#[tokio::test]
async fn refusal_that_repeats_the_token_is_blanked() {
    let server = start(|builder| builder.access_key(session_key().allow("other"))).await;
    server.token_policy().deny(session_key().access_key_id(), "jane");
    server.inject_always(Fault::EchoPassword);

    let report = examine(program_with(&session_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(16, "policy");
    report.says("login", "failed", "[password]");
}
