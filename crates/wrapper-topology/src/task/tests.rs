//! The monitor of a cluster that is not used for a while.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Waker},
};

use tokio::{
    runtime::Builder,
    time::{advance, sleep},
};
use wrapper_core::{
    BoxFuture, Registry,
    adapter::{Driver, RawParameters, Rows, Wrapper},
};

use super::*;
use crate::{FailoverFactory, schedule::IDLE};

/// A writer that counts its connections.
#[derive(Clone, Default)]
struct Writer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    open: AtomicUsize,
    /// Is called once by a connection that is closed.
    at_close: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

struct Connection(Arc<Shared>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
        let at_close = self.0.at_close.lock().expect("no test panics").take();
        at_close.into_iter().for_each(|call| call());
    }
}

impl Driver for Writer {
    type Connection = Connection;

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self, _: ConnectRequest) -> BoxFuture<'_, Result<Connection>> {
        self.0.open.fetch_add(1, SeqCst);
        Box::pin(async { Ok(Connection(Arc::clone(&self.0))) })
    }

    fn query<'a>(&'a self, _: &'a mut Connection, _: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(async {
            let mut rows = Rows::new(["role"]);
            rows.push([Some("f")])?;
            Ok(rows)
        })
    }
}

struct Fixture {
    writer: Writer,
    wrapper: Wrapper<Writer>,
    topology: Topology,
}

impl Fixture {
    fn new() -> Self {
        Self::of(Topology::fixed("a", []).expect("is a host"))
    }

    fn of(topology: Topology) -> Self {
        let writer = Writer::default();
        let registry = Registry::<Connection>::new().with(FailoverFactory::new(topology.clone()));
        let mut given = RawParameters::new();
        given.set("plugins", "failover2").expect("is known");
        let (plugins, _) = registry.build(&given, &[request()]).expect("builds");
        Self { wrapper: Wrapper::new(writer.clone(), plugins), writer, topology }
    }

    /// Returns the number of open connections, of the application and the monitor.
    fn open(&self) -> usize {
        self.writer.0.open.load(SeqCst)
    }

    /// Returns how many queries the monitor asks within this time.
    async fn questions_in(&self, time: Duration) -> u64 {
        let before = self.topology.stats().questions;
        sleep(time).await;
        self.topology.stats().questions - before
    }
}

fn request() -> ConnectRequest {
    ConnectRequest::new("a", 5432, "jane")
}

#[tokio::test(start_paused = true)]
async fn monitor_of_an_unused_cluster_rests_until_the_next_connect() {
    let fixture = Fixture::new();
    let _held = fixture.wrapper.connect(request()).await.expect("connects");
    assert!(fixture.questions_in(IDLE).await > 20);
    assert_eq!(fixture.questions_in(IDLE).await, 0);
    assert_eq!(fixture.open(), 1, "the application's own");

    // Soon after it came to rest, and long after.
    for pause in [Duration::ZERO, STALE * 2] {
        sleep(pause).await;
        drop(fixture.wrapper.connect(request()).await.expect("connects"));
        assert!(fixture.questions_in(IDLE).await > 20, "after {pause:?}");
        assert_eq!(fixture.questions_in(Duration::from_secs(1)).await, 0, "after {pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn connect_while_the_monitor_comes_to_rest_has_one() {
    let fixture = Fixture::new();
    let _held = fixture.wrapper.connect(request()).await.expect("connects");
    sleep(IDLE - Duration::from_secs(1)).await;
    let wrapper = fixture.wrapper.clone();
    *fixture.writer.0.at_close.lock().expect("no test panics") = Some(Box::new(move || {
        let connect = std::pin::pin!(wrapper.connect(request()));
        assert!(connect.poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }));
    sleep(Duration::from_secs(2)).await;
    assert!(fixture.writer.0.at_close.lock().expect("no test panics").is_none(), "came to rest");

    assert!(fixture.questions_in(IDLE / 2).await > 10);
}

#[tokio::test(start_paused = true)]
async fn monitor_serves_all_connectors_moves_to_another_and_goes_with_the_last() {
    let first = Fixture::new();
    let second = Fixture::of(first.topology.clone());
    let minute = Duration::from_secs(60);
    let _held = [first.wrapper.connect(request()).await, second.wrapper.connect(request()).await];
    assert!(first.questions_in(minute).await > 0);
    assert_eq!((first.open(), second.open()), (2, 1), "one monitor for both");

    let Fixture { wrapper, writer: Writer(of_first), .. } = first;
    drop(wrapper);
    assert!(second.questions_in(minute).await > 0);
    assert_eq!((of_first.open.load(SeqCst), second.open()), (1, 2));

    let Fixture { wrapper, writer: Writer(of_second), topology } = second;
    drop(wrapper);
    let asked = topology.stats().questions;
    sleep(minute).await;
    assert_eq!((topology.stats().questions, of_second.open.load(SeqCst)), (asked, 1));
}

#[test]
fn suspicion_reaches_the_monitor_of_the_runtime_that_is_driven() {
    let runtime = || Builder::new_current_thread().enable_time().start_paused(true).build().expect("builds");
    let (first, second) = (runtime(), runtime());
    let fixture = Fixture::new();
    let _held = first.block_on(async {
        let held = fixture.wrapper.connect(request()).await.expect("connects");
        assert!(fixture.questions_in(Duration::from_secs(1)).await > 0);
        held
    });

    second.block_on(async {
        advance(STALE * 2).await;
        let _held = fixture.wrapper.connect(request()).await.expect("connects");
        assert!(fixture.questions_in(Duration::from_secs(40)).await > 0);
        fixture.topology.suspect();
        assert!(fixture.questions_in(Duration::from_secs(1)).await > 0);
    });
}

#[tokio::test(start_paused = true)]
async fn suspicion_ends_the_rest_of_the_monitor() {
    let fixture = Fixture::new();
    let _held = fixture.wrapper.connect(request()).await.expect("connects");
    sleep(IDLE * 2).await;
    assert_eq!(fixture.questions_in(IDLE).await, 0);

    fixture.topology.suspect();

    assert!(fixture.questions_in(Duration::from_secs(1)).await > 0);
    assert_eq!(fixture.topology.stats().suspicions, 1);
    assert!(fixture.questions_in(IDLE).await > 20, "it is in use again");
    assert_eq!(fixture.questions_in(IDLE).await, 0);
}
