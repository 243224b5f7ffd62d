//! The events of a connector, and the levels of its log records.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use e2e::{Fixture, HOST, USER, log_in};
use rds_testkit::{Fault, ServerError};
use rds_wrapper::{ErrorKind, Event, events::Outcome, iam::TokenRequest};
use sqlx::Postgres;
use tracing::{Level, Metadata, subscriber::DefaultGuard};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use wrapper_sqlx::{FreshPoolBuilder, PgFreshPool};

/// Keeps what was heard.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn hear(&self, text: String) {
        self.0.lock().expect("nobody panics").push(text);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("nobody panics"))
    }

    fn callback(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let ear = self.clone();
        move |event| {
            assert!(!format!("{event:?}").contains("X-Amz"), "{event:?}");
            if let Event::ConnectFinished(finished) = event {
                let outcome = match &finished.outcome {
                    Outcome::Connected => "connected".to_owned(),
                    Outcome::Failed(error) => format!("{:?} {:?}", error.kind(), finished.phase),
                    other => format!("{other:?}"),
                };
                ear.hear(format!("{} {} {}: {outcome}", finished.host, finished.user, finished.plugins));
            }
        }
    }
}

#[tokio::test]
async fn postgres_connects_report_their_outcome() {
    let (rig, ear) = (Fixture::start().await, Heard::default());
    let connector = rig.builder(rig.url()).on_event(ear.callback()).build().expect("builds");
    log_in(&connector).await.expect("is let in");
    rig.server.token_policy().deny(rig.server.access_key().access_key_id(), USER);
    log_in(&connector).await.expect_err("is refused");

    let expected = ["connected", "Login Login"].map(|outcome| format!("{HOST} {USER} iam: {outcome}"));
    assert_eq!(ear.take(), expected);
}

/// Hears of credentials: the key, whether it is new, and the source.
fn credentials(ear: &Heard) -> impl Fn(&Event) + Send + Sync + 'static {
    let ear = ear.clone();
    move |event| {
        if let Event::CredentialsLoaded(loaded) = event {
            ear.hear(format!("{} {} {}", loaded.access_key, loaded.is_new_key, loaded.provider));
        }
    }
}

#[tokio::test]
async fn connector_reports_credentials_as_long_as_it_lives() {
    let (rig, ear) = (Fixture::start().await, Heard::default());
    let builder = rig.builder(rig.url()).on_event(|_| panic!("a callback of a test panics"));
    let connector = builder.on_event(credentials(&ear)).build().expect("builds");
    log_in(&connector).await.expect("is let in");
    log_in(&connector).await.expect("is let in");
    let heard = ear.take();
    let end = &rig.server.access_key().access_key_id()[16..];
    assert!(heard.len() == 1 && heard[0].starts_with(&format!("…{end} true ")), "{heard:?}");

    drop(connector);
    rig.tokens.clear();
    log_in(&rig.connector()).await.expect("is let in");
    assert_eq!(ear.take(), [""; 0]);
}

/// A pool at a server that is called `localhost`.
fn sqlx_pool(rig: &Fixture) -> FreshPoolBuilder<Postgres> {
    PgFreshPool::builder()
        .connection_string(format!("postgres://{USER}@localhost:{}/app?iamHost={HOST}", rig.server.port()))
        .parameter("tlsServerName", "localhost")
        .root_certificates(rig.server.ca_pem())
        .tokens(rig.tokens.clone())
}

#[tokio::test]
async fn sqlx_pool_reports_credentials() {
    let rig = Fixture::start_with(|server| server.host("localhost")).await;
    let ear = Heard::default();
    let pool = sqlx_pool(&rig).on_event(credentials(&ear)).build().await.expect("builds");
    assert_eq!(ear.take().len(), 1);

    rig.tokens.clear();
    pool.ensure_fresh().await.expect("a token is at hand");
    let heard = ear.take();
    assert!(heard.len() == 1 && heard[0].contains(" false "), "the same key once more: {heard:?}");
    pool.pool().close().await;
}

#[tokio::test]
async fn mysql_connects_report_their_outcome() {
    let (rig, ear) = (e2e::mysql::Fixture::start().await, Heard::default());
    let connector = rig.builder(rig.url()).on_event(ear.callback()).build().expect("builds");
    e2e::mysql::log_in(&connector).await.expect("is let in");
    rig.server.inject(Fault::NoTls);
    e2e::mysql::log_in(&connector).await.expect_err("no tls");

    let heard = ear.take();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].ends_with("connected") && heard[1].contains("Tls"), "{heard:?}");
}

#[tokio::test]
async fn callback_that_panics_disturbs_no_connect() {
    let (rig, ear) = (Fixture::start().await, Heard::default());
    let builder = rig.builder(rig.url()).on_event(|_| panic!("a callback of a test panics"));
    let connector = builder.on_event(ear.callback()).build().expect("builds");

    assert_eq!(log_in(&connector).await.expect("is let in"), USER);
    assert_eq!(log_in(&connector).await.expect("is let in"), USER);

    assert_eq!(ear.take().len(), 2);
}

