//! One MySQL client, from the server's greeting to the end of its session.

use std::sync::{Arc, Mutex};

use tokio::{
    io::AsyncWriteExt,
    time::{Instant, timeout, timeout_at},
};
use wrapper_adapter::{Dialer, Resolver, StringForm};
use wrapper_core::{BoxFuture, Connected, Engine, Error, ErrorKind, Result};

use super::{
    MysqlTarget,
    client::{admit, answer, answer_before_greeting, client_error},
    one_lookup::OneLookup,
    packet::send,
    upstream::{Opened, RelayDriver, Session, Waiting, take},
};
use crate::{
    access::Peer,
    admission::Refused,
    descriptors,
    listen::Local,
    proxy::ProxyState,
    relay::relay_session,
    source::UrlForm,
    target::Relay,
    upstream::{FAREWELL, Upstream},
};

impl Relay for Session {
    type Driver = RelayDriver;
    type Shared = ();

    const FORM: UrlForm =
        UrlForm { engine: Engine::Mysql, form: StringForm::new("MySQL", &["mysql"], false) };

    fn own_driver(upstream: Arc<Upstream>) -> RelayDriver {
        RelayDriver::own(upstream)
    }

    fn socket_file(_: u16) -> String {
        "mysql.sock".to_owned()
    }

    async fn quit(self) {
        self.stream.end().await;
    }

    async fn serve(target: &MysqlTarget, mut client: Local, peer: Peer, state: &ProxyState) {
        let handshake = state.handshakes.begin(state.limits.max_handshakes);
        // The server speaks first, so a slow server takes nothing of the client's time.
        handshake.suspend_grace();
        let limit = state.limits.handshake_timeout;
        let look_up = Arc::new(OneLookup::new(Arc::clone(&target.upstream.resolver)));
        let resolver: Arc<dyn Resolver> = look_up.clone();
        let dialer = Dialer::new(resolver, false);
        // Boxed and in a block: its memory is free again while the session lasts.
        let opened = {
            let mut opening = Box::pin(descriptors::awaited(limit, || target.opened(&dialer)));
            let opened = tokio::select! {
                biased;
                opened = &mut opening => Ok(opened),
                () = handshake.displaced() => Err(Refused::displaced()),
                () = state.cut.cancelled() => Err(Refused::shutting_down()),
            };
            match opened {
                Ok(opened) => opened,
                Err(refused) => {
                    target.refuse(&refused);
                    // The descriptors of a displaced client are what others need.
                    drop((client, handshake));
                    // The server may have accepted the connection: it is ended by a login as well.
                    if let Ok(_place) = state.farewells.try_acquire() {
                        Box::pin(farewell(opening, Opened::dismiss, async {})).await;
                    }
                    return;
                }
            }
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let (code, _, text) = client_error(&error);
                drop(send(&mut client, 0, &answer_before_greeting(code, &text)).await);
                return target.fail(&error);
            }
        };
        look_up.greeted_by(opened.to.address.ip());
        let greeting = opened.greeting.clone();
        let waiting: Arc<Waiting> = Arc::new(Mutex::new(Some(opened)));
        let password = state.access.password_for(peer);
        let login = Box::pin(admit(&mut client, &greeting, &target.names, password, &handshake));
        let admitted = state.admission(&handshake, login).await;
        drop(handshake);
        match (admitted, state.sessions.try_acquire()) {
            (Err(refused), _) => target.refuse(&refused),
            (Ok(admitted), Err(_)) => {
                drop(send(&mut client, admitted.next, &answer(1040, "08004", &state.full())).await);
                target.refuse(&Refused::new("every session is in use"));
            }
            (Ok(admitted), Ok(_place)) => {
                let driver = RelayDriver::new(Arc::clone(&target.upstream), admitted.login, &waiting, dialer);
                target.session(client, driver, admitted.next, state, &waiting).await;
            }
        }
        // On every way out: the server counts a connection that ends without a login.
        Box::pin(dismiss(&waiting)).await;
    }
}

