//! Answers of a MySQL server, and the resulting kind, retry and message.

use std::time::Duration;

use e2e::{
    HOST, USER,
    mysql::{Fixture, log_in},
};
use rds_testkit::{Fault, Gate, Phase, ServerError};
use rds_wrapper::{
    Cause, Error, ErrorKind,
    mysql::{Connector, ConnectorBuilder},
};

const GUIDE: &str = include_str!("../../../../crates/rds-wrapper/TROUBLESHOOTING.md");

/// One row: a cached token meets the answer for as long as it lasts.
struct Row {
    answer: ServerError,
    kind: ErrorKind,
    retried: bool,
    /// The code of the likeliest cause; empty where the message says it all.
    cause: &'static str,
    says: &'static [&'static str],
}

async fn check(row: Row) {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    log_in(&connector).await.expect("is let in");
    // Credentials and token are old enough to be stale.
    rig.clock.advance(Duration::from_secs(120));
    rig.server.inject_always(Fault::Refuse(row.answer));

    let error = log_in(&connector).await.expect_err("the answer stays");

    let text = format!("{error:#}");
    assert_eq!(error.kind(), row.kind, "{text}");
    assert_eq!(rig.tokens.stats().retries, u64::from(row.retried), "{text}");
    assert_eq!(rig.server.refused(), 1 + usize::from(row.retried), "logins on the wire: {text}");
    let causes = error.diagnosis();
    assert_eq!(causes.first().map_or("", Cause::code), row.cause, "{text}");
    assert_eq!(error.to_string().contains("; check first: "), !causes.is_empty(), "{error}");
    for part in row.says {
        assert!(text.contains(part), "{text} should say {part}");
    }
    assert!(row.says.iter().any(|part| GUIDE.contains(part)), "the guide should know {:?}", row.says);
    assert!(!format!("{text}{error:?}").contains("X-Amz-"), "{text}");
}

macro_rules! rows {
    ($($name:ident: $code:literal, $text:expr => $kind:ident, $retried:literal, $cause:literal,
        [$($says:expr),* $(,)?];)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let answer = ServerError::new($code, $text);
                let (kind, retried, cause) = (ErrorKind::$kind, $retried, $cause);
                check(Row { answer, kind, retried, cause, says: &[$($says),*] }).await;
            }
        )*
    };
}

