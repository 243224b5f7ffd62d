//! A driver for tests of plugins.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    BoxFuture, ConnectRequest, Engine, Password, Result,
    adapter::{Driver, Rows},
};

/// Answers connects as told and keeps the requests that it got; clones share both.
///
/// The connection that it gives is the request itself. Without an answer left it connects.
#[derive(Clone, Debug, Default)]
pub struct MockDriver(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: VecDeque<crate::Error>,
    requests: Vec<ConnectRequest>,
    queries: Option<Arc<Answers>>,
}

/// Answers the queries of plugins.
type Answers = dyn Fn(&ConnectRequest, &str) -> Result<Rows> + Send + Sync;

impl MockDriver {
    /// Creates a driver that connects every time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets one of the next connects fail; several are used up in order.
    pub fn fail(&self, error: crate::Error) {
        self.lock().answers.push_back(error);
    }

    /// Answers the queries of plugins; without this every answer is empty.
    pub fn answer(&self, answers: impl Fn(&ConnectRequest, &str) -> Result<Rows> + Send + Sync + 'static) {
        // Dropped outside of the lock, whatever the former closure captured.
        let _former = self.lock().queries.replace(Arc::new(answers));
    }

    /// Returns the requests that reached the driver.
    pub fn requests(&self) -> Vec<ConnectRequest> {
        self.lock().requests.clone()
    }

    /// Returns the passwords that reached the driver, as text.
    pub fn passwords(&self) -> Vec<Option<String>> {
        let secret = |password: &Password| password.as_secret().to_owned();
        self.lock().requests.iter().map(|request| request.password().map(secret)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver for MockDriver {
    type Connection = ConnectRequest;

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<ConnectRequest>> {
        Box::pin(async move {
            let mut state = self.lock();
            state.requests.push(request.clone());
            state.answers.pop_front().map_or(Ok(request), Err)
        })
    }

    fn query<'a>(&'a self, connection: &'a mut ConnectRequest, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        let answers = self.lock().queries.clone();
        Box::pin(async move { answers.map_or(Ok(Rows::default()), |answers| answers(connection, sql)) })
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("requests", &self.requests).finish_non_exhaustive()
    }
}
