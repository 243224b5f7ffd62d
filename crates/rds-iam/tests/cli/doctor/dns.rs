//! The step for DNS, with a server of the tests' own.

use crate::{
    dns_server::DnsServer,
    doctor::{RIGHT, examine_by, report},
    support::{HOST, closed_port, program, program_with, run, server, session_key, time_server},
};

const CLUSTER: &str = "app.cluster-abc123.us-east-2.rds.amazonaws.com";
const GLOBAL: &str = "app.global-abc123.global.rds.amazonaws.com";

fn url_of(host: &str, port: u16) -> String {
    format!("postgres://jane@{host}:{port}/app?plugins=iam")
}

/// The same with a port on which nothing listens.
async fn url(host: &str) -> String {
    url_of(host, closed_port().await.port())
}

#[tokio::test]
async fn first_endpoint_of_the_chain_is_suggested() {
    let dns = DnsServer::start(&[
        ("a.example", "b.example"),
        ("b.example", CLUSTER),
        (CLUSTER, HOST),
        (HOST, "127.0.0.1"),
    ])
    .await;

    let report = examine_by(&dns, program(), &url("a.example").await, RIGHT).await;

    report.first_cause_is(11, "host-name");
    report.says("host", "failed", &format!("add iamHost={CLUSTER}\""));
    report.says("dns", "ok", &format!("\"a.example -> b.example -> {CLUSTER} -> {HOST} -> 127.0.0.1\""));
}

#[tokio::test]
async fn cluster_endpoint_shows_its_instance() {
    let dns = DnsServer::start(&[(CLUSTER, HOST), (HOST, "127.0.0.1")]).await;

    let report = examine_by(&dns, program(), &url(CLUSTER).await, RIGHT).await;

    report.says("host", "ok", "cluster writer endpoint");
    report.says("dns", "ok", &format!("{CLUSTER} -> {HOST} -> 127.0.0.1; currently instance `db`"));
}

#[tokio::test]
async fn alias_of_no_endpoint_is_no_suggestion() {
    let dns = DnsServer::start(&[("a.example", "b.example"), ("b.example", "127.0.0.1")]).await;

    let report = examine_by(&dns, program(), &url("a.example").await, RIGHT).await;

    report.first_cause_is(11, "host-name");
    report.says("dns", "ok", "a.example -> b.example -> 127.0.0.1");
    assert!(!report.step("host").to_string().contains("is an alias"), "{:#}", report.json);
}

#[tokio::test]
async fn alias_of_another_endpoint_than_signed_for_is_named_first() {
    let server = server().await;
    let dns = DnsServer::start(&[("db.example", HOST), (HOST, "127.0.0.1")]).await;
    let (other, roots) = ("old.abc123.us-east-2.rds.amazonaws.com", server.ca_file().display());
    let url = url_of("db.example", server.port())
        + &format!("&iamHost={other}&tlsServerName={HOST}&sslrootcert={roots}");

    let report = examine_by(&dns, program_with(server.access_key()), &url, RIGHT).await;

    report.first_cause_is(16, "host-name");
    report.says("dns", "warning", &format!("signed for `{other}`, but `db.example` leads to `{HOST}`"));
}

#[tokio::test]
async fn region_of_a_global_writer_is_suggested() {
    let dns = DnsServer::start(&[(GLOBAL, CLUSTER), (CLUSTER, "127.0.0.1")]).await;

    let report = examine_by(&dns, program(), &url(GLOBAL).await, RIGHT).await;

    report.first_cause_is(11, "region");
    report.says("host", "failed", &format!("is currently an alias of `{CLUSTER}`: add iamRegion=us-east-2"));

    let elsewhere = url(GLOBAL).await + "&iamRegion=eu-west-1";
    let report = examine_by(&dns, program(), &elsewhere, RIGHT).await;
    report.says("dns", "warning", "the writer is in us-east-2, but the token is signed for eu-west-1");
}

#[tokio::test]
async fn cname_loop_is_reported() {
    let dns = DnsServer::start(&[("a.example", "b.example"), ("b.example", "a.example")]).await;

    let report = examine_by(&dns, program(), &url("a.example").await, RIGHT).await;

    report.says("dns", "failed", "a.example -> b.example -> a.example is a loop");
    report.says("tcp", "skipped", "no address");
}

