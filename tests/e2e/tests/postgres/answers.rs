//! Answers of a PostgreSQL server, and the resulting kind, retry and message.

use std::time::Duration;

use e2e::{Fixture, HOST, USER, chain, log_in};
use rds_testkit::{Fault, PasswordMethod, Phase, ServerError};
use rds_wrapper::{Cause, ErrorKind, pg::ConnectorBuilder};

const GUIDE: &str = include_str!("../../../../crates/rds-wrapper/TROUBLESHOOTING.md");

/// One row: a cached token meets the fault for as long as it lasts.
struct Row {
    fault: Fault,
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
    rig.server.inject_always(row.fault);

    let error = log_in(&connector).await.expect_err("the fault holds");

    let text = format!("{error:#}");
    assert_eq!(error.kind(), row.kind, "{text}");
    assert_eq!(rig.tokens.stats().retries, u64::from(row.retried), "{text}");
    let attempts = rig.server.wait_for_attempts(2 + usize::from(row.retried)).await;
    assert_eq!(attempts.len(), 2 + usize::from(row.retried), "logins on the wire: {text}");
    let causes = error.diagnosis();
    assert_eq!(causes.first().map_or("", Cause::code), row.cause, "{text}");
    assert_eq!(error.to_string().contains("; check first: "), !causes.is_empty(), "{error}");
    for part in row.says {
        assert!(text.contains(part), "{text} should say {part}");
    }
    assert!(row.says.iter().any(|part| GUIDE.contains(part)), "the guide should know {:?}", row.says);
    assert!(!text.contains("X-Amz-"), "{text}");
    assert!(!format!("{error:?}").contains("X-Amz-"), "{error:?}");
}

macro_rules! rows {
    ($($name:ident: $fault:expr => $kind:ident, $retried:literal, $cause:literal,
        [$($says:expr),* $(,)?];)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let (kind, retried, cause) = (ErrorKind::$kind, $retried, $cause);
                check(Row { fault: $fault, kind, retried, cause, says: &[$($says),*] }).await;
            }
        )*
    };
}

fn refuse(error: ServerError) -> Fault {
    Fault::Refuse(error)
}

fn answer(code: &str, text: &str) -> Fault {
    refuse(ServerError::new(code, text))
}

