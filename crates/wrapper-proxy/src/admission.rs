//! The client's part of a login: the user that it names, its time, and why it gets no session.

use std::{env, fmt, io};

use tokio::time::timeout;

use crate::{limits::Handshake, proxy::ProxyState};

/// The reason why a client gets no session, for the log; the client was told where it can be.
#[derive(Debug)]
pub(crate) struct Refused(String);

impl Refused {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The handshakes of newer clients needed the place.
    pub(crate) fn displaced() -> Self {
        Self::new("displaced by newer clients")
    }

    pub(crate) fn shutting_down() -> Self {
        Self::new("the proxy is shutting down")
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self(format!("the client disconnected: {error}"))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ProxyState {
    /// Runs a client's login within the time that it has.
    pub(crate) async fn admission<T>(
        &self,
        handshake: &Handshake,
        login: impl Future<Output = Result<T, Refused>>,
    ) -> Result<T, Refused> {
        tokio::select! {
            // A client that has sent its answer is admitted, though the proxy was too busy to read
            // it within the grace.
            biased;
            login = timeout(self.limits.handshake_timeout, login) => {
                login.unwrap_or_else(|_| Err(Refused::new("the login was not finished in time")))
            }
            () = handshake.displaced() => Err(Refused::displaced()),
            () = self.cut.cancelled() => Err(Refused::shutting_down()),
        }
    }

    /// Returns the message for a client that finds every session taken.
    pub(crate) fn full(&self) -> String {
        let most = self.limits.max_connections;
        format!("rds-iam: all {most} sessions of the proxy are in use: raise --max-connections")
    }
}

/// The users that a client may name: all of them stand for the target's.
pub(crate) struct UserNames {
    target: String,
    /// The account that runs this process: clients of the same account name it by default.
    account: Option<String>,
}

impl UserNames {
    /// Reads the account from the environment, as clients do.
    pub(crate) fn of(target: &str) -> Self {
        let account = ["USER", "LOGNAME"].into_iter().find_map(|name| env::var(name).ok());
        Self { target: target.to_owned(), account: account.filter(|name| !name.is_empty()) }
    }

    /// Returns whether a client may name this user; an empty name counts as missing.
    pub(crate) fn accept(&self, asked: &[u8]) -> bool {
        let names = [Some(&*self.target), self.account.as_deref(), Some("")];
        names.into_iter().flatten().any(|name| name.as_bytes() == asked)
    }

    /// Returns the message for a client that named another user.
    pub(crate) fn refusal(&self) -> String {
        let user = &self.target;
        format!("rds-iam: this proxy logs in as user `{user}` only: connect as `{user}`")
    }
}