/// Hears what our crates say, by level.
struct Levels(Heard);

impl<S: tracing::Subscriber> Layer<S> for Levels {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata: &Metadata<'_> = event.metadata();
        let is_ours = ["wrapper_", "rds_wrapper", "token_cache", "iam_token"];
        if is_ours.iter().any(|ours| metadata.target().starts_with(ours)) && *metadata.level() <= Level::INFO
        {
            struct Text(String);
            impl tracing::field::Visit for Text {
                fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                    if matches!(field.name(), "message" | "refused" | "failures") {
                        self.0.push_str(&format!(" {}={value:?}", field.name()));
                    }
                }
            }
            let mut text = Text(metadata.level().to_string());
            event.record(&mut text);
            self.0.hear(text.0);
        }
    }
}

fn listen() -> (Heard, DefaultGuard) {
    let ear = Heard::default();
    let subscriber = tracing_subscriber::registry().with(Levels(ear.clone()));
    (ear, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn connects_log_only_the_first_refusal_of_a_target_above_debug() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    // The first key of a process may be said; connects are not.
    log_in(&connector).await.expect("is let in");
    let (ear, _guard) = listen();

    log_in(&connector).await.expect("is let in");
    rig.server.inject(Fault::NoTls);
    let error = log_in(&connector).await.expect_err("no tls: the caller has it, nobody else");
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert_eq!(ear.take(), [""; 0]);

    rig.server.token_policy().deny(rig.server.access_key().access_key_id(), USER);
    for _ in 0..3 {
        log_in(&connector).await.expect_err("is refused");
    }
    let heard: Vec<_> = ear.take().into_iter().filter(|said| said.starts_with("WARN")).collect();
    assert_eq!(heard, ["WARN message=connect refused refused=1"]);
}

#[tokio::test]
async fn retried_login_logs_nothing_above_debug() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    log_in(&connector).await.expect("is let in");
    rig.clock.advance(Duration::from_secs(120));
    rig.server.inject(Fault::Refuse(ServerError::new("28000", "PAM authentication failed")));
    let (ear, _guard) = listen();

    log_in(&connector).await.expect("is let in at the second time");

    assert_eq!(rig.tokens.stats().retries, 1);
    assert_eq!(ear.take(), [""; 0]);
}

#[tokio::test]
async fn sqlx_pool_without_a_new_token_warns_at_once_and_then_once_a_minute() {
    let rig = Fixture::start_with(|server| server.host("localhost")).await;
    let pool = sqlx_pool(&rig).build().await.expect("builds");
    rig.tokens.clear();
    rig.source.fail();
    let (ear, _guard) = listen();

    for _ in 0..7 {
        pool.ensure_fresh().await.expect("the former token is good for a while");
        rig.clock.advance(Duration::from_secs(10));
    }

    assert!(pool.freshness().failures >= 7, "{:?}", pool.freshness());
    let heard: Vec<_> = ear.take().into_iter().filter(|said| said.contains("the pool")).collect();
    assert!(heard.len() == 2 && heard[0].ends_with("failures=1"), "{heard:?}");
    pool.pool().close().await;
}

/// Hears of sources of credentials that fail: why, and how often.
fn failures(ear: &Heard) -> impl Fn(&Event) + Send + Sync + 'static {
    let ear = ear.clone();
    move |event| {
        if let Event::CredentialsFailed(failed) = event {
            ear.hear(format!("{} {:?}", failed.failures, failed.error.kind()));
        }
    }
}

#[tokio::test]
async fn failing_source_is_reported_at_once_and_then_once_a_minute() {
    let (rig, told) = (Fixture::start().await, Heard::default());
    let connector = rig.builder(rig.url()).on_event(failures(&told)).build().expect("builds");
    rig.source.fail();
    let (ear, _guard) = listen();

    for _ in 0..70 {
        log_in(&connector).await.expect_err("no credentials");
        rig.clock.advance(Duration::from_secs(1));
    }

    let kind = "Credentials(Failed)";
    assert_eq!(told.take(), [format!("1 {kind}"), format!("60 {kind}")]);
    assert_eq!(
        ear.take(),
        ["1", "60"].map(|count| format!("WARN message=no AWS credentials failures={count}"))
    );
}

#[tokio::test]
async fn failed_load_after_a_reported_refusal_is_reported() {
    let (rig, told) = (Fixture::start().await, Heard::default());
    let connector = rig.builder(rig.url()).on_event(failures(&told)).build().expect("builds");
    let request = TokenRequest::database(HOST, rig.server.port(), USER).expect("fits");
    let token = rig.tokens.token(&request).await.expect("is signed");
    rig.clock.advance(Duration::from_secs(31));
    rig.tokens.report_refused(&token);
    rig.source.fail();
    let (ear, _guard) = listen();

    rig.tokens.token(&request).await.expect("the living ones sign");

    assert_eq!(told.take(), ["1 Credentials(Failed)"]);
    assert_eq!(ear.take(), ["WARN message=no AWS credentials failures=1"]);
    drop(connector);
}
