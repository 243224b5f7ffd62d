//! How often a connect with a cached token allocates beyond the driver's own with the same token.
//! The counting allocator comes with its crate and serves this binary alone.

use std::pin::pin;

use allocation_counter::measure;
use mysql_async::Conn;
use rds_testkit::{MysqlServer, PostgresServer};
use rds_wrapper::{IamFactory, Registry, mysql, pg};
use tokio::runtime::{Builder, Runtime};

/// Returns a runtime for the server, and one of this thread alone, which is the one that is
/// counted.
fn runtimes() -> (Runtime, Runtime) {
    let servers = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    (servers, Builder::new_current_thread().enable_all().build().unwrap())
}

/// Returns the least of several counts: what a driver reads at once is a matter of luck.
fn least(connect: impl Fn()) -> u64 {
    (0..10).map(|_| measure(&connect).count_total).min().unwrap()
}

/// Futures, the driver's configuration with the token, the request and its progress.
#[test]
fn connect_of_postgresql_allocates_little_more_than_the_driver() {
    let (servers, client) = runtimes();
    let server = servers.block_on(PostgresServer::builder().start()).unwrap();
    let registry = Registry::new().with(IamFactory::new(server.token_provider().unwrap()));
    let connector = pg::Connector::from_url(&server.url(), registry).unwrap();
    let (config, tls) = client.block_on(connector.driver_config()).unwrap().into_parts();

    // Pinned, because the runtime of a debug build moves a large future to the heap.
    let bare = least(|| drop(client.block_on(pin!(config.connect(tls.clone()))).unwrap()));
    let ours = least(|| drop(client.block_on(pin!(connector.connect())).unwrap()));

    assert!(ours <= bare + 24, "{ours} allocations, and {bare} of the driver alone");
}

/// The same, and the task in which a connect that is given up is finished.
#[test]
fn connect_of_mysql_allocates_little_more_than_the_driver() {
    let (servers, client) = runtimes();
    let server = servers.block_on(MysqlServer::builder().start()).unwrap();
    let registry = Registry::new().with(IamFactory::new(server.token_provider().unwrap()));
    let connector = mysql::Connector::from_url(&server.url(), registry).unwrap();
    let opts = client.block_on(connector.driver_config()).unwrap().into_opts();

    let bare = least(|| drop(client.block_on(pin!(Conn::new(opts.clone()))).unwrap()));
    let ours = least(|| drop(client.block_on(pin!(connector.connect())).unwrap()));

    assert!(ours <= bare + 29, "{ours} allocations, and {bare} of the driver alone");
}
