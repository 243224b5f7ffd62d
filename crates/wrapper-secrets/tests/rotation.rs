//! A secret that rotates under connects that go on: database, service and time are apart.

#![expect(clippy::expect_used, reason = "a failed step of a helper fails the test")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use rds_testkit::{SecretsError, SecretsServer};
use token_cache::ManualClock;
use tokio::task::JoinHandle;
use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Error, ErrorKind, Result, ServerError,
    adapter::{Driver, Rows, Transport, Wrapper},
    events::CredentialsFailure,
};
use wrapper_iam::IamTokenProvider;
use wrapper_secrets::{SecretProvider, SecretsPlugin};

const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";
const ID: &str = "prod/app";

/// A database with users and passwords.
#[derive(Clone, Debug, Default)]
struct Database(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    users: HashMap<String, String>,
    logins: usize,
}

impl Database {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no login panics")
    }

    fn set(&self, user: &str, password: &str) {
        self.lock().users.insert(user.to_owned(), password.to_owned());
    }

    fn logins(&self) -> usize {
        self.lock().logins
    }
}

impl Driver for Database {
    type Connection = String;

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<String>> {
        Box::pin(async move {
            let password = request.password().expect("a plugin gives one");
            assert!(password.expose_for(Transport::Unverified).is_err(), "needs verified TLS");
            let given = password.expose_for(Transport::VerifiedTls)?.to_owned();
            let mut state = self.lock();
            state.logins += 1;
            if state.users.get(request.user()) == Some(&given) {
                return Ok(request.user().to_owned());
            }
            let said = format!("password authentication failed for user \"{}\"", request.user());
            let cause =
                wrapper_core::Cause::new(wrapper_core::Cause::PASSWORD_REFUSED, "the password is wrong", "");
            let error = Error::new(ErrorKind::Login, format!("`{HOST}` refused the login"));
            Err(error.with_source(ServerError::new("28P01", &said, None)).with_diagnosis([cause]))
        })
    }

    fn query<'a>(&'a self, _: &'a mut String, _: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(async { Ok(Rows::default()) })
    }
}

/// What belongs together.
struct Actors {
    database: Database,
    service: SecretsServer,
    clock: ManualClock,
}

impl Actors {
    async fn new() -> Self {
        let service = SecretsServer::start().await.expect("the service starts");
        service.put(ID, json("app", "first"));
        let database = Database::default();
        database.set("app", "first");
        let clock = ManualClock::at(SystemTime::UNIX_EPOCH + secs(1_800_000_000));
        Self { database, service, clock }
    }

    fn provider(&self) -> SecretProvider {
        let key = self.service.access_key();
        let credentials = Credentials::new(key.access_key_id(), key.secret_access_key(), None, None, "test");
        let aws = IamTokenProvider::builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
            .expect("builds")
            .credentials();
        SecretProvider::builder(ID)
            .region("us-east-2")
            .endpoint(self.service.url())
            .credentials(aws)
            .clock(Arc::new(self.clock.clone()))
            .build()
            .expect("builds")
    }

    fn connector(&self, retry_timeout: u64) -> Wrapper<Database> {
        let plugin = SecretsPlugin::new(self.provider()).with_retry_timeout(secs(retry_timeout));
        Wrapper::new(self.database.clone(), vec![Arc::new(plugin)])
    }

    fn calls(&self) -> usize {
        self.service.requests().len()
    }

    /// Moves the clock on in small steps, with a while for the tasks after each, until something
    /// has happened; the time then.
    async fn tick_until(&self, happened: impl Fn() -> bool) -> SystemTime {
        loop {
            for _ in 0..200 {
                if happened() {
                    return self.clock.now();
                }
                tokio::task::yield_now().await;
            }
            self.clock.advance(Duration::from_millis(100));
        }
    }

