//! Logins by token at an RDS-like MySQL server, right and wrong.

use std::time::Duration;

use e2e::{
    HOST, USER, chain,
    mysql::{Fixture, log_in},
};
use rds_testkit::{AccessKey, AuthPlugin, Fault, Refusal, ServerError};
use rds_wrapper::{
    ErrorKind,
    mysql::{Connector, ConnectorBuilder},
};

#[path = "../shared/login_cases.rs"]
mod cases;

use cases::refused;

/// Logs in with a token that is about this long.
async fn token_of(length: usize, plugin: AuthPlugin, switch_data: &[u8]) {
    // Without a session token it has some 340 bytes, and the parameter's name takes 22.
    let session = "A".repeat(length.saturating_sub(362));
    let key = AccessKey::new("ASIAEXAMPLE", "secret").allow(USER);
    let key = if session.is_empty() { key } else { key.with_session_token(session) };
    let rig =
        Fixture::start_with(|server| server.access_key(key).plugin(plugin).switch_data(switch_data)).await;

    assert_eq!(log_in(&rig.connector()).await.expect("is let in"), USER);

    let sent = rig.server.attempts()[0].password_len;
    assert!(sent.abs_diff(length) < 40, "{sent} bytes were sent");
}

#[tokio::test]
async fn token_of_350_bytes_ok() {
    token_of(350, AuthPlugin::CachingSha2, b"").await;
    token_of(350, AuthPlugin::Native, b"").await;
}

#[tokio::test]
async fn token_of_1900_bytes_ok() {
    token_of(1_900, AuthPlugin::CachingSha2, b"").await;
    token_of(1_900, AuthPlugin::Native, b"").await;
}

#[tokio::test]
async fn token_of_2500_bytes_ok() {
    token_of(2_500, AuthPlugin::CachingSha2, b"").await;
    token_of(2_500, AuthPlugin::Native, b"").await;
}

#[tokio::test]
async fn token_is_asked_for_with_data_ok() {
    token_of(350, AuthPlugin::CachingSha2, b"some data\0").await;
    token_of(350, AuthPlugin::Native, b"some data\0").await;
}

#[tokio::test]
async fn grant_missing() {
    let rig = Fixture::start_with(|server| server.password_user("legacy", "pw")).await;
    let url = rig.url().replace(USER, "legacy");

    let error = log_in(&rig.builder(url).build().expect("builds")).await.expect_err("no rds_iam");

    refused(&rig, &error, Refusal::WrongPassword);
    assert!(error.to_string().contains("AWSAuthenticationPlugin"), "{error}");
    assert_eq!(rig.tokens.stats().retries, 0);
}

/// Expects this answer of the server to be taken for an error of this kind, and not to be answered
/// by another login.
async fn answered(answer: ServerError, kind: ErrorKind, says: &str) {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    log_in(&connector).await.expect("is let in");
    rig.clock.advance(Duration::from_secs(120));
    rig.server.inject(Fault::Refuse(answer));

    let error = log_in(&connector).await.expect_err("refused");

    assert_eq!(error.kind(), kind, "{}", chain(&error));
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!((rig.server.refused(), rig.tokens.stats().retries), (1, 0));
}

#[tokio::test]
async fn proxy_limit_is_throttling() {
    answered(ServerError::proxy_rate_limited(), ErrorKind::Throttled, "makes it worse").await;
}

#[tokio::test]
async fn full_server_is_throttling() {
    answered(ServerError::too_many_mysql_connections(), ErrorKind::Throttled, "limits new connections").await;
}

#[tokio::test]
async fn proxy_without_tls_is_tls() {
    answered(ServerError::secure_transport_required(), ErrorKind::Tls, "sslmode=verify-full").await;
}

#[tokio::test]
async fn proxy_timeout_is_a_timeout() {
    answered(ServerError::proxy_timed_out(), ErrorKind::Timeout, "waited too long").await;
}

#[tokio::test]
async fn database_missing() {
    let rig = Fixture::start_with(|server| server.database("other")).await;

    let error = log_in(&rig.connector()).await.expect_err("no such database");

    assert_eq!(error.kind(), ErrorKind::Configuration, "{}", chain(&error));
    assert!(error.to_string().contains("there is no such database"), "{error}");
    assert_eq!(error.server().expect("the server said so").code(), "1049");
}

#[tokio::test]
async fn refusal_without_a_password_is_retried_like_any_other() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    log_in(&connector).await.expect("is let in");
    rig.clock.advance(Duration::from_secs(120));
    rig.server.inject(Fault::Refuse(ServerError::access_denied_without_password(USER)));

    assert_eq!(log_in(&connector).await.expect("with a new token"), USER);
    assert_eq!(rig.tokens.stats().retries, 1);
}

#[tokio::test]
async fn echoed_token_is_blanked_out() {
    let rig = Fixture::start().await;
    rig.server.token_policy().deny(rig.server.access_key().access_key_id(), USER);
    rig.server.inject(Fault::EchoPassword);

    let error = log_in(&rig.connector()).await.expect_err("refused");

    assert!(chain(&error).contains("[password]"), "{}", chain(&error));
    assert!(!format!("{error:?} {}", chain(&error)).contains("X-Amz-Signature"));
}