rows! {
    pam_refusal_is_a_login: refuse(ServerError::pam_refused(USER)) => Login, true, "policy",
        ["refused the login of user `jane`", "access key …", "rds-db:connect", "PAM authentication failed"];
    translated_refusal_is_a_login: refuse(ServerError::pam_refused_in_german(USER)) => Login, true, "policy",
        ["refused the login of user", "28000"];
    password_refusal_is_a_missing_grant: refuse(ServerError::password_refused(USER))
        => Login, false, "grant-missing",
        ["asked for a password instead of a token", "lacks the role rds_iam", "GRANT rds_iam TO \"jane\""];
    access_rule_is_configuration: refuse(ServerError::rule_missing(USER, "app"))
        => Configuration, false, "no-access-rule",
        ["access rules", "pg_hba.conf"];
    login_forbidden_is_configuration: answer("28000", "role \"jane\" is not permitted to log in")
        => Configuration, false, "login-forbidden", ["ALTER ROLE \"jane\" LOGIN"];
    role_missing_is_configuration: answer("28000", "role \"jane\" does not exist")
        => Configuration, false, "no-such-user", ["there is no role"];
    database_forbidden_is_configuration: answer("42501", "permission denied for database \"app\"")
        => Configuration, false, "database-forbidden",
            ["GRANT CONNECT ON DATABASE", "GRANT CONNECT ON DATABASE \"app\" TO \"jane\""];
    translated_database_forbidden_is_configuration: answer("42501", "keine Berechtigung für Datenbank »app«")
        => Configuration, false, "database-forbidden", ["GRANT CONNECT ON DATABASE"];
    proxy_refusal_is_a_login: refuse(ServerError::proxy_refused(USER))
        => Login, true, "policy", ["refused the login of user"];
    proxy_refusal_with_another_code_is_a_login: answer("28P01",
        "The IAM authentication failed for the role jane. Check the IAM token.")
        => Login, true, "policy", ["refused the login of user"];
    proxy_without_credentials_is_configuration: answer("28000",
        "This RDS proxy has no credentials for the role jane.")
        => Configuration, false, "proxy-secret", ["the proxy holds no credentials"];
    proxy_with_other_logins_is_configuration: answer("28000",
        "RDS Proxy supports only IAM, MD5, or SCRAM authentication.")
        => Configuration, false, "proxy-authentication", ["the proxy is not set up"];
    proxy_throttling_is_throttled: refuse(ServerError::proxy_throttled(USER))
        => Throttled, false, "throttled",
        ["limits new connections"];
    proxy_rate_is_throttled: answer("28000", "Rate of connection requests for this proxy exceeded")
        => Throttled, false, "throttled", ["limits new connections"];
    dsql_refusal_is_a_login: refuse(ServerError::dsql_refused())
        => Login, false, "grant-missing", ["refused the login"];
    dsql_expiry_is_a_stale_login: refuse(ServerError::dsql_expired()) => Login, true, "signature-expired",
        ["the token's signature has expired"];
    dsql_throttling_is_throttled: refuse(ServerError::dsql_throttled())
        => Throttled, false, "throttled", ["limits new connections"];
    dsql_waking_is_transient: refuse(ServerError::dsql_waking())
        => Transient, false, "not-ready", ["try again in a moment"];
    too_many_connections_is_throttled: refuse(ServerError::too_many_connections())
        => Throttled, false, "throttled",
        ["limits new connections"];
    configured_limit_is_throttled: answer("53400", "configuration limit exceeded")
        => Throttled, false, "throttled",
        ["limits new connections"];
    missing_database_is_configuration: answer("3D000", "database \"app\" does not exist")
        => Configuration, false, "no-database", ["there is no such database"];
    cancelled_login_is_transient: answer("57014", "canceling authentication due to timeout")
        => Transient, false, "not-ready", ["not ready yet"];
    stopping_server_is_transient: answer("57P01", "terminating connection due to administrator command")
        => Transient, false, "not-ready", ["not ready yet"];
    crashed_server_is_transient: answer("57P02", "terminating connection because of crash of another server \
                                                  process")
        => Transient, false, "not-ready", ["not ready yet"];
    starting_server_is_transient: answer("57P03", "the database system is starting up")
        => Transient, false, "not-ready", ["not ready yet"];
    failing_system_is_transient: answer("58000", "could not open file")
        => Transient, false, "not-ready", ["not ready yet"];
    full_disk_is_transient: answer("53100", "No space left on device")
        => Transient, false, "not-ready", ["short of memory or disk space"];
    full_memory_is_transient: answer("53200", "out of memory")
        => Transient, false, "not-ready", ["short of memory or disk space"];
    closed_database_is_transient: answer("55000", "database \"app\" is not currently accepting connections")
        => Transient, false, "not-ready", ["not ready yet"];
    unknown_answer_is_the_drivers: answer("XX000", "internal error 28000 53300")
        => Driver, false, "", ["rejected the connection of user", "XX000"];
    control_characters_are_escaped: answer("28000", "PAM\u{1b}[31m\nfailed") => Login, true, "policy",
        ["refused the login of user", "PAM\\u{1b}[31m\\nfailed"];
    scram_question_is_a_missing_grant: Fault::Ask(PasswordMethod::ScramSha256)
        => Login, false, "grant-missing",
        ["lacks the role rds_iam"];
    md5_question_is_a_missing_grant: Fault::Ask(PasswordMethod::Md5)
        => Login, false, "grant-missing", ["lacks the role rds_iam"];
    lost_connection_at_accept_is_connect: Fault::Drop(Phase::Accept)
        => Connect, false, "", ["closed the connection"];
    lost_connection_in_tls_is_tls: Fault::Drop(Phase::Tls) => Tls, false, "", ["the TLS handshake with"];
    lost_connection_at_login_is_connect: Fault::Drop(Phase::Login) => Connect, false, "",
        ["closed the connection while logging in"];
}

