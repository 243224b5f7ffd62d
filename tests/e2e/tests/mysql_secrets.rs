//! No secret in anything that is said on the way to MySQL, at TRACE, by any crate.

use e2e::{
    HOST, TraceCapture, USER, forms,
    mysql::{Fixture, log_in},
};
use rds_testkit::{AccessKey, Fault, HostileBehavior};
use rds_wrapper::mysql::Connector;
use tracing_subscriber::fmt::format::FmtSpan;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SESSION: &str = "FwoGZXIvYXdzEBYaDHexample/+==IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMiJHMEUC";
const URL_PASSWORD: &str = "hunter2-in-the-url";

/// Logs in and formats everything about the outcome.
async fn attempt(connector: &Connector) {
    match log_in(connector).await {
        Ok(user) => tracing::info!(user, "connected"),
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                tracing::info!(%error, ?error, "refused");
                cause = error.source();
            }
        }
    }
}

#[tokio::test]
async fn no_secret_is_logged_at_trace() {
    let capture = TraceCapture::install(FmtSpan::FULL);
    let key = AccessKey::new("ASIATRACED", SECRET).with_session_token(SESSION).allow(USER);
    let rig =
        Fixture::start_with(|server| server.access_key(key).password_user("legacy", URL_PASSWORD)).await;
    rig.server.token_policy().deny("ASIATRACED", "stranger");
    let url = |user: &str| rig.url().replace(USER, user);
    let (with_password, stranger) = (url(&format!("{USER}:{URL_PASSWORD}")), url("stranger"));
    let plain = format!("mysql://legacy:{URL_PASSWORD}@{HOST}:{}/app?sslmode=verify-full", rig.server.port());
    rig.server.inject(Fault::EchoPassword);
    rig.server.token_policy().add_user("stranger");

    for url in [
        stranger,
        rig.url(),
        with_password,
        plain,
        rig.url() + "&nonsense=1&pool_min=2",
        rig.url() + "&pool_min=2",
    ] {
        let builder = rig.builder(url).on_event(|event| tracing::info!(?event, "an event"));
        tracing::info!(?builder, "a builder");
        let connector = builder.build();
        tracing::info!(?connector, tokens = ?rig.tokens, "a connector");
        if let Ok(connector) = connector {
            tracing::info!(config = ?connector.driver_config().await, "the driver's");
            attempt(&connector).await;
        }
    }
    rig.server.misbehave(HostileBehavior::Nonsense);
    attempt(&rig.connector()).await;
    rig.server.clear_faults();
    rig.server.inject(Fault::NoTls);
    attempt(&rig.connector()).await;

    let said = capture.take();
    for speaker in [
        "mysql_async",
        "wrapper_core",
        "iam_token_provider",
        "…ACED",
        "[password]",
        "user=\"legacy\"",
        "an event",
    ] {
        assert!(said.contains(speaker), "nothing was heard of {speaker}: {said}");
    }
    assert_eq!(said.matches("own pool have no effect").count(), 1, "one warning for the one that was built");
    assert_eq!(said.matches("the configured password is ignored").count(), 1);
    for secret in [SECRET, SESSION, URL_PASSWORD, "X-Amz-Signature", "X-Amz-Security-Token"] {
        for form in forms(secret) {
            let found = said.find(&form).map(|at| &said[at.saturating_sub(200)..]);
            assert!(found.is_none(), "a secret was said: {:.600}", found.unwrap_or_default());
        }
    }
}