rows! {
    denied_access_is_a_login: "1045", "Access denied for user 'jane'@'10.0.0.1' (using password: YES)"
        => Login, true, "grant-missing", ["refused the login of user", "refused the login of user `jane`",
            "AWSAuthenticationPlugin", "ALTER USER 'jane'@'%'"];
    translated_denial_is_a_login: "1045", "Benutzer 'jane'@'10.0.0.1' hat keine Zugriffsberechtigung"
        => Login, true, "grant-missing", ["refused the login of user", "refused the login of user `jane`"];
    denied_access_without_password_is_a_login: "1698", "Access denied for user 'jane'@'10.0.0.1'"
        => Login, true, "grant-missing", ["refused the login of user", "refused the login of user `jane`"];
    locked_account_is_a_login: "3118", "Access denied for user 'jane'@'%'. Account is locked."
        => Login, false, "account-locked", ["the account is locked"];
    expired_password_is_a_login: "1862", "Your password has expired."
        => Login, false, "password-expired", ["password has expired"];
    full_server_is_throttled: "1040", "Too many connections"
        => Throttled, false, "throttled", ["limits new connections"];
    full_user_is_throttled: "1203", "User jane already has more than 'max_user_connections' active \
                                     connections"
        => Throttled, false, "throttled", ["limits new connections"];
    full_hour_is_throttled: "1226", "User 'jane' has exceeded the 'max_connections_per_hour' resource \
                                     (current value: 1045)"
        => Throttled, false, "throttled", ["limits new connections"];
    proxy_limit_is_throttled: "1040", "IAM authentication rate limit exceeded"
        => Throttled, false, "throttled", ["limits new connections"];
    proxy_without_tls_is_tls: "3159", "This RDS Proxy requires TLS connections"
        => Tls, false, "tls-required", ["asks for TLS", "sslmode=verify-full"];
    proxy_that_waited_is_a_timeout: "9501", "Timed-out waiting to acquire database connection"
        => Timeout, false, "not-ready", ["waited too long"];
    threads_missing_is_transient: "1135", "Can't create a new thread (errno 11)"
        => Transient, false, "not-ready", ["short of memory"];
    broken_read_is_transient: "1158", "Got an error reading communication packets"
        => Transient, false, "not-ready", ["not ready yet"];
    timed_out_read_is_transient: "1159", "Got timeout reading communication packets"
        => Transient, false, "not-ready", ["not ready yet"];
    read_only_mode_is_transient: "1836", "Running in read-only mode"
        => Transient, false, "not-ready", ["not ready yet"];
    offline_mode_is_transient: "3032", "The server is currently in offline mode"
        => Transient, false, "not-ready", ["not ready yet"];
    shutdown_is_transient: "1053", "Server shutdown in progress"
        => Transient, false, "not-ready", ["not ready yet"];
    database_forbidden_is_configuration: "1044", "Access denied for user 'jane'@'%' to database 'app'"
        => Configuration, false, "database-forbidden",
            ["has no privileges on database `app`", "no privileges on database"];
    database_missing_is_configuration: "1049", "Unknown database 'app'"
        => Configuration, false, "no-database", ["there is no such database"];
    blocked_machine_is_configuration: "1129", "Host '10.0.0.1' is blocked"
        => Configuration, false, "no-access-rule", ["takes no connections from this machine"];
    plugin_not_loaded_is_configuration: "1524", "Plugin 'AWSAuthenticationPlugin' is not loaded"
        => Configuration, false, "login-plugin-missing", ["has not loaded the plugin"];
    unknown_answer_is_the_drivers: "1105", "internal error 1045 28000"
        => Driver, false, "", ["rejected the connection of user", "1105"];
}

/// A builder without plugins.
fn without_plugins(rig: &Fixture, login: &str, host: &str, query: &str) -> ConnectorBuilder {
    rig.builder(format!("mysql://{login}@{host}:{}/app?{query}", rig.server.port()))
}