/// A builder without plugins for a user with the password `pw`.
fn with_password(rig: &Fixture, password: &str, query: &str) -> ConnectorBuilder {
    let url = format!("mysql://legacy{password}@{HOST}:{}/app?{query}", rig.server.port());
    Connector::builder(rig.registry()).connection_string(url).resolver(e2e::local())
}

async fn rig_of_passwords(plugin: AuthPlugin) -> Fixture {
    Fixture::start_with(|server| server.plugin(plugin).password_user("legacy", "pw")).await
}

#[tokio::test]
async fn password_without_plugins_ok() {
    for plugin in [AuthPlugin::CachingSha2, AuthPlugin::Native] {
        let rig = rig_of_passwords(plugin).await;
        let plain = with_password(&rig, ":pw", "").build().expect("builds");
        let pem = rig.server.ca_pem();
        let tls =
            with_password(&rig, ":pw", "sslmode=verify-full").root_certificates(pem).build().expect("builds");

        assert_eq!(log_in(&plain).await.expect("as the driver alone"), "legacy");
        assert_eq!(log_in(&tls).await.expect("over tls"), "legacy");
        assert_eq!(
            rig.server.attempts().iter().map(|attempt| attempt.tls).collect::<Vec<_>>(),
            [false, true]
        );
    }
}

#[tokio::test]
async fn password_without_plugins_wrong() {
    let rig = rig_of_passwords(AuthPlugin::Native).await;

    let error = log_in(&with_password(&rig, ":wp", "").build().expect("builds")).await.expect_err("wrong");

    refused(&rig, &error, Refusal::WrongPassword);
}

#[tokio::test]
async fn password_without_plugins_missing() {
    let rig = rig_of_passwords(AuthPlugin::Native).await;

    let error = log_in(&with_password(&rig, "", "").build().expect("builds")).await.expect_err("none");

    refused(&rig, &error, Refusal::WrongPassword);
}

#[tokio::test]
async fn plugin_missing() {
    let rig = Fixture::start().await;
    let url = format!("mysql://{USER}:pw@{HOST}:{}/app?sslmode=verify-full", rig.server.port());

    let error = log_in(&rig.builder(url).build().expect("builds")).await.expect_err("asks for a token");

    assert_eq!(error.kind(), ErrorKind::Configuration, "{}", chain(&error));
    assert!(error.to_string().contains("plugins=iam"), "{error}");
    assert!(rig.server.wait_for_attempts(1).await.iter().all(|attempt| attempt.password_len == 0));
}

#[tokio::test]
async fn instance_is_signed_for_by_its_own_name() {
    let instance = "instance-1.abc123.us-east-2.rds.amazonaws.com";
    let rig = Fixture::start_with(|server| server.host(instance)).await;

    log_in(&rig.connector().instance("instance-1").expect("follows from the host")).await.expect("is let in");

    assert_eq!(rig.server.attempts()[0].server_name.as_deref(), Some(instance));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cold_connects_share_one_credentials_call_and_one_signature() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let connector = connector.clone();
            tokio::spawn(async move { log_in(&connector).await })
        })
        .collect();

    for task in tasks {
        assert_eq!(task.await.expect("no task panics").expect("is let in"), USER);
    }

    assert_eq!((rig.source.calls(), rig.tokens.stats().signed), (1, 1));
    assert_eq!((rig.server.accepted(), rig.server.refused()), (100, 0));
}

#[tokio::test]
async fn refusal_is_not_repeated_on_the_hosts_other_addresses() {
    let rig = Fixture::start().await;
    rig.server.token_policy().deny(rig.server.access_key().access_key_id(), USER);
    let twice = rds_wrapper::host::resolver_fn(|_| Ok(vec![[127, 0, 0, 1].into(); 2]));

    let connector = rig.builder(rig.url()).resolver(twice).build().expect("builds");
    let error = log_in(&connector).await.expect_err("refused");

    refused(&rig, &error, Refusal::Policy);
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
        rig.server.inject_always(Fault::Refuse(ServerError::new("1045", &said)));
        let place = format!("{HOST}:{}", rig.server.port());
        let connector = match in_code {
            false => rig.builder(format!("mysql://legacy:{url}@{place}/app?sslmode=verify-full")),
            true => {
                let opts = mysql_async::OptsBuilder::default().user(Some("legacy")).pass(Some(secret));
                let opts = opts.ip_or_hostname(HOST).tcp_port(rig.server.port());
                rig.builder("").opts(opts).parameter("sslmode", "verify-full")
            }
        };
        let connector = connector.build().expect("fits");
        let error = log_in(&connector).await.expect_err("is refused");

        let text = format!("{error:#} {error:?} {}", chain(&error));
        assert!(text.contains("no: [password], [password], [password], [password]"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