    /// Waits until the service has been asked so often.
    async fn wait_for_calls(&self, calls: usize) {
        while self.calls() < calls {
            tokio::task::yield_now().await;
        }
    }
}

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn json(user: &str, password: &str) -> String {
    format!(r#"{{"username":"{user}","password":"{password}"}}"#)
}

fn request() -> ConnectRequest {
    ConnectRequest::new(HOST, 5432, "")
}

async fn log_in(connector: &Wrapper<Database>) -> Result<String> {
    connector.connect(request()).await.map(|connected| connected.connection)
}

/// Lets many connect at once.
fn crowd(connector: &Wrapper<Database>, size: usize) -> Vec<JoinHandle<Result<String>>> {
    let spawn = |_| {
        let connector = connector.clone();
        tokio::spawn(async move { log_in(&connector).await })
    };
    (0..size).map(spawn).collect()
}

async fn outcomes(crowd: Vec<JoinHandle<Result<String>>>) -> Vec<Result<String>> {
    let mut outcomes = Vec::new();
    for outcome in crowd {
        outcomes.push(outcome.await.expect("does not panic"));
    }
    outcomes
}

#[tokio::test]
async fn user_and_password_come_from_the_secret_and_one_call_serves_all_ok() {
    let actors = Actors::new().await;
    let connector = actors.connector(0);

    let users = outcomes(crowd(&connector, 100)).await;

    assert!(users.iter().all(|user| user.as_ref().is_ok_and(|user| user == "app")), "{users:?}");
    assert_eq!((actors.calls(), actors.database.logins()), (1, 100));
}

#[tokio::test]
async fn hundred_refused_at_once_share_one_call_and_see_nothing() {
    let actors = Actors::new().await;
    let connector = actors.connector(0);
    log_in(&connector).await.expect("is let in");

    actors.database.set("app", "second");
    actors.service.put(ID, json("app", "second"));
    let users = outcomes(crowd(&connector, 100)).await;

    assert!(users.iter().all(Result::is_ok), "{users:?}");
    assert_eq!(actors.calls(), 2, "one for the first secret and one for the rotation");
    let stats = connector.plugin::<SecretsPlugin>().expect("is in the chain").secrets().stats();
    assert_eq!((stats.loads, stats.rotations), (2, 1));
}

#[tokio::test]
async fn rotation_by_two_users_changes_the_user() {
    let actors = Actors::new().await;
    let connector = actors.connector(0);
    log_in(&connector).await.expect("is let in");

    // The clone gets a password, then the secret, and the former user is closed at last.
    actors.database.set("app_clone", "second");
    actors.service.rotate(ID, json("app_clone", "second"));
    assert_eq!(log_in(&connector).await.expect("the former user still works"), "app");
    actors.service.finish_rotation(ID);
    assert_eq!(log_in(&connector).await.expect("is let in"), "app");
    actors.database.set("app", "third");

    assert_eq!(log_in(&connector).await.expect("is let in"), "app_clone");
    assert_eq!(actors.calls(), 2);
}

#[tokio::test]
async fn secret_that_was_just_loaded_and_is_refused_is_final() {
    let actors = Actors::new().await;
    actors.database.set("app", "other");

    let error = log_in(&actors.connector(0)).await.expect_err("is refused");

    assert_eq!((actors.calls(), actors.database.logins(), error.is_login()), (1, 1, true));
    let text = format!("{error:#}");
    for part in [
        "secret `prod/app` was loaded 0 s ago, never accepted before",
        "set secretRotationRetryTimeoutMs=20000",
        "aws secretsmanager rotate-secret --secret-id prod/app",
    ] {
        assert!(text.contains(part), "{text} should say {part}");
    }
    assert!(!text.contains("first"), "{text}");
}

#[tokio::test]
async fn window_is_bridged_with_one_call_a_step_for_all() {
    let actors = Actors::new().await;
    let connector = actors.connector(20);
    log_in(&connector).await.expect("is let in");

    actors.database.set("app", "second");
    actors.service.rotate(ID, json("app", "second"));
    let waiting = crowd(&connector, 50);
    let mut before = actors.tick_until(|| actors.calls() == 2).await;
    for (calls, step) in [(3, 1), (4, 2)] {
        let at = actors.tick_until(|| actors.calls() == calls).await;
        assert!(at >= before + secs(step), "call {calls} came too early");
        before = at;
    }
    actors.service.finish_rotation(ID);
    actors.tick_until(|| waiting.iter().all(JoinHandle::is_finished)).await;
    let users = outcomes(waiting).await;

    assert!(users.iter().all(Result::is_ok), "{users:?}");
    assert_eq!(actors.calls(), 5, "one at first, one at the refusal, and one for each step of 1, 2 and 4 s");
}

#[tokio::test]
async fn window_that_outlasts_the_timeout_is_told() {
    let actors = Actors::new().await;
    let connector = actors.connector(2);
    log_in(&connector).await.expect("is let in");
    actors.database.set("app", "second");

    let waiting = tokio::spawn({
        let connector = connector.clone();
        async move { log_in(&connector).await }
    });
    actors.tick_until(|| waiting.is_finished()).await;
    let error = waiting.await.expect("does not panic").expect_err("is refused");

    assert_eq!(actors.calls(), 3, "the step of 2 s would end after the timeout");
    assert!(error.to_string().contains("raise secretRotationRetryTimeoutMs, which is 2000"), "{error}");
}

#[tokio::test]
async fn refused_without_a_timeout_costs_one_call_a_step() {
    let actors = Actors::new().await;
    let connector = actors.connector(0);
    log_in(&connector).await.expect("is let in");
    actors.database.set("app", "second");

    let mut calls = Vec::new();
    for step in [0, 1, 1, 1, 4] {
        actors.clock.advance(secs(step));
        for _ in 0..20 {
            let error = log_in(&connector).await.expect_err("is refused");
            assert!(error.to_string().contains("has no newer one"), "{error}");
        }
        calls.push(actors.calls());
    }

    assert_eq!(calls, [2, 3, 3, 4, 5], "steps of 1, 2 and 4 s");
}

#[tokio::test]
async fn other_user_in_the_configuration_wrong() {
    let actors = Actors::new().await;

    let connect = actors.connector(0).connect(ConnectRequest::new(HOST, 5432, "jane")).await;

    let error = connect.expect_err("names another");
    assert_eq!((error.kind(), actors.database.logins()), (ErrorKind::Configuration, 0));
    assert!(
        error.to_string().contains("user `jane` is configured, but secret `prod/app` is for `app`"),
        "{error}"
    );
}

#[tokio::test]
async fn living_secret_serves_while_the_service_is_down() {
    let actors = Actors::new().await;
    let connector = actors.connector(0);
    log_in(&connector).await.expect("is let in");
    actors.service.fail(usize::MAX, SecretsError::access_denied());

    actors.clock.advance(secs(30 * 24 * 3600));
    log_in(&connector).await.expect("is let in with the secret of last month");
    actors.wait_for_calls(2).await;
    log_in(&connector).await.expect("still");

    actors.database.set("app", "second");
    let error = log_in(&connector).await.expect_err("is refused");
    assert!(error.is_login(), "{error:?}");
    assert!(error.to_string().contains("no newer one could be loaded: no permission to read"), "{error}");
}

#[tokio::test]
async fn secret_is_renewed_ahead_beside_those_who_use_it() {
    let actors = Actors::new().await;
    let provider = actors.provider();
    let first = provider.secret().await.expect("is there");
    actors.service.put(ID, json("app", "second"));

    actors.clock.advance(secs(869));
    assert_eq!(provider.secret().await.expect("is there").expose_password(), "first", "nobody waits");
    actors.wait_for_calls(2).await;
    let second = loop {
        let secret = provider.secret().await.expect("is there");
        if secret.version_id() != first.version_id() {
            break secret;
        }
        tokio::task::yield_now().await;
    };

    assert_eq!((second.expose_password(), actors.calls()), ("second", 2));
}

#[tokio::test]
async fn load_of_a_cleared_secret_is_a_new_one() {
    let actors = Actors::new().await;
    let provider = actors.provider();
    provider.warm_up().await.expect("is there");
    provider.clear();

    assert!(provider.secret().await.expect("is there").is_fresh());
    assert_eq!(actors.calls(), 2);
}

/// One row: what is done to the service, and kind and part of the error.
macro_rules! failures {
    ($($name:ident: $break_it:expr => $kind:expr, $part:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let actors = Actors::new().await;
            let break_it: fn(&SecretsServer) = $break_it;
            break_it(&actors.service);

            let error = log_in(&actors.connector(0)).await.expect_err("there is no secret");

            let text = format!("{error} {error:#} {error:?}");
            assert_eq!(error.kind(), $kind, "{text}");
            assert!(text.contains($part), "{text} should say {}", $part);
            assert!(!text.contains("hunter2") && actors.database.logins() == 0, "{text}");
        }
    )*};
}