#[tokio::test]
async fn plugin_missing_at_an_rds_host_is_named() {
    // One user who logs in by token, and one who does not; without and with a password.
    for login in [USER, "jane:hunter2", "bob", "bob:hunter2"] {
        let rig = Fixture::start_with(|server| server.password_user("bob", "pw")).await;

        let connector = without_plugins(&rig, login, HOST, "sslmode=verify-full").build().expect("builds");
        let error = log_in(&connector).await.expect_err("no token");

        let text = error.to_string();
        assert!(text.contains("; check first: `plugins=iam` is missing"), "{text}");
        for part in ["IDENTIFIED WITH AWSAuthenticationPlugin", "leave the password out", "rds-db:connect"] {
            assert!(text.contains(part), "{text} should say {part}");
        }
        assert_eq!(error.diagnosis().iter().map(Cause::code).collect::<Vec<_>>(), ["plugin-missing"]);
        assert!(!format!("{text}{error:#}{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn password_wrong_outside_rds_does_not_mention_tokens() {
    let rig = Fixture::start_with(|server| server.host("db.example").password_user("legacy", "pw")).await;

    let connector =
        without_plugins(&rig, "legacy:wp", "db.example", "sslmode=verify-full").build().expect("builds");
    let error = log_in(&connector).await.expect_err("wrong");

    let text = format!("{error:#}");
    assert!(
        text.contains("; check first: the user or the password is wrong") || text.contains("1. the user or"),
        "{text}"
    );
    let lower = text.to_lowercase();
    assert!(!["iam", "token", "aws"].iter().any(|word| lower.contains(word)), "{text}");
}

/// Connects with a token to a service that says something at once.
async fn connect_to_service(words: &'static [u8]) -> (Error, u64) {
    let rig = Fixture::start().await;
    let port = e2e::service_that_sends(words).await;
    let url = rig.url().replace(&format!(":{}/", rig.server.port()), &format!(":{port}/"));
    let connector = rig.builder(url).build().expect("builds");
    let error = connector.connect().await.expect_err("no MySQL server");
    (error, rig.tokens.stats().retries)
}

#[tokio::test]
async fn refusal_in_place_of_a_greeting_is_before_any_login() {
    for words in
        [b"\x12\0\0\0\xff\x15\x04Access denied..".as_slice(), b"\x18\0\0\0\xff\x15\x04#28000Access denied.."]
    {
        let (error, retries) = connect_to_service(words).await;

        assert_eq!((error.kind(), retries), (ErrorKind::Login, 0), "{error:#}");
        assert_eq!(error.diagnosis()[0].code(), "refused-before-login", "{error:#}");
        assert!(error.to_string().contains("refused before any login"), "{error}");
        assert!(!error.to_string().contains("AWSAuthenticationPlugin"), "{error}");
    }
}

/// Connects with a token to another port than the server's, with little time.
async fn connect_to_port(rig: &Fixture, port: u16) -> Error {
    let url = rig.url().replace(&format!(":{}/", rig.server.port()), &format!(":{port}/"));
    let connector = rig.builder(url + "&wrapperConnectTimeout=4000").build().expect("builds");
    connector.connect().await.expect_err("no MySQL server")
}

#[tokio::test]
async fn other_service_is_no_mysql_server() {
    let rig = Fixture::start().await;
    // The driver takes some for the begin of a packet, and waits for the rest of it.
    for (words, named) in
        e2e::OTHER_SERVICES.iter().chain(&[(b"220 (vsFTPd 3.0.3)\r\n".as_slice(), "vsFTPd")])
    {
        let error = connect_to_port(&rig, e2e::service_that_sends(words).await).await;
        let text = error.to_string();
        assert!(text.contains("is not a MySQL server but") && text.contains(named), "{text}");
        assert_eq!(error.kind(), ErrorKind::Configuration, "{text}");
        assert!(!error.is_transient(), "{text}");
    }
}

#[tokio::test]
async fn service_that_waits_for_its_client_is_no_mysql_server() {
    let rig = Fixture::start().await;
    let postgres = e2e::Fixture::start().await;
    let alert = e2e::service_that_answers(8, b"\x15\x03\x03\0\x02\x02\x28").await;
    let http = e2e::service_that_answers(8, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    // One that reads lines.
    let patient = e2e::service_that_answers(12, b"HTTP/1.0 400 Bad request syntax\r\n\r\n").await;
    for (port, named) in [
        (postgres.server.port(), "a PostgreSQL server"),
        (alert, "a TLS server"),
        (http, "an HTTP server"),
        (patient, "an HTTP server"),
    ] {
        let text = connect_to_port(&rig, port).await.to_string();
        assert!(text.contains(&format!("is not a MySQL server but {named}: check host and port")), "{text}");
    }
}

#[tokio::test]
async fn silent_port_suggests_a_wrong_port() {
    let rig = Fixture::start().await;

    let error = connect_to_port(&rig, e2e::service_that_sends(b"").await).await;

    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("check that the port is the database's own"), "{error}");
}

#[tokio::test]
async fn slow_server_is_probed_and_then_accepts_the_login() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    let gate = Gate::new();
    rig.server.inject_times(2, Fault::Hang(Phase::Accept, gate.clone()));

    let opens = async {
        gate.arrived(2).await;
        gate.open();
    };
    let (user, ()) = tokio::join!(log_in(&connector), opens);

    assert_eq!(user.expect("is let in"), USER);
}

#[test]
fn runtime_that_lacks_a_driver_is_named() {
    for (enabled, says) in [(false, "`enable_time`"), (true, "`enable_io`")] {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = if enabled { builder.enable_time() } else { &mut builder }.build().expect("starts");
        let connector =
            Connector::from_url("mysql://jane:pw@127.0.0.1:1/app", rds_wrapper::plugins()).expect("builds");

        let error = runtime.block_on(connector.connect()).map(drop).expect_err("cannot connect");

        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(says), "{error}");
    }
}
