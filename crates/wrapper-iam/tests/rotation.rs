//! Keys that are rotated under connects that go on: server, source and time are apart.

#![expect(clippy::expect_used, reason = "a failed step of a helper fails the test")]

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, future},
};
use token_cache::ManualClock;
use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Error, ErrorKind, Result, ServerError,
    adapter::{Driver, Rows, Wrapper},
};
use wrapper_iam::{IamPlugin, IamSettings, IamTokenProvider};

const OLD: &str = "AKIAOLD";
const NEW: &str = "AKIANEW";
const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What server and source hold, and what was seen.
#[derive(Debug)]
struct State {
    accepted: HashSet<&'static str>,
    given: &'static str,
    life: Option<u64>,
    loads: Vec<SystemTime>,
    refused: usize,
}

#[derive(Clone, Debug)]
struct Actors {
    clock: ManualClock,
    state: Arc<Mutex<State>>,
}

impl Actors {
    fn new(life: Option<u64>) -> Self {
        let state = State { accepted: HashSet::from([OLD]), given: OLD, life, loads: Vec::new(), refused: 0 };
        let clock = ManualClock::at(SystemTime::UNIX_EPOCH + secs(1_800_000_000));
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no actor panics")
    }

    fn connector(&self, settings: IamSettings) -> Wrapper<Actors> {
        let provider = IamTokenProvider::builder()
            .credentials_provider(SharedCredentialsProvider::new(self.clone()))
            .clock(Arc::new(self.clock.clone()))
            .build()
            .expect("builds");
        Wrapper::new(self.clone(), vec![Arc::new(IamPlugin::new(provider, settings))])
    }
}

impl ProvideCredentials for Actors {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let now = self.clock.now();
        let mut state = self.state();
        state.loads.push(now);
        let end = state.life.map(|life| now + secs(life));
        future::ProvideCredentials::ready(Ok(Credentials::new(state.given, "secret", None, end, "test")))
    }
}

impl Driver for Actors {
    type Connection = ();

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<()>> {
        let mut state = self.state();
        let token = request.password().map(|password| password.as_secret().to_owned()).unwrap_or_default();
        if state.accepted.iter().any(|key| token.contains(key)) {
            return Box::pin(async { Ok(()) });
        }
        state.refused += 1;
        let answer = ServerError::new("28000", "PAM authentication failed", None);
        let error = Error::new(ErrorKind::Login, "refused").with_source(answer).with_stale_password();
        Box::pin(async { Err(error) })
    }

    fn query<'a>(&'a self, _: &'a mut (), _: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(async { Ok(Rows::default()) })
    }
}

#[derive(Clone, Copy, Debug)]
struct Case {
    life: Option<u64>,
    every: u64,
    max_age: u64,
    targets: usize,
    /// Seconds after the rotation at which the server has the new key only, and at which the source
    /// gives it.
    server_at: u64,
    source_at: u64,
}

/// Runs one row of the table.
async fn rotate(case: Case) {
    let Case { life, every, max_age, targets, server_at, source_at } = case;
    let actors = Actors::new(life);
    let wrapper = actors.connector(IamSettings::default().with_token_expiration(secs(max_age)));
    let connect = async |target: usize| {
        let host = format!("db{target}.abc123.us-east-2.rds.amazonaws.com");
        let outcome = wrapper.connect(ConnectRequest::new(&host, 5432, "jane")).await;
        // A renewal that is due runs beside.
        tokio::task::yield_now().await;
        outcome.map(drop)
    };
    // A busy time before, whose last login is accepted a moment before the rotation.
    for _ in 0..(1_000 / every).clamp(3, 100) {
        for target in 0..targets {
            connect(target).await.unwrap_or_else(|error| panic!("{case:?}: {error}"));
        }
        actors.clock.advance(secs(every));
    }
    let rotated_at = actors.clock.now();
    let both_at = rotated_at + secs(server_at.max(source_at));
    let (mut was_refused_before, mut is_settled) = (false, false);
    let mut from = None;
    actors.state().accepted.insert(NEW);
    for _ in 0..(1_500 / every).clamp(6, 300) {
        let now = actors.clock.now();
        {
            let mut state = actors.state();
            if now >= rotated_at + secs(server_at) {
                state.accepted.remove(OLD);
            }
            if now >= rotated_at + secs(source_at) {
                state.given = NEW;
            }
            // From when both hold the new key, and from the end of the wait between loads that
            // holds then.
            let wait = secs(if was_refused_before { 60 } else { 30 });
            let last_load = *state.loads.last().expect("they were loaded");
            if from.is_none() && now >= both_at && (is_settled || now > last_load + wait) {
                from = Some((state.refused, state.loads.len()));
            }
        }
        for target in 0..targets {
            let outcome = connect(target).await;
            is_settled |= outcome.is_ok() && now >= both_at;
            if outcome.is_err() {
                let since = now.duration_since(both_at);
                assert_eq!(from, None, "{case:?}: a caller saw a refusal, {since:?} after both had the key");
                was_refused_before = true;
            }
        }
        if let (Some((_, loads)), Ok(since)) = (from, now.duration_since(both_at))
            && since < secs(100)
        {
            let loads = actors.state().loads.len() - loads;
            assert!(loads <= 1, "{case:?}: {loads} loads");
        }
        actors.clock.advance(secs(every));
    }
    let refused = actors.state().refused - from.expect("the wait ends").0;
    assert!(refused <= targets, "{case:?}: {refused} refused on the wire");
}

