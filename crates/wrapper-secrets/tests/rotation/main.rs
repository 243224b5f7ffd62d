//! A secret that rotates under connects that go on: database, service and time are apart.

#![expect(clippy::expect_used, reason = "a failed step of a helper fails the test")]

mod failures;
mod loads;
mod refusals;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use rds_testkit::SecretsServer;
use token_cache::ManualClock;
use tokio::task::JoinHandle;
use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Error, ErrorKind, Result, ServerError,
    adapter::{Driver, Rows, Transport, Wrapper},
};
use wrapper_iam::IamTokenProvider;
use wrapper_secrets::{SecretProvider, SecretProviderBuilder, SecretsPlugin};

const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";
const ID: &str = "prod/app";

/// A database with users and passwords.
#[derive(Clone, Debug, Default)]
struct Database(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    users: HashMap<String, String>,
    logins: usize,
    /// How many logins are answered, if not all.
    answered: Option<usize>,
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
            if state.answered.is_some_and(|answered| state.logins > answered) {
                return Err(Error::new(ErrorKind::Timeout, "no answer"));
            }
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

    fn builder(&self) -> SecretProviderBuilder {
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
    }

    fn provider(&self) -> SecretProvider {
        self.builder().build().expect("builds")
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
