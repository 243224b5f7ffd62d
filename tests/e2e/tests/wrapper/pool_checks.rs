//! Checks of connections by the managers of both engines: they accept writers only if asked to,
//! never wait without limit, and say why there is no connection.

use std::{future::Future, time::Duration};

use bb8::ManageConnection;
use deadpool::managed::{Manager, Object, Pool};
use e2e::{Fixture, mysql};
use rds_testkit::{Fault, Gate, Phase, Rows, ServerError};
use rds_wrapper::{Error, ErrorKind, LastError};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

const SIZE: u8 = 10;

/// A pool of one of the four kinds, and what is asked of it here.
trait Taken: Clone + Send + Sync + 'static {
    /// Takes a connection out, for a moment.
    fn take(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Takes as many connections at once as there may be.
    fn fill(&self) -> impl Future<Output = ()> + Send;
}

#[derive(Clone)]
struct Explained<P>(P, LastError);

impl<M: ManageConnection<Error = Error>> Taken for Explained<bb8::Pool<M>> {
    async fn take(&self) -> Result<(), Error> {
        self.0.get().await.map(drop).map_err(|error| self.1.explain(error))
    }

    async fn fill(&self) {
        let mut held = Vec::new();
        for _ in 0..SIZE {
            held.push(self.0.get().await.expect("is let in"));
        }
    }
}

impl<M, W> Taken for Explained<Pool<M, W>>
where
    M: Manager<Error: std::error::Error + Send + Sync + 'static, Type: Send + Sync> + Send + Sync + 'static,
    W: From<Object<M>> + Send + 'static,
{
    async fn take(&self) -> Result<(), Error> {
        self.0.get().await.map(drop).map_err(|error| self.1.explain(error))
    }

    async fn fill(&self) {
        let mut held = Vec::new();
        for _ in 0..SIZE {
            held.push(self.0.get().await.expect("is let in"));
        }
    }
}

/// Connectors whose connects end soon.
fn pg(rig: &Fixture) -> rds_wrapper::pg::Connector {
    rig.builder(rig.url() + "&wrapperConnectTimeout=1500").build().expect("builds")
}

fn my(rig: &mysql::Fixture) -> rds_wrapper::mysql::Connector {
    rig.builder(rig.url() + "&wrapperConnectTimeout=1500").build().expect("builds")
}

const SOON: Duration = Duration::from_millis(200);

/// Builds a pool of each kind in turn, and does the same with it.
macro_rules! for_each_pool {
    ($check:ident, $writer:ident, $connector_of:ident) => {
        mod $check {
            use super::*;

            #[tokio::test]
            async fn of_postgres_bb8() {
                let rig = Fixture::start().await;
                let connector = $connector_of::pg(&rig);
                let manager = $writer!(connector.bb8_manager()).deadline(SOON);
                let pool = bb8::Pool::builder().max_size(SIZE.into()).connection_timeout(TIMEOUT);
                let pool = pool.error_sink(Box::new(connector.last_error())).build_unchecked(manager);
                super::$check(&rig.server, Explained(pool, connector.last_error())).await;
            }

            #[tokio::test]
            async fn of_postgres_deadpool() {
                let rig = Fixture::start().await;
                let connector = $connector_of::pg(&rig);
                let settings = $writer!(connector.deadpool()).deadline(SOON);
                let settings =
                    settings.recycling_method(rds_wrapper::pg::deadpool::RecyclingMethod::Verified);
                let pool = settings.builder().max_size(SIZE.into()).build().expect("builds");
                super::$check(&rig.server, Explained(pool, connector.last_error())).await;
            }

            #[tokio::test]
            async fn of_mysql_bb8() {
                let rig = mysql::Fixture::start().await;
                let connector = $connector_of::my(&rig);
                let manager = $writer!(connector.deadpool_manager()).deadline(SOON);
                let pool = bb8::Pool::builder().max_size(SIZE.into()).connection_timeout(TIMEOUT);
                let pool = pool.error_sink(Box::new(connector.last_error())).build_unchecked(manager);
                super::$check(&rig.server, Explained(pool, connector.last_error())).await;
            }

            #[tokio::test]
            async fn of_mysql_deadpool() {
                let rig = mysql::Fixture::start().await;
                let connector = $connector_of::my(&rig);
                let manager = $writer!(connector.deadpool_manager()).deadline(SOON);
                let pool = rds_wrapper::mysql::deadpool::Pool::builder(manager).max_size(SIZE.into());
                let pool = pool.build().expect("builds");
                super::$check(&rig.server, Explained(pool, connector.last_error())).await;
            }
        }
    };
}

/// How long bb8 lets its users wait.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Connectors whose connects have the time that they have by default.
mod patient {
    use super::*;

    pub(super) fn pg(rig: &Fixture) -> rds_wrapper::pg::Connector {
        rig.connector()
    }

    pub(super) fn my(rig: &mysql::Fixture) -> rds_wrapper::mysql::Connector {
        rig.connector()
    }
}

/// Connectors whose connects end soon.
mod hasty {
    pub(super) use super::{my, pg};
}

macro_rules! writer {
    ($manager:expr) => {
        $manager.expect_writer()
    };
}

macro_rules! any {
    ($manager:expr) => {
        $manager
    };
}

/// Operations of both servers.
trait Server {
    fn accepted(&self) -> usize;
    fn set_read_only(&self, read_only: bool);
    fn inject_always(&self, fault: Fault);
}

macro_rules! servers {
    ($($server:ty),*) => {
        $(
            impl Server for $server {
                fn accepted(&self) -> usize {
                    self.accepted()
                }

                fn set_read_only(&self, read_only: bool) {
                    self.set_read_only(read_only);
                }

                fn inject_always(&self, fault: Fault) {
                    self.inject_always(fault);
                }
            }
        )*
    };
}