/// A builder without plugins.
fn without_plugins(rig: &Fixture, login: &str, host: &str, query: &str) -> ConnectorBuilder {
    let url = format!("postgres://{login}@{host}:{}/app?{query}", rig.server.port());
    rig.builder(url)
}

#[tokio::test]
async fn plugin_missing_at_an_rds_host_is_named() {
    for login in [USER, "jane:hunter2"] {
        let rig = Fixture::start().await;

        let connector = without_plugins(&rig, login, e2e::HOST, "").build().expect("builds");
        let error = log_in(&connector).await.expect_err("no token");

        let text = error.to_string();
        assert!(text.contains("; check first: `plugins=iam` is missing"), "{text}");
        for part in ["GRANT rds_iam TO \"jane\"", "leave the password out", "rds-db:connect"] {
            assert!(text.contains(part), "{text} should say {part}");
        }
        assert_eq!(error.diagnosis().iter().map(Cause::code).collect::<Vec<_>>(), ["plugin-missing"]);
        assert!(!format!("{text}{error:#}{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn password_wrong_outside_rds_does_not_mention_tokens() {
    for (method, says) in [
        (PasswordMethod::ScramSha256, "the user or the password is wrong"),
        (PasswordMethod::Cleartext, "the user or the password is wrong"),
    ] {
        let rig = Fixture::start_with(|server| {
            server.host("db.example").password_user("legacy", "pw").password_method(method)
        })
        .await;

        let connector = without_plugins(&rig, "legacy:wp", "db.example", "").build().expect("builds");
        let error = log_in(&connector).await.expect_err("wrong");

        let text = format!("{error:#}");
        assert_eq!(error.kind(), ErrorKind::Login);
        assert!(text.contains(says), "{text}");
        let lower = text.to_lowercase();
        assert!(!["iam", "token", "aws"].iter().any(|word| lower.contains(word)), "{text}");
    }
}

#[tokio::test]
async fn password_missing_outside_rds_is_named() {
    let rig = Fixture::start_with(|server| server.host("db.example").password_user("legacy", "pw")).await;

    let error = log_in(&without_plugins(&rig, "legacy", "db.example", "").build().expect("builds")).await;

    let error = error.expect_err("no password");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("; check first: no password is configured: add one"), "{error}");
}

#[tokio::test]
async fn failure_without_tls_is_in_the_login() {
    let rig = Fixture::start().await;
    rig.server.inject(Fault::Drop(Phase::Startup));

    let connector = without_plugins(&rig, "jane:pw", e2e::HOST, "sslmode=disable").build().expect("builds");
    let error = log_in(&connector).await.expect_err("closed");

    assert!(error.to_string().contains("closed the connection while logging in"), "{error}");
}

/// A connector to a service that says something as soon as it is spoken to, or at once.
async fn connect_to_service(words: &'static [u8], query: &str) -> String {
    let port = e2e::service_that_sends(words).await;
    let url = format!("postgres://jane:pw@db.example:{port}/app?{query}");
    let builder = rds_wrapper::pg::Connector::builder(rds_wrapper::plugins());
    let connector = builder.connection_string(url).resolver(e2e::local()).build().expect("builds");
    let error = connector.connect().await.map(drop).expect_err("no PostgreSQL server");
    error.to_string()
}

#[tokio::test]
async fn other_service_is_no_postgres_server() {
    for (words, named) in e2e::OTHER_SERVICES {
        let text = connect_to_service(words, "sslmode=verify-full").await;
        assert!(text.contains("is not a PostgreSQL server") && text.contains(named), "{text}");
    }
}

#[test]
fn runtime_that_lacks_a_driver_is_named() {
    for (enabled, says) in [(false, "`enable_time`"), (true, "`enable_io`")] {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = if enabled { builder.enable_time() } else { &mut builder }.build().expect("starts");
        let connector = rds_wrapper::pg::Connector::from_url(
            "postgres://jane:pw@127.0.0.1:1/app",
            rds_wrapper::plugins(),
        )
        .expect("builds");

        let error = runtime.block_on(connector.connect()).map(drop).expect_err("cannot connect");

        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(says), "{error}");
        let pool = deadpool_postgres::Pool::builder(connector.deadpool_manager()).build().expect("builds");
        let error = runtime.block_on(pool.get()).map(drop).expect_err("cannot connect");
        let ours = rds_wrapper::Error::find(&error).expect("ours lies in the chain");
        assert!(ours.to_string().contains(says), "{ours}");
    }
}

#[tokio::test]
async fn echoed_token_is_blanked() {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::EchoPassword);
    rig.server.token_policy().deny(rig.server.access_key().access_key_id(), USER);

    let error = log_in(&rig.connector()).await.expect_err("the policy denies it");

    let text = chain(&error);
    assert!(text.contains("[password]") && !text.contains("X-Amz-"), "{text}");
    assert!(!format!("{error:?}").contains("X-Amz-"), "{error:?}");
}

