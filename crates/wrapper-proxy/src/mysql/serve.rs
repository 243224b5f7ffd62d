//! One MySQL client, from the server's greeting to the end of its session.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{io::AsyncWriteExt, time::timeout};
use wrapper_adapter::StringForm;
use wrapper_core::{BoxFuture, Connected, Engine, Error, ErrorKind, Result};

use super::{
    MysqlTarget,
    client::{Admitted, admit, answer, answer_before_greeting, client_error},
    packet::send,
    upstream::{Opened, RelayDriver, Session, Waiting, take},
};
use crate::{
    access::Peer, admission::Refused, descriptors, listen::Local, proxy::Room, relay::relay_session,
    source::UrlForm, target::Relay, upstream::Upstream,
};

const COM_QUIT: u8 = 1;

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

    async fn quit(mut self) {
        // The server closes the connection in any case.
        drop(send(&mut self.stream, 0, &[COM_QUIT]).await);
        drop(self.stream.shutdown().await);
    }

    async fn serve(target: &MysqlTarget, mut client: Local, peer: Peer, room: &Room) {
        let handshake = room.handshakes.begin(room.limits.max_handshakes);
        // The server speaks first, so a slow server takes nothing of the client's time.
        handshake.suspend_grace();
        let limit = room.limits.handshake_timeout;
        let opened = tokio::select! {
            biased;
            opened = descriptors::awaited(limit, || target.opened()) => opened,
            () = handshake.displaced() => return target.refuse(&Refused::displaced()),
            () = room.cut.cancelled() => return,
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let (code, _, text) = client_error(&error);
                drop(send(&mut client, 0, &answer_before_greeting(code, &text)).await);
                return target.fail(&error);
            }
        };
        let greeting = opened.greeting.clone();
        let waiting: Arc<Waiting> = Arc::new(Mutex::new(Some(opened)));
        let password = room.access.password_for(peer);
        let login = admit(&mut client, &greeting, &target.names, password, &handshake);
        let admitted = room.admission(&handshake, login).await;
        drop(handshake);
        match (admitted, room.sessions.try_acquire()) {
            (Err(refused), _) => target.refuse(&refused),
            (Ok(admitted), Err(_)) => {
                drop(send(&mut client, admitted.next, &answer(1040, "08004", &room.full())).await);
                target.refuse(&Refused::new("every session is in use"));
            }
            (Ok(admitted), Ok(_place)) => tokio::select! {
                () = target.session(client, admitted, &waiting, limit) => {}
                () = room.cut.cancelled() => {}
            },
        }
        // On every way out: the server counts a connection that ends without a login.
        dismiss(&waiting).await;
    }
}

impl MysqlTarget {
    /// Opens the connection whose greeting a client is to read.
    async fn opened(&self) -> Result<Opened> {
        let request = self.request.clone();
        let open = |address| -> BoxFuture<'_, Result<Opened>> {
            Box::pin(Opened::connect(address, &request, &self.upstream))
        };
        let limit = self.hosts.timeout();
        timeout(limit, self.upstream.dialer.dial(&request, open)).await.unwrap_or_else(|_| {
            let message = format!("{} did not send its greeting within {limit:?}", request.address_label());
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }

    /// Serves a client that may have a session.
    ///
    /// A client that disconnects meanwhile does not end the login: the server would count that
    /// against this machine.
    async fn session(&self, mut client: Local, admitted: Admitted, waiting: &Arc<Waiting>, limit: Duration) {
        let Admitted { login, next } = admitted;
        let driver = RelayDriver::new(Arc::clone(&self.upstream), login, Arc::clone(waiting));
        let hosts = self.hosts.with_driver(driver);
        let connected: Result<Connected<Session>> = descriptors::awaited(limit, || hosts.connect()).await;
        let mut session = match connected {
            Ok(connected) => connected.connection,
            Err(error) => {
                let (code, state, text) = client_error(&error);
                drop(send(&mut client, next, &answer(code, state, &text)).await);
                drop(client.shutdown().await);
                return self.fail(&error);
            }
        };
        let open = self.counters.begin();
        // The server's OK with the client's sequence number. From here on both connections agree,
        // compression included, so bytes are moved unread.
        if send(&mut client, next, &session.ok).await.is_err() {
            return;
        }
        let abort = session.abort.clone();
        relay_session(&mut client, &mut session.stream, &abort, &open).await;
    }
}

/// Ends the connection that still waits for a login.
async fn dismiss(waiting: &Waiting) {
    if let Some(opened) = take(waiting) {
        opened.dismiss().await;
    }
}