/// The rows of one frequency of connects.
async fn rotate_every(every: u64) {
    for life in [None, Some(900), Some(3_600), Some(6 * 3_600), Some(12 * 3_600)] {
        for max_age in [0, 900] {
            for targets in [1, 5] {
                for (server_at, source_at) in [(0, 0), (0, 100), (130, 0)] {
                    rotate(Case { life, every, max_age, targets, server_at, source_at }).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn rotation_under_a_connect_each_second_is_not_seen() {
    rotate_every(1).await;
}

#[tokio::test]
async fn rotation_under_a_connect_each_5_seconds_is_not_seen() {
    rotate_every(5).await;
}

#[tokio::test]
async fn rotation_under_a_connect_each_62_seconds_is_not_seen() {
    rotate_every(62).await;
}

#[tokio::test]
async fn rotation_under_a_connect_each_20_minutes_is_not_seen() {
    rotate_every(1_200).await;
}

#[tokio::test]
async fn user_that_is_always_refused_loads_once_in_a_minute() {
    let actors = Actors::new(None);
    let wrapper = actors.connector(IamSettings::default());
    actors.state().accepted.clear();
    for _ in 0..3_600 {
        wrapper.connect(ConnectRequest::new(HOST, 5432, "nobody")).await.expect_err("is refused");
        actors.clock.advance(secs(1));
    }
    let state = actors.state();
    // One each 45 to 60 s, after the first load and one after 30 s.
    assert!((60..=82).contains(&state.loads.len()), "{}", state.loads.len());
    assert_eq!(state.refused, 3_600, "nothing was tried twice");
}

#[tokio::test]
async fn clock_that_was_set_back_over_a_rotation_keeps_nobody_out() {
    let actors = Actors::new(None);
    let wrapper = actors.connector(IamSettings::default());
    wrapper.connect(ConnectRequest::new(HOST, 5432, "jane")).await.expect("is let in");
    actors.clock.set(actors.clock.now() - secs(3_600));
    {
        let mut state = actors.state();
        (state.given, state.accepted) = (NEW, HashSet::from([NEW]));
    }
    wrapper.connect(ConnectRequest::new(HOST, 5432, "jane")).await.expect("is let in with the new key");
}

#[tokio::test]
async fn clock_that_was_set_back_makes_no_acceptance_a_recent_one() {
    let actors = Actors::new(None);
    let wrapper = actors.connector(IamSettings::default());
    let connect = async || wrapper.connect(ConnectRequest::new(HOST, 5432, "jane")).await.map(drop);
    connect().await.expect("is let in");
    actors.clock.advance(secs(300));
    connect().await.expect("is let in with the same token");
    actors.clock.set(actors.clock.now() - secs(200));
    actors.state().accepted.clear();
    connect().await.expect_err("is refused");
    assert_eq!(actors.state().refused, 2, "a token from the cache is tried once more");
}

#[tokio::test]
async fn refused_login_is_repeated_within_its_timeout() {
    let actors = Actors::new(None);
    let wrapper = actors.connector(IamSettings::default().with_login_retry_timeout(secs(20)));
    actors.state().accepted.clear();
    let connect =
        tokio::spawn(async move { wrapper.connect(ConnectRequest::new(HOST, 5432, "jane")).await.map(drop) });
    let pass = async || {
        for _ in 0..40 {
            tokio::task::yield_now().await;
            actors.clock.advance(Duration::from_millis(100));
        }
    };
    pass().await;
    assert!(actors.state().refused > 1);
    actors.state().accepted.insert(OLD);
    pass().await;
    connect.await.expect("does not panic").expect("is let in at last");
}
