//! MySQL connects that their callers give up leave no socket and no task behind, wherever they
//! were.
#![cfg(target_os = "linux")]

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use e2e::{
    leftovers::{SeparateRuntime, nothing_is_left},
    mysql::Fixture,
};
use mysql_async::OptsBuilder;
use rds_wrapper::mysql::Connector;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::Instant,
};

const CONNECTS: usize = 100;

/// A relay between clients and a server: passes some bytes of each answer, and the rest once it is
/// opened.
struct Valve {
    limits: Mutex<VecDeque<usize>>,
    passed: AtomicUsize,
    /// How many connections wait for the rest, or need none.
    settled: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Valve {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            limits: Mutex::default(),
            passed: AtomicUsize::new(0),
            settled: watch::Sender::new(0),
            open: watch::Sender::new(false),
        })
    }

    async fn listen(self: Arc<Self>, listener: TcpListener, server: u16) {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(Arc::clone(&self).pass(client, server));
        }
    }

    async fn pass(self: Arc<Self>, client: TcpStream, server: u16) -> std::io::Result<()> {
        let limit = self.limits.lock().expect("whole").pop_front().unwrap_or(usize::MAX);
        let (mut questions, mut to_client) = client.into_split();
        let (mut answers, mut to_server) = TcpStream::connect(("127.0.0.1", server)).await?.into_split();
        let forth = async {
            copy(&mut questions, &mut to_server).await?;
            to_server.shutdown().await
        };
        let back = async {
            let mut left = limit;
            let mut buffer = [0; 4096];
            while left > 0 {
                let most = left.min(buffer.len());
                match answers.read(&mut buffer[..most]).await? {
                    0 => return to_client.shutdown().await,
                    read => {
                        self.passed.fetch_add(read, Ordering::SeqCst);
                        to_client.write_all(&buffer[..read]).await?;
                        left -= read;
                    }
                }
            }
            self.settled.send_modify(|settled| *settled += 1);
            let _ = self.open.subscribe().wait_for(|open| *open).await;
            copy(&mut answers, &mut to_client).await?;
            to_client.shutdown().await
        };
        // A client that has left ends both.
        tokio::select! {
            _ = forth => {}
            _ = back => {}
        }
        Ok(())
    }
}

/// A server behind a valve, both in a runtime of their own: tasks of the test's runtime belong to
/// the client.
struct ValvedServer {
    valve: Arc<Valve>,
    port: u16,
    elsewhere: SeparateRuntime<Fixture>,
}

impl ValvedServer {
    async fn start() -> Self {
        let valve = Valve::new();
        let behind = Arc::clone(&valve);
        let start = async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
            let port = listener.local_addr().expect("is bound").port();
            let rig =
                Fixture::start_with(|server| server.signed_port(port).password_user("legacy", "pw")).await;
            tokio::spawn(behind.listen(listener, rig.server.port()));
            rig
        };
        let elsewhere = SeparateRuntime::start(start).await;
        let port = elsewhere.fixture.server.signed_port();
        Self { valve, port, elsewhere }
    }

    /// A connector with a token over TLS, or with a password over nothing, where an answer can end
    /// anywhere: that of a statement too.
    fn connector(&self, plain: bool) -> Connector {
        let builder = if plain {
            let opts = OptsBuilder::default().ip_or_hostname(e2e::HOST).tcp_port(self.port);
            let opts = opts.user(Some("legacy")).pass(Some("pw")).init(vec!["SELECT 1"]);
            Connector::builder(self.elsewhere.fixture.registry()).opts(opts)
        } else {
            self.elsewhere.fixture.builder(format!(
                "mysql://{}@{}:{}/app?plugins=iam",
                e2e::USER,
                e2e::HOST,
                self.port
            ))
        };
        builder.resolver(e2e::local()).build().expect("builds")
    }

    /// Gives up connects that have got so many bytes each, evenly from none to all.
    async fn give_up(&self, connector: &Connector) {
        connector.connect().await.expect("is let in").disconnect().await.expect("leaves");
        nothing_is_left(self.port, "connect").await;
        let all = self.valve.passed.load(Ordering::SeqCst);
        *self.valve.limits.lock().expect("whole") = (0..CONNECTS).map(|at| at * all / CONNECTS).collect();

        let mut connects = JoinSet::new();
        for _ in 0..CONNECTS {
            let (connector, valve) = (connector.clone(), Arc::clone(&self.valve));
            connects.spawn(async move {
                drop(connector.connect().await);
                valve.settled.send_modify(|settled| *settled += 1);
            });
        }
        let mut settled = self.valve.settled.subscribe();
        let _ = settled.wait_for(|settled| *settled >= CONNECTS).await;
        connects.shutdown().await;
    }
}

async fn check(plain: bool, thaws: bool) {
    let site = ValvedServer::start().await;
    let connector = site.connector(plain);

    site.give_up(&connector).await;
    site.valve.open.send_replace(thaws);

    nothing_is_left(site.port, "connects").await;
}

#[tokio::test]
async fn connects_cancelled_at_a_frozen_server_leave_nothing() {
    check(false, false).await;
}

#[tokio::test]
async fn connects_cancelled_at_a_frozen_server_without_tls_leave_nothing() {
    check(true, false).await;
}

#[tokio::test]
async fn connects_cancelled_at_a_slow_server_leave_nothing() {
    check(false, true).await;
}

#[tokio::test]
async fn connects_cancelled_at_a_slow_server_without_tls_leave_nothing() {
    check(true, true).await;
}

#[tokio::test]
async fn connects_cancelled_at_any_time_at_a_healthy_server_leave_nothing() {
    let site = ValvedServer::start().await;
    let connector = site.connector(false);
    let begun = Instant::now();
    drop(connector.connect().await.expect("is let in"));
    let whole = begun.elapsed();

    for share in (0..).take(CONNECTS) {
        let patience = whole * share / u32::try_from(CONNECTS).expect("is small");
        drop(tokio::time::timeout(patience, connector.connect()).await);
    }

    nothing_is_left(site.port, "connects").await;
    assert_eq!(
        site.elsewhere.fixture.server.queries(),
        [""; 0],
        "the driver has nothing to ask after a login"
    );
}