const FAILED: ErrorKind = ErrorKind::Credentials(CredentialsFailure::Failed);

failures! {
    secret_missing: |service| { service.delete(ID); }
        => ErrorKind::Credentials(CredentialsFailure::NotConfigured),
            "no such secret: secret `prod/app` in us-east-2";
    permission_missing: |service| service.fail(9, SecretsError::access_denied())
        => FAILED, "\"Action\":\"secretsmanager:GetSecretValue\"";
    permission_of_the_key_missing: |service| service.fail(9, SecretsError::kms_denied())
        => FAILED, "\"Action\":\"kms:Decrypt\"";
    service_throttles_wrong: |service| service.fail(9, SecretsError::throttled())
        => ErrorKind::Throttled, "throttles calls";
    service_refuses_the_key_wrong: |service| service.fail(9, SecretsError::new(400,
        "UnrecognizedClientException", "The security token included in the request is invalid."))
        => FAILED, "refused AWS credentials";
    secret_binary_wrong: |service| { service.put_binary(ID, b"hunter2".to_vec()); }
        => FAILED, "is binary: store user and password as text";
    secret_not_json_wrong: |service| { service.put(ID, "hunter2"); } => FAILED, "is not JSON";
    password_missing: |service| { service.put(ID, r#"{"username":"app","pw":"hunter2"}"#); }
        => FAILED, "lacks property `password` (named by `secretPasswordProperty`)";
    password_empty_wrong: |service| { service.put(ID, json("hunter2", "")); } => FAILED, "is empty";
    user_with_a_control_character_wrong: |service| { service.put(ID, json(r"hunter2\u0000", "p")); }
        => FAILED, "contains a control character";
}

#[tokio::test]
async fn service_that_cannot_be_reached_is_told() {
    let actors = Actors::new().await;
    // A port that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let url = format!("http://{}", port.expect("a free port"));
    let key = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    let aws = IamTokenProvider::builder().credentials_provider(SharedCredentialsProvider::new(key));
    let secrets = SecretProvider::builder(ID)
        .region("us-east-2")
        .endpoint(url)
        .credentials(aws.build().expect("builds").credentials())
        .build()
        .expect("builds");

    let plugin = SecretsPlugin::new(secrets);
    let connector = Wrapper::new(actors.database.clone(), vec![Arc::new(plugin)]);
    let error = log_in(&connector).await.expect_err("cannot be reached");

    assert_eq!(error.kind(), FAILED, "{error:?}");
    assert!(
        error.to_string().contains("Secrets Manager in us-east-2 cannot be reached; check first"),
        "{error}"
    );
}
