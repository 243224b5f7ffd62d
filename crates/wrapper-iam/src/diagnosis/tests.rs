//! Facts of a refused login, and the causes that they suggest.

use super::*;

const INSTANCE: &str = "db.abc123.us-east-2.rds.amazonaws.com";
const PROXY: &str = "shop.proxy-abc123.us-east-2.rds.amazonaws.com";
const GLOBAL: &str = "db.global-abc123.global.rds.amazonaws.com";
const DSQL: &str = "abcdefghijklmnopqrst123456.dsql.us-east-1.on.aws";

fn target(host: &str, user: &str) -> TokenRequest {
    TokenRequest::database_in(
        host,
        5432,
        user,
        Endpoint::parse(host).expect("fits").region().unwrap_or("us-east-2"),
    )
    .expect("fits")
}

/// The facts of a token that PostgreSQL asked for and refused, with a clock that is right.
fn refused<'a>(target: &'a TokenRequest, dialled: &'a str) -> Facts<'a> {
    let mut facts = Facts::new(target, (dialled, 5432), Engine::Postgres);
    (facts.asked, facts.access_key_id, facts.clock_ahead) = (Asked::Token, "AKIAIOSFODNN7EXAMPLE", Some(0));
    facts
}

fn codes(facts: &Facts<'_>) -> Vec<&'static str> {
    facts.causes().iter().map(Cause::code).collect()
}

#[track_caller]
fn first(facts: &Facts<'_>, code: &str, says: &[&str]) {
    let causes = facts.causes();
    let text = causes[0].to_string();
    assert_eq!(causes[0].code(), code, "{text}");
    for part in says {
        assert!(text.contains(part), "{text} should say {part}");
    }
}

#[test]
fn policy_comes_first_where_the_server_asked_for_a_token() {
    let target = target(INSTANCE, "jane");
    let facts = refused(&target, INSTANCE);

    first(
        &facts,
        "policy",
        &[
            "access key …MPLE",
            "rds-db:connect on arn:aws:rds-db:us-east-2:ACCOUNT:dbuser:db-RESOURCE-ID/jane",
        ],
    );
    assert_eq!(codes(&facts), ["policy", "resource-id", "credentials-refused", "throttled", "log"]);
}

#[test]
fn grant_comes_first_where_the_server_shows_nothing() {
    let target = target(INSTANCE, "o'brien");
    let mut facts = refused(&target, INSTANCE);
    (facts.engine, facts.asked) = (Engine::Mysql, Asked::Unknown);

    first(
        &facts,
        "grant-missing",
        &["ALTER USER 'o''brien'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'"],
    );
    assert_eq!(codes(&facts)[..2], ["grant-missing", "policy"]);
}

#[test]
fn password_that_was_asked_for_leaves_three_causes_and_the_log() {
    let target = target(INSTANCE, r#"o"brien"#);
    let mut facts = refused(&target, INSTANCE);
    facts.asked = Asked::Password;
    // What is wrong with a token does not count where none is wanted.
    (facts.clock_ahead, facts.key_was_replaced) = (Some(600), true);

    first(&facts, "grant-missing", &[r#"GRANT rds_iam TO "o""brien", which disables its password login"#]);
    assert_eq!(codes(&facts), ["grant-missing", "no-such-user", "iam-disabled", "log"]);
}

macro_rules! found {
    ($($name:ident: |$facts:ident| $change:expr => $code:literal, $says:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let target = target(INSTANCE, "jane");
                let mut $facts = refused(&target, INSTANCE);
                $change;
                first(&$facts, $code, &$says);
            }
        )*
    };
}

found! {
    clock_that_is_ahead_is_named: |facts| facts.clock_ahead = Some(360)
        => "clock-off", ["6 min ahead", "NTP"];
    clock_that_is_behind_is_named: |facts| facts.clock_ahead = Some(-600) => "clock-off", ["10 min behind"];
    credentials_at_their_end_are_named: |facts| facts.credentials_left = Some(Duration::from_secs(9))
        => "credentials-expired", ["renew the session"];
    hint_of_an_expired_signature_is_said_outright:
        |facts| facts.answer = "no (Signature expired: 2026)".to_owned()
        => "signature-expired", ["the server says", "15 minutes"];
    token_taken_a_moment_ago_among_many_logins_means_throttling: |facts| {
        (facts.recently_accepted, facts.has_many_logins) = (Some(Duration::from_secs(30)), true);
    } => "throttled", ["30 s ago", "200 IAM logins a second"];
    token_taken_a_moment_ago_hints_at_a_changed_policy: |facts| facts.recently_accepted = Some(Duration::ZERO)
        => "policy", ["perhaps the IAM policy of access key …MPLE has changed"];
    replaced_key_is_said: |facts| facts.key_was_replaced = true => "key-replaced", ["…MPLE was refused too"];
    port_that_was_not_dialled_is_named: |facts| facts.dialled.1 = 6000
        => "signed-port", ["port 5432", "6000", "`iamDefaultPort`"];
    endpoint_that_was_not_dialled_is_named: |facts| facts.dialled.0 = PROXY
        => "host-name", [INSTANCE, PROXY, "`iamHost`"];
    endpoint_that_dns_leads_to_is_named: |facts| facts.leads_to = Endpoint::parse(PROXY).ok()
        => "host-name", ["iamHost=shop.proxy"];
    identity_is_named: |facts| facts.identity = Some(("arn:aws:iam::123456789012:user/jo", "123456789012"))
        => "policy", ["perhaps no IAM policy allows arn:aws:iam::123456789012:user/jo to log in"];
}

#[test]
fn what_may_have_changed_goes_before_throttling_unless_logins_are_many() {
    let target = target(INSTANCE, "jane");
    for (engine, asked) in [(Engine::Postgres, Asked::Token), (Engine::Mysql, Asked::Unknown)] {
        let mut facts = refused(&target, INSTANCE);
        (facts.engine, facts.asked) = (engine, asked);
        facts.recently_accepted = Some(Duration::from_secs(1));
        assert_eq!(codes(&facts)[..3], ["policy", "credentials-refused", "throttled"]);
        assert!(facts.causes()[..3].iter().all(|cause| cause.sentence().starts_with("perhaps ")));

        facts.has_many_logins = true;
        assert_eq!(codes(&facts)[..3], ["throttled", "policy", "credentials-refused"]);
    }
}

#[test]
fn key_that_aws_takes_is_not_called_revoked() {
    let target = target(INSTANCE, "jane");
    let mut facts = refused(&target, INSTANCE);
    facts.recently_accepted = Some(Duration::from_secs(1));
    facts.identity = Some(("arn:aws:iam::123456789012:user/jo", "123456789012"));
    assert_eq!(codes(&facts)[..2], ["policy", "throttled"]);
}

#[test]
fn region_that_differs_from_the_name_is_named() {
    let target = TokenRequest::database_in(INSTANCE, 5432, "jane", "eu-west-1").expect("fits");
    let says = ["`iamRegion` is eu-west-1 but the host is in us-east-2", "leave `iamRegion` out"];
    first(&refused(&target, INSTANCE), "region", &says);
}

#[test]
fn policy_and_log_are_those_of_the_server_that_refused() {
    const READER: &str = "app.cluster-ro-abc123.eu-west-1.rds.amazonaws.com";
    let wrong = TokenRequest::database_in(INSTANCE, 5432, "jane", "eu-west-1").expect("fits");
    let dsql = TokenRequest::database_in(DSQL, 5432, "jane", "eu-west-1").expect("fits");
    let global = target(GLOBAL, "jane");
    let cases = [
        (&wrong, INSTANCE, None, "aws:rds-db:us-east-2:ACCOUNT:dbuser:db-", Some("instance/db/")),
        (&dsql, DSQL, None, "aws:dsql:us-east-1:ACCOUNT:cluster/abcdefghijklmnopqrst123456", None),
        (&wrong, "127.0.0.1", None, "aws:rds-db:us-east-2:ACCOUNT:dbuser:db-", Some("instance/db/")),
        (&wrong, READER, None, "aws:rds-db:eu-west-1:ACCOUNT:dbuser:cluster-", Some("cluster/app/")),
        (&wrong, INSTANCE, Some(PROXY), "aws:rds-db:us-east-2:ACCOUNT:dbuser:prx-", Some("proxy/shop")),
        (&global, GLOBAL, Some(READER), "aws:rds-db:eu-west-1:ACCOUNT:dbuser:cluster-", Some("cluster/app/")),
        (&global, GLOBAL, None, "aws:rds-db:us-east-2:ACCOUNT:dbuser:cluster-", None),
    ];
    for (target, dialled, leads_to, resource, log) in cases {
        let mut facts = refused(target, dialled);
        facts.leads_to = leads_to.map(|host| Endpoint::parse(host).expect("fits"));
        let causes = facts.causes();
        let remedy = |code| causes.iter().find(|cause| cause.code() == code).map(Cause::remedy);
        let policy = remedy("policy").expect("is listed");
        assert!(policy.contains(resource), "{dialled}: {policy}");
        if let Some(log) = log {
            let told = remedy("log").expect("is listed");
            assert!(told.contains(log), "{dialled}: {told}");
        }
    }
}

#[test]
fn writer_of_a_global_database_may_be_elsewhere() {
    let target = target(GLOBAL, "jane");
    let mut facts = refused(&target, GLOBAL);
    assert_eq!(codes(&facts)[..2], ["policy", "region"]);

    facts.leads_to = Endpoint::parse("db.cluster-abc123.eu-west-1.rds.amazonaws.com").ok();
    first(&facts, "region", &["the writer is in eu-west-1", "set iamRegion=eu-west-1"]);
}

#[test]
fn tunnel_may_hide_another_port_and_another_host() {
    let target = target(INSTANCE, "jane");
    let facts = refused(&target, "127.0.0.1");
    assert_eq!(codes(&facts)[..3], ["policy", "signed-port", "host-name"]);
    assert!(facts.causes()[1].remedy().contains("`iamDefaultPort`"));
}

#[test]
fn proxy_needs_two_policies() {
    let target = target(PROXY, "jane");
    let facts = refused(&target, PROXY);
    assert_eq!(codes(&facts)[..2], ["policy", "proxy-role"]);
    first(&facts, "policy", &["dbuser:prx-RESOURCE-ID/jane"]);
    assert!(facts.causes()[1].remedy().contains("secretsmanager:GetSecretValue"));
}

#[test]
fn dsql_refusal_names_its_own_grant_and_policy() {
    let jane = target(DSQL, "jane");
    let facts = refused(&jane, DSQL);
    assert_eq!(codes(&facts)[..2], ["grant-missing", "policy"]);
    let text: String = facts.causes().iter().map(ToString::to_string).collect();
    assert!(text.contains("AWS IAM GRANT \"jane\" TO 'arn:aws:iam::ACCOUNT:role/ROLE'"), "{text}");
    assert!(
        text.contains("dsql:DbConnect on arn:aws:dsql:us-east-1:ACCOUNT:cluster/abcdefghijklmnopqrst123456"),
        "{text}"
    );
    assert!(!text.contains("rds_iam") && !text.contains("rds-db"), "{text}");

    let admin = target(DSQL, "admin");
    first(&refused(&admin, DSQL), "policy", &["dsql:DbConnectAdmin"]);
}

#[test]
fn every_row_is_reached() {
    let (instance, global, dsql) = (target(INSTANCE, "jane"), target(GLOBAL, "jane"), target(DSQL, "jane"));
    let proxy = target(PROXY, "jane");
    let mut seen: Vec<&str> = Vec::new();
    for (target, dialled) in
        [(&instance, INSTANCE), (&instance, "127.0.0.1"), (&global, GLOBAL), (&dsql, DSQL), (&proxy, PROXY)]
    {
        for asked in [Asked::Password, Asked::Token, Asked::Unknown] {
            let mut facts = refused(target, dialled);
            facts.asked = asked;
            seen.extend(codes(&facts));
            facts.clock_ahead = None;
            facts.answer = "Signature expired".to_owned();
            facts.credentials_left = Some(Duration::ZERO);
            facts.key_was_replaced = true;
            seen.extend(codes(&facts));
        }
    }
    for row in RANKING {
        assert!(seen.contains(&row.code()), "{}", row.code());
    }
}

#[test]
fn plugin_that_is_missing_is_named_with_what_else_it_takes() {
    let text = |host, user, engine| plugin_missing(host, user, engine, false).to_string();

    let postgres = text(INSTANCE, "jane", Engine::Postgres);
    assert!(postgres.starts_with("`plugins=iam` is missing"), "{postgres}");
    assert!(
        postgres.contains("GRANT rds_iam TO \"jane\"") && postgres.contains("rds-db:connect"),
        "{postgres}"
    );
    assert!(text(INSTANCE, "jane", Engine::Mysql).contains("AWSAuthenticationPlugin"));
    assert!(text(GLOBAL, "jane", Engine::Postgres).contains("iamRegion"));
    assert!(text("10.0.0.1", "jane", Engine::Mysql).contains("iamHost"));
    let dsql = text(DSQL, "admin", Engine::Postgres);
    assert!(dsql.contains("dsql:DbConnectAdmin") && !dsql.contains("GRANT"), "{dsql}");
    assert!(plugin_missing(INSTANCE, "jane", Engine::Postgres, true).to_string().contains("it is wrong"));
}
