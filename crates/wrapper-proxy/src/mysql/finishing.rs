//! Logins that end in order when nobody waits for them any more.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{runtime::Handle, time::timeout};
use tokio_util::task::TaskTracker;
use wrapper_core::{BoxFuture, Result};

use super::Session;
use crate::upstream::FAREWELL;

/// A login that goes on when it is dropped, as by a plugin that turns to another instance: servers
/// count logins that break off, and block the machine after a hundred.
pub(crate) struct Finishing {
    /// Taken when it has ended.
    login: Option<BoxFuture<'static, Result<Session>>>,
    goodbyes: TaskTracker,
}

impl Finishing {
    pub(crate) fn new(
        login: impl Future<Output = Result<Session>> + Send + 'static,
        goodbyes: &TaskTracker,
    ) -> Self {
        Self { login: Some(Box::pin(login)), goodbyes: goodbyes.clone() }
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
        if let (Some(login), Ok(runtime)) = (self.login.take(), Handle::try_current()) {
            let finished = async {
                if let Ok(session) = login.await {
                    session.stream.end().await;
                }
            };
            self.goodbyes.spawn_on(async { drop(timeout(FAREWELL, finished).await) }, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use rds_testkit::{Fault, Gate, MysqlServer, Phase};
    use tokio::time::sleep;
    use wrapper_core::Registry;
    use wrapper_iam::IamFactory;

    use super::super::MysqlTarget;

    #[tokio::test]
    async fn dropped_login_is_finished_and_its_session_closed() {
        let server = MysqlServer::builder().start().await.expect("starts");
        let registry = Registry::new().with(IamFactory::new(server.token_provider().expect("has a key")));
        let target = MysqlTarget::from_url(&server.url(), registry).expect("is right");
        for (at, phase) in [Phase::Tls, Phase::Startup, Phase::Login].into_iter().enumerate() {
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
