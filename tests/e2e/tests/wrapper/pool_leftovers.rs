//! Pools at a server that stands still: what they drop is gone soon, its socket and its task too.
#![cfg(target_os = "linux")]

use std::time::Duration;

use bb8::ManageConnection;
use e2e::{
    Fixture,
    leftovers::{SeparateRuntime, nothing_is_left},
    mysql,
};
use mysql_async::prelude::Queryable;
use rds_testkit::{Fault, Gate, Phase};
use rds_wrapper::{mysql::Recycling, pg::deadpool::RecyclingMethod};
use tokio::time::timeout;

const SOON: Duration = Duration::from_millis(200);

/// How long bb8 lets its users wait.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The state of a connection when its server freezes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Left {
    /// Its statement has been answered.
    Idle,
    /// With a statement that was given up.
    GivenUp,
    /// In a transaction that was given up.
    InTransaction,
    /// Not yet asked for its role.
    Opened,
}

async fn use_postgres(client: &mut tokio_postgres::Client, left: Left) {
    match left {
        Left::GivenUp => drop(timeout(SOON, client.simple_query("SELECT 1")).await),
        Left::InTransaction => drop(client.transaction().await.expect("begins")),
        _ => drop(client.simple_query("SELECT 1").await.expect("answers")),
    }
}

async fn use_mysql(connection: &mut mysql_async::Conn, left: Left) {
    match left {
        Left::GivenUp => drop(timeout(SOON, connection.query_drop("DO 0")).await),
        Left::InTransaction => {
            drop(connection.start_transaction(Default::default()).await.expect("begins"));
        }
        _ => connection.query_drop("DO 0").await.expect("answers"),
    }
}

/// Whether a connection is handed out, soon after the deadline of its check.
async fn is_served<T, E>(get: impl Future<Output = Result<T, E>>) -> bool {
    matches!(timeout(4 * SOON, get).await, Ok(Ok(_)))
}

/// Leaves a connection in the pool that a server which stands still has to be asked about.
macro_rules! leave {
    ($site:ident, $left:ident, $get:expr, $use_it:ident) => {
        let server = &$site.fixture.server;
        if $left == Left::Opened {
            server.inject_always(Fault::Hang(Phase::Command, Gate::new()));
            assert!(!is_served($get).await, "nobody tells its role");
        } else {
            let mut connection = $get.await.expect("is let in");
            if $left == Left::GivenUp {
                server.freeze();
            }
            $use_it(&mut connection, $left).await;
            server.freeze();
            drop(connection);
            assert!(!is_served($get).await, "{:?}: nobody answers", $left);
        }
    };
}

/// A builder of a pool without a task of its own, which would look once in a while whether the pool
/// is still there.
fn bb8_builder<M: ManageConnection>() -> bb8::Builder<M> {
    bb8::Pool::builder().max_size(1).connection_timeout(TIMEOUT).idle_timeout(None).max_lifetime(None)
}

const LEFT: [Left; 4] = [Left::Idle, Left::GivenUp, Left::InTransaction, Left::Opened];

#[tokio::test]
async fn postgres_bb8_leaves_nothing() {
    for left in LEFT {
        let site = SeparateRuntime::start(Fixture::start()).await;
        let connector =
            site.fixture.builder(site.fixture.url() + "&wrapperConnectTimeout=1500").build().expect("builds");
        let manager = connector.bb8_manager().deadline(SOON);
        let manager = if left == Left::Opened { manager.expect_writer() } else { manager };
        let pool = bb8_builder().build_unchecked(manager);
        leave!(site, left, pool.get(), use_postgres);
        drop(pool);
        nothing_is_left(site.fixture.server.port(), left).await;
    }
}

#[tokio::test]
async fn postgres_deadpool_leaves_nothing() {
    for left in LEFT {
        let site = SeparateRuntime::start(Fixture::start()).await;
        let connector =
            site.fixture.builder(site.fixture.url() + "&wrapperConnectTimeout=1500").build().expect("builds");
        let settings = connector.deadpool().deadline(SOON).recycling_method(RecyclingMethod::Verified);
        let settings = if left == Left::Opened { settings.expect_writer() } else { settings };
        let pool = settings.builder().max_size(1).build().expect("builds");
        leave!(site, left, pool.get(), use_postgres);
        drop(pool);
        nothing_is_left(site.fixture.server.port(), left).await;
    }
}

#[tokio::test]
async fn mysql_bb8_leaves_nothing() {
    for left in LEFT {
        for recycling in [Recycling::Ping, Recycling::Reset] {
            let site = SeparateRuntime::start(mysql::Fixture::start()).await;
            let connector = site
                .fixture
                .builder(site.fixture.url() + "&wrapperConnectTimeout=1500")
                .build()
                .expect("builds");
            let manager = connector.deadpool_manager().deadline(SOON).recycling(recycling);
            let manager = if left == Left::Opened { manager.expect_writer() } else { manager };
            let pool = bb8_builder().build_unchecked(manager);
            leave!(site, left, pool.get(), use_mysql);
            drop(pool);
            nothing_is_left(site.fixture.server.port(), left).await;
        }
    }
}

#[tokio::test]
async fn mysql_deadpool_leaves_nothing() {
    for left in LEFT {
        for recycling in [Recycling::Ping, Recycling::Reset] {
            let site = SeparateRuntime::start(mysql::Fixture::start()).await;
            let connector = site
                .fixture
                .builder(site.fixture.url() + "&wrapperConnectTimeout=1500")
                .build()
                .expect("builds");
            let manager = connector.deadpool_manager().deadline(SOON).recycling(recycling);
            let manager = if left == Left::Opened { manager.expect_writer() } else { manager };
            let pool =
                rds_wrapper::mysql::deadpool::Pool::builder(manager).max_size(1).build().expect("builds");
            leave!(site, left, pool.get(), use_mysql);
            drop(pool);
            nothing_is_left(site.fixture.server.port(), left).await;
        }
    }
}
