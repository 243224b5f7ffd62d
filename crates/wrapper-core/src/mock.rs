//! A driver for tests of plugins.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{BoxFuture, ConnectRequest, Driver, Engine, Password, Result};

/// Answers connects as told and keeps the requests that it got; clones share both.
///
/// The connection that it gives is the request itself. Without an answer left it connects.
#[derive(Clone, Debug, Default)]
pub struct MockDriver(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    answers: VecDeque<crate::Error>,
    requests: Vec<ConnectRequest>,
}

impl MockDriver {
    /// A driver that connects every time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets one of the next connects fail; several are used up in order.
    pub fn fail(&self, error: crate::Error) {
        self.lock().answers.push_back(error);
    }

    /// The requests that reached the driver.
    pub fn requests(&self) -> Vec<ConnectRequest> {
        self.lock().requests.clone()
    }

    /// The passwords that reached the driver, as text.
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

    fn default_port(&self) -> u16 {
        5432
    }

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
}
