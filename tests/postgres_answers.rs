//! What a server does, and what comes of it: kind, retry, message.

use std::time::Duration;

use e2e::{Rig, USER, chain, log_in};
use rds_testkit::{Fault, PasswordMethod, Phase, ServerError};
use rds_wrapper::ErrorKind;

const GUIDE: &str = include_str!("../crates/rds-wrapper/TROUBLESHOOTING.md");

/// One row: a cached token meets the fault for as long as it lasts.
struct Row {
    fault: Fault,
    kind: ErrorKind,
    retried: bool,
    says: &'static [&'static str],
}

async fn check(row: Row) {
    let rig = Rig::start().await;
    let connector = rig.connector();
    log_in(&connector).await.expect("is let in");
    // Credentials and token are old enough to be stale.
    rig.clock.advance(Duration::from_secs(120));
    rig.server.inject_always(row.fault);

    let error = log_in(&connector).await.expect_err("the fault holds");

    let text = chain(&error);
    assert_eq!(error.kind(), row.kind, "{text}");
    assert_eq!(rig.tokens.stats().retries, u64::from(row.retried), "{text}");
    for part in row.says {
        assert!(text.contains(part), "{text} should say {part}");
    }
    assert!(row.says.iter().any(|part| GUIDE.contains(part)), "the guide should know {:?}", row.says);
    assert!(!text.contains("X-Amz-"), "{text}");
    assert!(!format!("{error:?}").contains("X-Amz-"), "{error:?}");
}

macro_rules! rows {
    ($($name:ident: $fault:expr => $kind:ident, $retried:literal, [$($says:expr),* $(,)?];)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                check(Row { fault: $fault, kind: ErrorKind::$kind, retried: $retried, says: &[$($says),*] }).await;
            }
        )*
    };
}

fn refuse(error: ServerError) -> Fault {
    Fault::Refuse(error)
}

rows! {
    pam_refusal_is_a_login: refuse(ServerError::pam_refused(USER)) => Login, true,
        ["refused the login of user `jane`", "check in this order", "rds_iam", "rds-db:connect", "iam-db-auth-error", "PAM authentication failed"];
    translated_refusal_is_a_login: refuse(ServerError::pam_refused_in_german(USER)) => Login, true,
        ["refused the login", "28000"];
    password_refusal_is_a_missing_grant: refuse(ServerError::password_refused(USER)) => Login, false,
        ["asked for a password and not for a token", "lacks the role rds_iam"];
    access_rule_is_configuration: refuse(ServerError::rule_missing(USER, "app")) => Configuration, false,
        ["access rules", "pg_hba.conf"];
    proxy_refusal_is_a_login: refuse(ServerError::proxy_refused(USER)) => Login, true, ["refused the login"];
    proxy_throttling_is_throttled: refuse(ServerError::proxy_throttled(USER)) => Throttled, false,
        ["limits new connections"];
    dsql_refusal_is_a_login: refuse(ServerError::dsql_refused()) => Login, false, ["refused the login"];
    dsql_expiry_is_a_stale_login: refuse(ServerError::dsql_expired()) => Login, true, ["Signature expired"];
    dsql_throttling_is_throttled: refuse(ServerError::dsql_throttled()) => Throttled, false, ["limits new connections"];
    dsql_waking_is_transient: refuse(ServerError::dsql_waking()) => Transient, false, ["try again in a moment"];
    too_many_connections_is_throttled: refuse(ServerError::too_many_connections()) => Throttled, false,
        ["limits new connections"];
    missing_database_is_configuration: refuse(ServerError::new("3D000", "database \"app\" does not exist")) => Configuration, false,
        ["there is no such database"];
    starting_server_is_transient: refuse(ServerError::new("57P03", "the database system is starting up")) => Transient, false,
        ["not ready yet"];
    unknown_answer_is_the_drivers: refuse(ServerError::new("XX000", "internal error 28000")) => Driver, false, ["did not let user", "XX000"];
    control_characters_are_escaped: refuse(ServerError::new("28000", "PAM\u{1b}[31m\nfailed")) => Login, true,
        ["refused the login of user", "PAM\\u{1b}[31m\\nfailed"];
    scram_question_is_a_missing_grant: Fault::Ask(PasswordMethod::ScramSha256) => Login, false,
        ["lacks the role rds_iam"];
    md5_question_is_a_missing_grant: Fault::Ask(PasswordMethod::Md5) => Login, false, ["lacks the role rds_iam"];
    lost_connection_at_accept_is_connect: Fault::Drop(Phase::Accept) => Connect, false, ["closed the connection"];
    lost_connection_in_tls_is_tls: Fault::Drop(Phase::Tls) => Tls, false, ["the tls handshake with"];
    lost_connection_at_login_is_connect: Fault::Drop(Phase::Login) => Connect, false,
        ["closed the connection while logging in"];
}

#[tokio::test]
async fn echoed_token_is_blanked() {
    let rig = Rig::start().await;
    rig.server.inject_always(Fault::EchoPassword);
    rig.server.authority().deny(rig.server.access_key().access_key_id(), USER);

    let error = log_in(&rig.connector()).await.expect_err("the policy denies it");

    let text = chain(&error);
    assert!(text.contains("[password]") && !text.contains("X-Amz-"), "{text}");
    assert!(!format!("{error:?}").contains("X-Amz-"), "{error:?}");
}

#[tokio::test]
async fn port_without_a_server_is_named() {
    let rig = Rig::start().await;
    let connector = rig.connector();
    drop(rig.server);

    let error = log_in(&connector).await.expect_err("nobody listens");

    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("nothing listens on"), "{error}");
}

#[tokio::test]
async fn host_missing_in_dns_is_named() {
    let rig = Rig::start().await;
    let builder = rig.builder(rig.url()).resolver(rds_wrapper::resolver_fn(|_| {
        Err(std::io::Error::other("failed to lookup address information"))
    }));

    let error = log_in(&builder.build().expect("builds")).await.expect_err("no such name");

    assert_eq!(error.kind(), ErrorKind::Resolve);
    assert!(error.to_string().contains(e2e::HOST), "{error}");
}

#[tokio::test]
async fn dsql_endpoint_gets_dsql_tokens() {
    let host = "abcdefghijklmnopqrst123456.dsql.us-east-2.on.aws";
    let rig = Rig::start_with(|server| server.host(host).user("admin")).await;
    for user in [USER, "admin"] {
        let url = format!("postgres://{user}@{host}:{}/postgres?plugins=iam", rig.server.port());
        let connector = rig.builder(url).build().expect("builds");
        assert_eq!(log_in(&connector).await.expect("is let in"), user);
    }
}
