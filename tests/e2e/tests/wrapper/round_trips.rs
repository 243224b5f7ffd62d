//! A connect takes no more turns on the wire than the bare driver's.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use e2e::{HOST, USER};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Passes connections on to a server and counts how often the direction turns.
struct Wire {
    port: u16,
    turns: Arc<AtomicUsize>,
}

impl Wire {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let turns = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&turns);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.expect("the server listens");
                tokio::spawn(pass(client, server, Arc::clone(&counter)));
            }
        });
        Self { port, turns }
    }

    /// The fewest turns of several connects: a server's TLS tickets may cross the client's next
    /// message, which adds turns.
    async fn fewest<C>(&self, connect: impl AsyncFn() -> C) -> usize {
        let mut fewest = usize::MAX;
        for _ in 0..12 {
            self.turns.store(0, Ordering::SeqCst);
            let connection = connect().await;
            fewest = fewest.min(self.turns.load(Ordering::SeqCst));
            drop(connection);
        }
        fewest
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, turns: Arc<AtomicUsize>) {
    let (mut from_client, mut from_server) = ([0; 4096], [0; 4096]);
    let mut last = None;
    loop {
        let (is_client, outcome) = tokio::select! {
            read = client.read(&mut from_client) => (true, read),
            read = server.read(&mut from_server) => (false, read),
        };
        let Ok(length @ 1..) = outcome else { return };
        if last.replace(is_client) != Some(is_client) {
            turns.fetch_add(1, Ordering::SeqCst);
        }
        let written = match is_client {
            true => server.write_all(&from_client[..length]).await,
            false => client.write_all(&from_server[..length]).await,
        };
        if written.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn postgres_costs_no_more_round_trips_than_the_bare_driver() {
    let rig = e2e::Fixture::start().await;
    let wire = Wire::to(rig.server.addr()).await;
    let signed = rig.server.port();
    let url = format!("postgres://{USER}@{HOST}:{}/app?plugins=iam&iamDefaultPort={signed}", wire.port);
    let connector = rig.builder(url).build().expect("builds");

    let token = rig.tokens.rds(HOST, signed, USER).await.expect("signs");
    let mut bare = tokio_postgres::Config::new();
    bare.host(HOST).hostaddr(Ipv4Addr::LOCALHOST.into()).port(wire.port).user(USER).dbname("app");
    bare.password(token.expose()).ssl_mode(tokio_postgres::config::SslMode::Require);

    let ours = wire.fewest(async || connector.connect().await.expect("is let in")).await;
    let bares = wire.fewest(async || bare.connect(connector.tls()).await.expect("is let in")).await;

    assert!(0 < ours && ours <= bares, "{ours} turns, and {bares} of the bare driver");
}

#[tokio::test]
async fn mysql_costs_no_more_round_trips_than_the_bare_driver() {
    let rig = e2e::mysql::Fixture::start().await;
    let wire = Wire::to(rig.server.addr()).await;
    let signed = rig.server.port();
    let url = format!("mysql://{USER}@{HOST}:{}/app?plugins=iam&iamDefaultPort={signed}", wire.port);
    let connector = rig.builder(url).build().expect("builds");

    let token = rig.tokens.rds(HOST, signed, USER).await.expect("signs");
    let tls =
        mysql_async::SslOpts::default().with_root_certs(vec![rig.server.ca_file().to_path_buf().into()]);
    let bare = mysql_async::OptsBuilder::default()
        .ip_or_hostname(HOST)
        .resolved_ips(Some(vec![Ipv4Addr::LOCALHOST.into()]))
        .tcp_port(wire.port)
        .user(Some(USER))
        .pass(Some(token.expose()))
        .db_name(Some("app"))
        .enable_cleartext_plugin(true)
        .prefer_socket(false)
        .ssl_opts(tls);

    let ours = wire.fewest(async || connector.connect().await.expect("is let in")).await;
    let bares = wire.fewest(async || mysql_async::Conn::new(bare.clone()).await.expect("is let in")).await;

    assert!(0 < ours && ours <= bares, "{ours} turns, and {bares} of the bare driver");
}