impl MysqlTarget {
    /// Opens the connection whose greeting a client is to read.
    async fn opened(&self, dialer: &Dialer) -> Result<Opened> {
        let request = self.request.clone();
        let open = |address| -> BoxFuture<'_, Result<Opened>> {
            Box::pin(Opened::connect(address, &request, &self.upstream))
        };
        let limit = self.hosts.timeout();
        timeout(limit, dialer.dial(&request, open)).await.unwrap_or_else(|_| {
            let message = format!("{} did not send its greeting within {limit:?}", request.address_label());
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }

    /// Serves a client that may have a session.
    ///
    /// A client that disconnects meanwhile does not end the login: the server would count that
    /// against this machine.
    async fn session(
        &self,
        mut client: Local,
        driver: RelayDriver,
        next: u8,
        state: &ProxyState,
        waiting: &Waiting,
    ) {
        let hosts = self.hosts.with_driver(driver);
        let limit = state.limits.handshake_timeout;
        let connected: Result<Connected<Session>> = {
            let mut connecting = Box::pin(descriptors::awaited(limit, || hosts.connect()));
            tokio::select! {
                biased;
                connected = &mut connecting => connected,
                () = state.cut.cancelled() => {
                    drop(client);
                    // A login that breaks off would be counted as well.
                    let quit = |connected: Connected<Session>| connected.connection.quit();
                    return Box::pin(farewell(connecting, quit, dismiss(waiting))).await;
                }
            }
        };
        let session = match connected {
            Ok(connected) => connected.connection,
            Err(error) => {
                let (code, sql_state, text) = client_error(&error);
                drop(send(&mut client, next, &answer(code, sql_state, &text)).await);
                drop(client.shutdown().await);
                return self.fail(&error);
            }
        };
        let open = self.counters.begin();
        // The server's OK with the client's sequence number. From here on both connections agree,
        // compression included, so bytes are moved unread.
        if send(&mut client, next, &session.ok).await.is_err() {
            // Each has a limit of its own, and the proxy waits for one.
            Box::pin(async { tokio::join!(session.quit(), dismiss(waiting)) }).await;
            return;
        }
        let Session { stream, abort, .. } = session;
        let relayed = relay_session(client, stream, &abort, &open);
        // A login at another address, as after a failover, leaves the greeted connection: its
        // server would count it long before the session ends. Boxed, so that its memory is freed.
        tokio::join!(state.cut.run_until_cancelled(relayed), Box::pin(dismiss(waiting)));
    }
}

/// Ends what a client leaves behind: what is being opened and, beside it, what the last future
/// dismisses. All of it shares one limit, which the proxy's own end waits for; a login that
/// the limit finds under way may then go on for as long again.
async fn farewell<T, F: Future<Output = ()>>(
    opening: impl Future<Output = Result<T>>,
    end: impl FnOnce(T) -> F,
    dismissed: impl Future<Output = ()>,
) {
    let deadline = Instant::now() + FAREWELL;
    let opened = timeout_at(deadline, opening).await;
    let ended = async {
        if let Ok(Ok(opened)) = opened {
            end(opened).await;
        }
    };
    // At the deadline too: it begins both, and a farewell is one packet.
    drop(timeout_at(deadline, async { tokio::join!(ended, dismissed) }).await);
}

/// Ends the connection that still waits for a login.
async fn dismiss(waiting: &Waiting) {
    if let Some(opened) = take(waiting) {
        opened.dismiss().await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn farewell_of_a_frozen_server_ends_within_one_limit() {
        for opens_after in [FAREWELL / 5, FAREWELL * 4 / 5, FAREWELL * 2] {
            let begun = Instant::now();
            let mut dismissed = false;
            let opening = async {
                sleep(opens_after).await;
                Ok(())
            };
            let dismissing = async {
                dismissed = true;
                pending().await
            };

            farewell(opening, |()| pending(), dismissing).await;

            assert_eq!(begun.elapsed(), FAREWELL, "opens after {opens_after:?}");
            assert!(dismissed, "opens after {opens_after:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn farewell_of_a_server_that_answers_is_not_cut_short() {
        let begun = Instant::now();

        farewell(async { Ok(()) }, |()| sleep(FAREWELL / 2), sleep(FAREWELL / 3)).await;

        assert_eq!(begun.elapsed(), FAREWELL / 2);
    }
}
