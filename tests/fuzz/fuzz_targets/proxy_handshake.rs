//! Any bytes of a client end in a closed connection of the proxy and in no login at the server.
//!
//! An input's first byte chooses the engine, and whether the rest follows a valid first packet.

#![no_main]

use std::{net::SocketAddr, sync::LazyLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use rds_testkit::{MysqlServer, PostgresServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    time::timeout,
};
use wrapper_core::Registry;
use wrapper_iam::IamFactory;
use wrapper_proxy::{
    Access, Limits, Listen, LocalAddress, LocalPassword, Proxy, TcpPort, mysql::MysqlTarget,
    postgres::PostgresTarget,
};

/// How long the proxy may take to close a connection whose client has finished.
const LIMIT: Duration = Duration::from_secs(10);

/// A password that no input has by chance.
const PASSWORD: &str = "a password of 31 characters, ok";

struct Fixture {
    postgres: PostgresServer,
    mysql: MysqlServer,
    addresses: [SocketAddr; 2],
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("starts"));

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let postgres = PostgresServer::builder().user("jane").start().await.expect("starts");
        let mysql = MysqlServer::builder().user("jane").start().await.expect("starts");
        let mut proxy =
            Proxy::new(Access::new(LocalPassword::new(PASSWORD).expect("is long enough")), Limits::default());
        let tokens = IamFactory::new(postgres.token_provider().expect("builds"));
        let target = PostgresTarget::from_url(&postgres.url(), Registry::new().with(tokens));
        let first = proxy.listen(&Listen::Tcp(TcpPort::loopback(0)), target.expect("is valid")).await;
        let tokens = IamFactory::new(mysql.token_provider().expect("builds"));
        let target = MysqlTarget::from_url(&mysql.url(), Registry::new().with(tokens));
        let second = proxy.listen(&Listen::Tcp(TcpPort::loopback(0)), target.expect("is valid")).await;
        let addresses = [first, second].map(|address| match address.expect("listens") {
            LocalAddress::Tcp(address) => address,
            _ => unreachable!("a port was asked for"),
        });
        tokio::spawn(proxy.run(LIMIT));
        Fixture { postgres, mysql, addresses }
    })
});

fuzz_target!(|input: &[u8]| {
    let Some((&choice, rest)) = input.split_first() else { return };
    let is_mysql = choice & 1 != 0;
    let mut bytes = Vec::new();
    match (choice & 2 != 0, is_mysql) {
        (false, _) => bytes.extend(rest),
        (true, false) => {
            let startup = b"\0\x03\0\0user\0jane\0database\0app\0\0";
            bytes.extend((startup.len() as u32 + 4).to_be_bytes());
            bytes.extend(startup);
            bytes.extend(rest);
        }
        (true, true) => {
            // The header of a login packet, so that the rest is read as a login.
            bytes.extend(&(rest.len() as u32).to_le_bytes()[..3]);
            bytes.push(1);
            bytes.extend(rest);
        }
    }
    // Outside of the runtime, which it starts the servers in.
    LazyLock::force(&FIXTURE);
    RUNTIME.block_on(async { timeout(LIMIT, client(is_mysql, &bytes)).await.expect("is closed in time") });
    assert_eq!(FIXTURE.postgres.accepted(), 0, "no client knows the password");
    // The proxy logs in at MySQL before it greets a client.
    assert!(FIXTURE.mysql.queries().is_empty(), "no client knows the password");
});

async fn client(is_mysql: bool, bytes: &[u8]) {
    let mut client = TcpStream::connect(FIXTURE.addresses[usize::from(is_mysql)]).await.expect("accepts");
    // The proxy may close the connection before it has read everything.
    drop(client.write_all(bytes).await);
    drop(client.shutdown().await);
    drop(client.read_to_end(&mut Vec::new()).await);
}