servers!(rds_testkit::PostgresServer, rds_testkit::MysqlServer);

/// Lets fifty tasks ask for a connection again and again, for five seconds.
async fn ask_for_five_seconds(pool: &impl Taken) {
    let until = Instant::now() + Duration::from_secs(5);
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let pool = pool.clone();
        tasks.spawn(async move {
            while Instant::now() < until {
                let taken = timeout_at(until, pool.take()).await;
                assert!(!matches!(taken, Ok(Ok(()))), "a reader's connection was handed out");
            }
        });
    }
    tasks.join_all().await;
}

async fn logins_to_a_reader_are_delayed_for_longer_each_time(server: &impl Server, pool: impl Taken) {
    server.set_read_only(true);

    ask_for_five_seconds(&pool).await;

    assert!((1..=20).contains(&server.accepted()), "{} logins", server.accepted());
}

async fn logins_to_a_demoted_writer_are_delayed_for_longer_each_time(server: &impl Server, pool: impl Taken) {
    pool.fill().await;
    let before = server.accepted();
    server.set_read_only(true);

    ask_for_five_seconds(&pool).await;

    let logins = server.accepted() - before;
    assert!((1..=10).contains(&logins), "{logins} logins");
    server.set_read_only(false);
    pool.take().await.expect("a writer again");
}

async fn reader_is_the_wrong_instance(server: &impl Server, pool: impl Taken) {
    server.set_read_only(true);

    let error = pool.take().await.expect_err("no writer");

    assert_eq!(error.kind(), ErrorKind::WrongInstance, "{error}");
    assert!(error.is_transient());
    assert!(error.to_string().contains("leads to a read-only server"), "{error}");
}

async fn check_out_from_a_frozen_server_times_out(server: &impl Server, pool: impl Taken) {
    pool.take().await.expect("is let in");
    let gate = Gate::new();
    for phase in [Phase::Accept, Phase::Command] {
        server.inject_always(Fault::Hang(phase, gate.clone()));
    }
    let begun = Instant::now();

    let error = pool.take().await.expect_err("is frozen");

    assert!(begun.elapsed() < Duration::from_millis(4500), "{:?}", begun.elapsed());
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

async fn refusal_is_reported(server: &impl Server, pool: impl Taken) {
    server.inject_always(Fault::Refuse(ServerError::new("28000", "PAM authentication failed")));

    let error = pool.take().await.expect_err("is refused");

    assert!(
        error.to_string().contains("refused the login")
            || error.to_string().contains("rejected the connection"),
        "{error}"
    );
}

async fn hanging_login_is_reported(server: &impl Server, pool: impl Taken) {
    server.inject_always(Fault::Hang(Phase::Login, Gate::new()));

    let error = pool.take().await.expect_err("hangs");

    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text = error.to_string();
    assert!(text.contains("still logging in") || text.contains("still opening the connection"), "{text}");
}

for_each_pool!(logins_to_a_reader_are_delayed_for_longer_each_time, writer, patient);
for_each_pool!(logins_to_a_demoted_writer_are_delayed_for_longer_each_time, writer, patient);
for_each_pool!(reader_is_the_wrong_instance, writer, patient);
for_each_pool!(check_out_from_a_frozen_server_times_out, any, hasty);
for_each_pool!(refusal_is_reported, any, patient);
for_each_pool!(hanging_login_is_reported, any, hasty);

#[tokio::test]
async fn ready_builder_has_a_runtime_and_five_seconds_to_recycle() {
    let rig = Fixture::start().await;

    let pool = rig.connector().deadpool_builder().build().expect("builds");

    assert_eq!(pool.timeouts().recycle, Some(Duration::from_secs(5)));
    drop(pool.get().await.expect("is let in"));
    drop(pool.get().await.expect("is recycled, for which a limit needs the runtime"));
}

#[tokio::test]
async fn exhausted_pool_is_explained() {
    let rig = Fixture::start().await;
    let connector = rig.connector();
    let builder = connector.deadpool_builder().max_size(1).wait_timeout(Some(SOON));
    let pool = builder.build().expect("builds");
    let _held = pool.get().await.expect("is let in");

    let error = pool.get().await.map(drop).map_err(|error| connector.last_error().explain(error));

    let text = error.expect_err("none is left").to_string();
    assert!(text.contains("are all of them in use?"), "{text}");
}

#[tokio::test]
async fn postgres_role_that_is_read_only_by_default_has_its_writer() {
    let rig = Fixture::start().await;
    let on = Rows::new(["transaction_read_only"]).row(["on".into()]);
    rig.server.answer("SHOW transaction_read_only", on);
    let pool = rig.connector().deadpool().expect_writer().builder().build().expect("builds");

    for _ in 0..2 {
        drop(pool.get().await.expect("the server itself takes writes"));
    }

    assert_eq!(rig.server.accepted(), 1);
}

#[tokio::test]
async fn mysql_role_is_read_as_text() {
    let rig = mysql::Fixture::start().await;
    let connector = rig.connector();
    for (word, is_writer) in [("OFF", true), ("ON", false), ("NO_LOCK", false), ("NO_LOCK_NO_ADMIN", false)] {
        let rows = Rows::new(["a", "b"]).row([0.into(), word.into()]);
        rig.server.answer("SELECT @@innodb_read_only, @@read_only", rows);
        let manager = rig.connector().deadpool_manager().expect_writer();
        let pool = rds_wrapper::mysql::deadpool::Pool::builder(manager).build().expect("builds");

        let taken = pool.get().await.map(drop).map_err(|error| connector.last_error().explain(error).kind());

        assert_eq!(taken, if is_writer { Ok(()) } else { Err(ErrorKind::WrongInstance) }, "{word}");
    }
}