#[tokio::test]
async fn cname_chain_is_limited() {
    let names: Vec<_> = (0..40).map(|number| format!("n{number}.example")).collect();
    let chain: Vec<_> =
        names.iter().zip(&names[1..]).map(|(name, next)| (name.as_str(), next.as_str())).collect();
    let dns = DnsServer::start(&chain).await;

    let report = examine_by(&dns, program(), &url("n0.example").await, RIGHT).await;

    report.says("dns", "failed", "n16.example -> … is too long");
}

#[tokio::test]
async fn name_missing() {
    let dns = DnsServer::start(&[]).await;

    let report = examine_by(&dns, program_with(&session_key()), &url(HOST).await, RIGHT).await;

    report.first_cause_is(12, "unresolved");
    report.says("dns", "failed", &format!("{} answered: no such name", dns.address()));
}

#[tokio::test]
async fn alias_of_a_missing_name_is_reported() {
    let dns = DnsServer::start(&[("db.example", HOST)]).await;

    let url = url("db.example").await + &format!("&iamHost={HOST}");
    let report = examine_by(&dns, program_with(&session_key()), &url, RIGHT).await;

    report.first_cause_is(12, "unresolved");
    report.says("dns", "failed", &format!("db.example -> {HOST} ends at a name that does not exist"));
}

#[tokio::test]
async fn server_that_does_not_answer() {
    let dns = DnsServer::answering(&[], |_| false).await;

    let report = examine_by(&dns, program_with(&session_key()), &url(HOST).await, RIGHT).await;

    report.first_cause_is(12, "unresolved");
    report.says("dns", "failed", "no answer");
    report.says("login", "skipped", "");
}

#[tokio::test]
async fn unknown_aliases_are_no_failure() {
    let server = server().await;
    let dns = DnsServer::answering(&[(HOST, "127.0.0.1")], |kind| {
        kind != hickory_resolver::proto::rr::RecordType::CNAME
    })
    .await;
    let url = url_of(HOST, server.port()) + &format!("&sslrootcert={}", server.ca_file().display());

    let report = examine_by(&dns, program_with(server.access_key()), &url, RIGHT).await;

    assert_eq!(report.code, 0, "{:#}", report.json);
    report.says("dns", "ok", "127.0.0.1; aliases unknown (no answer");
}

#[tokio::test]
async fn ip_address_is_not_looked_up() {
    let dns = DnsServer::answering(&[], |_| false).await;
    let url = format!("postgres://jane@127.0.0.1:{}/app?iamHost={HOST}", closed_port().await.port());

    let report = examine_by(&dns, program(), &url, RIGHT).await;

    report.says("dns", "ok", "\"the host is an address\"");
}

#[tokio::test]
async fn dns_server_wrong() {
    for wrong in ["dns.example", "10.0.0.2:", "10.0.0.2:99999", ""] {
        let ran = run(program(), ["doctor", "--dns-server", wrong, "postgres://jane@db.example/app"]).await;

        assert_eq!(ran.code, Some(2));
        assert!(ran.err.contains(&format!("invalid value '{wrong}'")), "{}", ran.err);
        assert!(ran.err.contains("10.0.0.2:5353"), "{}", ran.err);
    }
}

#[tokio::test]
async fn dns_server_without_a_port_ok() {
    for server in ["127.0.0.53", "::1", "[::1]"] {
        let (url, time) = (url("127.0.0.1").await, format!("http://{}", closed_port().await));
        let arguments = ["doctor", "--json", "--time-url", &time, "--dns-server", server, &url];

        assert_eq!(report(run(program(), arguments).await).code, 11);
    }
}

#[tokio::test]
async fn control_characters_of_a_name_are_escaped() {
    let alias = "a\u{1b}[2J\nok.example";
    let dns = DnsServer::start(&[("db.example", alias), (alias, "127.0.0.1")]).await;
    let (time, server) = (time_server(RIGHT).await, dns.address().to_string());
    let url = url("db.example").await + &format!("&iamHost={HOST}");

    let ran = run(program(), ["doctor", "--time-url", &time, "--dns-server", &server, &url]).await;

    let is_plain = |c: char| c == '\n' || !c.is_control();
    assert!(ran.out.contains("[2j") && ran.out.chars().all(is_plain), "{:?}", ran.out);
    assert!(!ran.out.contains("\nok.example"), "{:?}", ran.out);
}
