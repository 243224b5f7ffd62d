//! One PostgreSQL client, from its first packet to the end of its session.

use std::{sync::Arc, time::Duration};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use wrapper_adapter::StringForm;
use wrapper_core::{Connected, Engine, Error, Result};

use super::{
    PostgresTarget,
    cancel::Cancels,
    client::{ClientRequest, check_password, check_user, client_error, client_request, send},
    message::error_response,
    startup::Startup,
    upstream::{RelayDriver, Session},
};
use crate::{
    access::Peer, admission::Refused, descriptors, limits::Handshake, listen::Local, proxy::ProxyState,
    relay::relay_session, source::UrlForm, stats::Counters, target::Relay, upstream::Upstream,
};

/// The bytes that a client may send before its session is ready; by the protocol it sends none.
const EARLY: usize = 1024;

/// The application name of sessions of the proxy itself.
const APPLICATION_NAME: &str = "rds-iam proxy";

/// Without SQL no plugin can tell the server's role, so its promise could not be kept.
const NO_REPLICATION: &str = "rds-iam: plugins cannot query a physical replication connection: use \
    replication=database, or a target without `failover2` and `initialConnection`";

impl Relay for Session {
    type Driver = RelayDriver;
    type Shared = Arc<Cancels>;

    const FORM: UrlForm = UrlForm {
        engine: Engine::Postgres,
        form: StringForm::new("PostgreSQL", &["postgres", "postgresql"], false),
    };

    fn own_driver(upstream: Arc<Upstream>) -> RelayDriver {
        RelayDriver::new(upstream, Startup::new(APPLICATION_NAME))
    }

    fn socket_file(port: u16) -> String {
        format!(".s.PGSQL.{port}")
    }

    async fn quit(self) {
        self.stream.end().await;
    }

    async fn serve(target: &PostgresTarget, mut client: Local, peer: Peer, state: &ProxyState) {
        let handshake = state.handshakes.begin(state.limits.max_handshakes);
        let login = Box::pin(target.admit(&mut client, peer, state, &handshake));
        let admitted = state.admission(&handshake, login).await;
        drop(handshake);
        let startup = match admitted {
            Ok(ClientRequest::Session(startup)) => startup,
            Ok(ClientRequest::Cancel(key)) => {
                state.cut.run_until_cancelled(Box::pin(target.cancel(&key))).await;
                return;
            }
            Err(refused) => return target.refuse(&refused),
        };
        if target.upstream.asks_sessions && startup.is_physical_replication() {
            drop(send(&mut client, &error_response("0A000", NO_REPLICATION, None)).await);
            return target.refuse(&Refused::new("physical replication behind plugins that query sessions"));
        }
        let Ok(_place) = state.sessions.try_acquire() else {
            drop(send(&mut client, &error_response("53300", &state.full(), None)).await);
            return target.refuse(&Refused::new("every session is in use"));
        };
        tokio::select! {
            () = target.session(client, startup, state.limits.handshake_timeout) => {}
            () = state.cut.cancelled() => {}
        }
    }
}

impl PostgresTarget {
    async fn admit(
        &self,
        client: &mut Local,
        peer: Peer,
        state: &ProxyState,
        handshake: &Handshake,
    ) -> std::result::Result<ClientRequest, Refused> {
        let request = client_request(client, handshake).await?;
        if let ClientRequest::Session(startup) = &request {
            check_user(client, startup, &self.names).await?;
            if let Some(password) = state.access.password_for(peer) {
                check_password(client, password, handshake).await?;
            }
        }
        // A cancel request has neither user nor password; its key is the proof.
        Ok(request)
    }

    async fn connect(&self, startup: Startup) -> Result<Connected<Session>> {
        let driver = RelayDriver::new(Arc::clone(&self.upstream), startup);
        self.hosts.with_driver(driver).connect().await
    }

    async fn session(&self, client: Local, startup: Startup, limit: Duration) {
        let mut client = BufReader::with_capacity(EARLY, client);
        // A client that disconnects meanwhile ends the login as well: PostgreSQL blocks no machine
        // for that.
        let connected = tokio::select! {
            // Boxed: its memory is free again while the session lasts.
            connected = Box::pin(descriptors::awaited(limit, || self.connect(startup.clone()))) => connected,
            () = disconnected(&mut client) => {
                return self.refuse(&Refused::new("the client disconnected before its session was ready"));
            }
        };
        let mut session = match connected {
            Ok(connected) => connected.connection,
            Err(error) => return self.report(&mut client, &error).await,
        };
        let to = session.to.clone();
        // The key must be registered before the client reads it. Without randomness a key that is
        // taken stays unregistered.
        let random = |bytes: &mut [u8]| _ = aws_lc_rs::rand::fill(bytes);
        let _key = session.key().and_then(|key| self.shared.register(key, to, random));
        let open = self.counters.begin();
        let early = client.buffer().to_vec();
        let mut client = client.into_inner();
        let opened = async {
            client.write_all(&session.take_greeting()).await?;
            client.flush().await?;
            session.stream.write_all(&early).await?;
            session.stream.flush().await
        };
        if opened.await.is_err() {
            return session.quit().await;
        }
        let abort = session.abort().clone();
        relay_session(client, session.stream, &abort, &open).await;
    }

    async fn report(&self, client: &mut BufReader<Local>, error: &Error) {
        self.fail(error);
        drop(send(client, &client_error(error)).await);
        drop(client.shutdown().await);
    }

    async fn cancel(&self, key: &[u8]) {
        match self.shared.forward(key, &self.upstream).await {
            Ok(true) => Counters::add(&self.counters.cancels, 1),
            Ok(false) => self.refuse(&Refused::new("unknown key in a cancel request")),
            Err(error) => tracing::debug!(%error, "cancel request not forwarded"),
        }
    }
}

/// Ends when the client has disconnected; one that has only sent something early stays.
async fn disconnected(client: &mut BufReader<Local>) {
    match client.fill_buf().await {
        Ok([]) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}
