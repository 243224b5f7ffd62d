//! No secret in anything that is said over a whole rotation, at TRACE, by any crate.

use std::time::Duration;

use e2e::{
    TraceCapture, forms,
    secrets::{Database, FIRST, ID, SECOND, my, mysql_server, postgres, postgres_server, secret, service},
};
use rds_testkit::Fault;
use rds_wrapper::{mysql, pg, secrets::SecretsPlugin};
use tracing_subscriber::fmt::format::FmtSpan;

/// Logs in, runs a query and formats everything about the outcome.
async fn log_in(connector: &pg::Connector) -> bool {
    say(e2e::log_in(connector).await)
}

/// The same at MySQL.
async fn log_in_to_mysql(connector: &mysql::Connector) -> bool {
    say(e2e::mysql::log_in(connector).await)
}

/// Formats everything about an outcome, and tells whether it succeeded.
fn say<T>(outcome: Result<T, rds_wrapper::Error>) -> bool {
    let Err(error) = outcome else { return true };
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        tracing::info!(%error, ?error, "refused");
        cause = error.source();
    }
    false
}

#[tokio::test]
async fn no_secret_is_logged_at_trace_over_a_whole_rotation() {
    let capture = TraceCapture::install(FmtSpan::FULL);
    let (postgres_server, mysql_server, service) =
        (postgres_server().await, mysql_server().await, service().await);
    let key = service.access_key().secret_access_key().to_owned();
    let build = || {
        let postgres =
            postgres(&postgres_server, &service, "").on_event(|event| tracing::info!(?event, "an event"));
        let my = my(&mysql_server, &service, "");
        tracing::info!(?postgres, ?my, "builders");
        (postgres.build().expect("builds"), my.build().expect("builds"))
    };
    let (postgres, my) = build();

    for _ in 0..2 {
        log_in(&postgres).await;
        log_in_to_mysql(&my).await;
        postgres_server.inject(Fault::EchoPassword);
        log_in(&postgres).await;
        mysql_server.inject(Fault::EchoPassword);
        log_in_to_mysql(&my).await;
        let configs = (postgres.driver_config().await, my.driver_config().await);
        tracing::info!(?configs, "the drivers'");
        let plugin = postgres.plugin::<SecretsPlugin>().expect("is in the chain");
        tracing::info!(?postgres, ?my, ?plugin, secret = ?plugin.secrets().secret().await, "connectors");
        postgres_server.set("app", SECOND);
        mysql_server.set("app", SECOND);
        service.rotate(ID, secret("app", SECOND));
        log_in(&postgres).await;
        log_in_to_mysql(&my).await;
        service.finish_rotation(ID);
        // The first step, in which nobody asks for the secret again, ends.
        let let_in = async {
            while !log_in(&postgres).await || !log_in_to_mysql(&my).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), let_in).await.expect("is let in with the new secret");
    }
    for broken in [
        SECOND.to_owned(),
        format!(r#"["{SECOND}"]"#),
        format!(r#"{{"username":"{SECOND}\n","password":""}}"#),
    ] {
        service.put(ID, broken);
        let (postgres, my) = build();
        log_in(&postgres).await;
        log_in_to_mysql(&my).await;
    }

    let said = capture.take();
    for heard in [
        "aws_smithy_runtime",
        "tokio_postgres",
        "mysql_async",
        "secret loaded, with another user or password",
        "secret=\"prod/app\"",
        "user=\"app\"",
        "[password]",
        "SecretLoaded(SecretLoaded { secret: \"prod/app\", version",
        "is not JSON",
        "has no newer one",
    ] {
        assert!(said.contains(heard), "nothing was heard of {heard}: {said}");
    }
    for secret in [FIRST, SECOND, &key] {
        for form in forms(secret) {
            let found = said.find(&form).map(|at| &said[at.saturating_sub(200)..]);
            assert!(found.is_none(), "a secret was said: {:.600}", found.unwrap_or_default());
        }
    }
}
