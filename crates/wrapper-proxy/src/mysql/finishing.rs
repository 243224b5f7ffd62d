//! Logins that end in order when nobody waits for them any more.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{runtime::Handle, sync::Semaphore, time::timeout};
use wrapper_core::{
    BoxFuture, Result,
    adapter::{Phase, Progress},
};

use super::Session;
use crate::upstream::{FAREWELL, Upstream};

/// The logins at one target that are finished at once though nobody waits for them any more.
const MOST: usize = 64;

/// Bounds the logins that are finished for nobody.
pub(crate) struct FinishingPlaces(Arc<Semaphore>);

impl Default for FinishingPlaces {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// A login that goes on when it is dropped once a server has accepted its connection, as by a
/// plugin that turns to another instance: servers count logins that break off, and block the
/// machine after a hundred. Beyond [`MOST`] it breaks off.
pub(crate) struct Finishing {
    /// Taken when it has ended.
    login: Option<BoxFuture<'static, Result<Session>>>,
    progress: Progress,
    upstream: Arc<Upstream>,
}

impl Finishing {
    pub(crate) fn new(
        login: impl Future<Output = Result<Session>> + Send + 'static,
        progress: &Progress,
        upstream: &Arc<Upstream>,
    ) -> Self {
        Self { login: Some(Box::pin(login)), progress: progress.clone(), upstream: Arc::clone(upstream) }
    }
}

impl Future for Finishing {
    type Output = Result<Session>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(login) = &mut self.login else { return Poll::Pending };
        let polled = login.as_mut().poll(context);
        if polled.is_ready() {
            self.login = None;
        }
        polled
    }
}

impl Drop for Finishing {
    fn drop(&mut self) {
        let Some(login) = self.login.take() else { return };
        if self.progress.phase() == Phase::Dial {
            return;
        }
        let place = Arc::clone(&self.upstream.finishing.0).try_acquire_owned();
        if let (Ok(place), Ok(runtime)) = (place, Handle::try_current()) {
            let finished = async {
                if let Ok(session) = login.await {
                    session.stream.end().await;
                }
            };
            let bounded = async {
                drop(timeout(FAREWELL, finished).await);
                drop(place);
            };
            self.upstream.goodbyes.spawn_on(bounded, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use rds_testkit::{Fault, Gate, MysqlServer};
    use tokio::time::sleep;
    use wrapper_core::Registry;
    use wrapper_iam::IamFactory;

    use super::{super::MysqlTarget, *};

    /// Drops logins that are in a phase; how many go on.
    async fn dropped_in(phase: Phase, count: usize) -> usize {
        let url = "mysql://jane:secret@db.example/app";
        let upstream = MysqlTarget::from_url(url, Registry::new()).expect("is right").upstream;
        let progress = Progress::default();
        progress.enter(phase);
        for _ in 0..count {
            drop(Finishing::new(std::future::pending(), &progress, &upstream));
        }
        upstream.goodbyes.len()
    }

    #[tokio::test]
    async fn dropped_dial_ends_at_once_and_only_so_many_logins_go_on() {
        assert_eq!(dropped_in(Phase::Dial, 1).await, 0);
        assert_eq!(dropped_in(Phase::Open, 1).await, 1);
        assert_eq!(dropped_in(Phase::Login, MOST + 1).await, MOST);
    }

    #[tokio::test]
    async fn dropped_login_is_finished_and_its_session_closed() {
        let server = MysqlServer::builder().start().await.expect("starts");
        let registry = Registry::new().with(IamFactory::new(server.token_provider().expect("has a key")));
        let target = MysqlTarget::from_url(&server.url(), registry).expect("is right");
        for (at, phase) in [rds_testkit::Phase::Tls, rds_testkit::Phase::Startup, rds_testkit::Phase::Login]
            .into_iter()
            .enumerate()
        {
            let gate = Gate::new();
            server.inject(Fault::Hang(phase, gate.clone()));
            {
                let mut connecting = pin!(target.hosts.connect());
                tokio::select! {
                    _ = &mut connecting => panic!("the server hangs"),
                    () = gate.arrived(1) => {}
                }
            }
            gate.open();

            let attempts = server.wait_for_attempts(at + 1).await;
            assert_eq!(attempts[at].outcome, rds_testkit::Outcome::Accepted, "{phase:?}");
            while server.closed_sessions() + server.aborted_sessions() <= at {
                sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(server.aborted_sessions(), 0, "{phase:?}");
        }
    }
}