#[tokio::test]
async fn port_without_a_server_is_named() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    drop(rig.server);

    let error = log_in(&connector).await.expect_err("nobody listens");

    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("nothing listens on"), "{error}");
}

#[tokio::test]
async fn host_missing_in_dns_is_named() {
    let rig = Fixture::start().await;
    let builder = rig.builder(rig.url()).resolver(rds_wrapper::host::resolver_fn(|_| {
        Err(std::io::Error::other("failed to lookup address information"))
    }));

    let error = log_in(&builder.build().expect("builds")).await.expect_err("no such name");

    assert_eq!(error.kind(), ErrorKind::Resolve);
    assert!(error.to_string().contains(e2e::HOST), "{error}");
}

#[tokio::test]
async fn dsql_endpoint_gets_dsql_tokens() {
    let host = "abcdefghijklmnopqrst123456.dsql.us-east-2.on.aws";
    let rig = Fixture::start_with(|server| server.host(host).user("admin")).await;
    for user in [USER, "admin"] {
        let url = format!("postgres://{user}@{host}:{}/postgres?plugins=iam", rig.server.port());
        let connector = rig.builder(url).build().expect("builds");
        assert_eq!(log_in(&connector).await.expect("is let in"), user);
    }
}

/// A password that is configured beside no plugin, in the forms in which a server may repeat it.
#[tokio::test]
async fn configured_password_is_blanked_in_every_form() {
    let secret = "hunter2 p@ss/w\"rd";
    let said = format!(
        "no: {secret}, {}, {}, {}",
        "hunter2%20p%40ss%2Fw%22rd",
        "hunter2+p%40ss%2fw%22rd",
        secret.escape_debug(),
    );
    for (in_code, url) in [(false, "hunter2%20p%40ss%2Fw%22rd"), (true, "")] {
        let rig = Fixture::start_with(|server| server.password_user("legacy", "another")).await;
        rig.server.inject_always(Fault::Refuse(ServerError::new("28P01", &said)));
        let place = format!("{HOST}:{}", rig.server.port());
        let connector = match in_code {
            false => rig.builder(format!("postgres://legacy:{url}@{place}/app")),
            true => {
                let mut config = tokio_postgres::Config::new();
                config.user("legacy").password(secret).host(HOST).port(rig.server.port());
                rig.builder("").config(config)
            }
        };
        let connector = connector.build().expect("fits");
        let error = log_in(&connector).await.expect_err("is refused");

        let text = format!("{error:#} {error:?} {}", chain(&error));
        assert!(text.contains("no: [password], [password], [password], [password]"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
