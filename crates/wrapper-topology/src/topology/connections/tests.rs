//! Connections of logins side by side, in any order of their reports.

use std::{
    net::IpAddr,
    task::{Context, Wake, Waker},
    time::Duration,
};

use wrapper_core::{
    BoxFuture, ConnectRequest, Connected, Engine, Events, Result,
    adapter::{Driver, Rows, Wrapper},
};

use super::*;
use crate::{
    answer::Answer,
    knowledge::{Evidence, Knowledge, Target},
};

const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";

/// Dials the first of a host's addresses.
struct Dials(Vec<IpAddr>);

impl Driver for Dials {
    type Connection = ConnectRequest;

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<ConnectRequest>> {
        request.progress().found(&self.0);
        request.progress().dial((self.0[0], 5432).into());
        // It holds the registration by which it is ended.
        Box::pin(async { Ok(request) })
    }

    fn query<'a>(&'a self, _: &'a mut ConnectRequest, _: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(async { Ok(Rows::default()) })
    }
}

/// A host, and a clock that ticks with every login.
#[derive(Default)]
struct Fixture(Topology);

impl Fixture {
    /// Opens a connection to the first of these addresses, and report nobody.
    async fn open(&self, addresses: &[&str]) -> Connected<ConnectRequest> {
        tokio::time::advance(Duration::from_millis(1)).await;
        let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        let wrapper = Wrapper::new(Dials(addresses), Vec::new());
        wrapper.connect(ConnectRequest::new(HOST, 5432, "jane")).await.expect("connects")
    }

    /// Opens a connection as that to the writer, and hands it out to nobody.
    async fn open_writer(&self, id: &str) -> Connected<ConnectRequest> {
        let mut connection = self.open(&["10.0.0.1"]).await;
        connection.established.set_instance(id);
        connection.established.set_role(Role::Writer);
        connection
    }

    /// Applies the answer of an instance about its own role.
    fn says(&self, id: &str, is_writer: bool) {
        let asked = Instant::now();
        let dialled = Target::Instance { id: id.into(), host: id.into(), port: 5432 };
        let answer = Answer { id: id.into(), is_writer, is_read_only: !is_writer, rows: Vec::new() };
        self.0.answered(&Evidence { dialled, asked, answered: asked, answer });
    }

    fn report(&self, connection: &Connected<ConnectRequest>) {
        self.0.logged_in_at(&HOST.into(), &connection.established);
    }

    /// Returns whether a pool of MySQL drops a connection, and that one of PostgreSQL was ended.
    fn is_left(&self, connection: &Connected<ConnectRequest>) -> (bool, bool) {
        let is_ended = connection.connection.abort_registration().check().is_err();
        (self.0.is_outdated(&connection.established), is_ended)
    }
}

const LEFT: (bool, bool) = (true, true);
const KEPT: (bool, bool) = (false, false);

#[tokio::test(start_paused = true)]
async fn latest_login_decides_the_address_in_any_order_of_reports() {
    for is_late in [false, true] {
        let fixture = Fixture::default();
        let former = fixture.open(&["10.0.0.1"]).await;
        fixture.report(&former);
        let slow = fixture.open(&["10.0.0.1"]).await;
        let next = fixture.open(&["10.0.0.2"]).await;

        if is_late {
            fixture.report(&next);
            fixture.report(&slow);
        } else {
            fixture.report(&slow);
            fixture.report(&next);
        }
        let later = fixture.open(&["10.0.0.2"]).await;
        fixture.report(&later);

        let left = [&former, &slow, &next, &later].map(|connection| fixture.is_left(connection));
        assert_eq!(left, [LEFT, LEFT, KEPT, KEPT], "late: {is_late}");
        assert_eq!(fixture.0.stats().cut, 2, "late: {is_late}");
    }
}

#[tokio::test(start_paused = true)]
async fn older_login_at_another_address_is_outdated_when_reported_late() {
    let fixture = Fixture::default();
    let first = fixture.open(&["10.0.0.1"]).await;
    fixture.report(&first);
    let elsewhere = fixture.open(&["10.0.0.2"]).await;
    let newer = fixture.open(&["10.0.0.1"]).await;
    fixture.report(&newer);

    fixture.report(&elsewhere);

    assert_eq!(fixture.is_left(&elsewhere), LEFT);
    assert_eq!(fixture.is_left(&newer), KEPT);
    assert_eq!(fixture.is_left(&first), LEFT, "the host may have been elsewhere in between");
}

#[tokio::test(start_paused = true)]
async fn addresses_that_a_host_has_side_by_side_are_one_place() {
    let fixture = Fixture::default();
    let mut opened = Vec::new();
    // RDS Proxy leads to one after the other; then one is replaced, and both families are in use.
    for addresses in [
        &["10.0.0.1", "10.0.0.2"][..],
        &["10.0.0.2", "10.0.0.1"],
        &["10.0.0.3", "10.0.0.2"],
        &["fd00::1"],
        &["10.0.0.3"],
    ] {
        let connection = fixture.open(addresses).await;
        fixture.report(&connection);
        opened.push(connection);
    }
    assert!(opened.iter().all(|connection| fixture.is_left(connection) == KEPT));

    let moved = fixture.open(&["fd00::2"]).await;
    fixture.report(&moved);

    assert!(opened.iter().all(|connection| fixture.is_left(connection) == LEFT));
    assert_eq!(fixture.is_left(&moved), KEPT);
}

#[tokio::test(start_paused = true)]
async fn connection_to_an_instance_demoted_before_hand_out_is_ended() {
    let fixture = Fixture(Topology::with(
        super::super::Kind::Unknown,
        Knowledge::fixed([("a.example".to_owned(), 5432), ("b.example".to_owned(), 5432)]),
    ));
    fixture.says("a.example", true);
    let connection = fixture.open_writer("a.example").await;
    tokio::time::advance(Duration::from_millis(1)).await;
    fixture.says("a.example", false);

    fixture.0.hand_out(&"a.example".into(), &connection.established);

    assert!(fixture.is_left(&connection).1);
}

#[tokio::test(start_paused = true)]
async fn connection_whose_waker_panics_keeps_no_other_from_being_ended() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("a waker of a test"));
        }
    }
    let fixture = Fixture(Topology::fixed("a", ["b"]).expect("are hosts"));
    fixture.says("a", true);
    let opened = [fixture.open_writer("a").await, fixture.open_writer("a").await];
    opened.iter().for_each(|writer| fixture.0.hand_out(&"a".into(), &writer.established));
    let waker = Waker::from(Arc::new(Panics));
    let registered = opened[0].connection.abort_registration().register(&Context::from_waker(&waker));
    registered.expect("is open");
    tokio::time::advance(Duration::from_millis(1)).await;
    let version = fixture.0.version();

    fixture.says("a", false);

    assert!(opened.iter().all(|writer| fixture.is_left(writer).1));
    assert_eq!(fixture.0.stats().cut, 2);
    assert!(version.has_changed().expect("the topology lives"));
}

/// A panic whose payload panics as well, and so passes where only the first is caught.
struct PanicsTwice;

impl Drop for PanicsTwice {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new("the payload of a panic of a test"));
    }
}

#[tokio::test(start_paused = true)]
async fn listener_that_panics_ends_no_connect() {
    let fixture = Fixture(Topology::fixed("a", ["b"]).expect("are hosts"));
    let events = Events::none().with(|_| std::panic::resume_unwind(Box::new(PanicsTwice)));
    let _listening = fixture.0.bind(None, None, &events).expect("binds");
    fixture.says("a", true);
    let connection = fixture.open_writer("a").await;
    tokio::time::advance(Duration::from_millis(1)).await;
    fixture.says("a", false);
    let (turn, ()) = fixture
        .0
        .pace()
        .admit(Instant::now() + Duration::from_secs(9), || ((), ("a".into(), 5432)))
        .await
        .expect("is admitted");

    fixture.0.hand_out(&"a".into(), &connection.established);
    fixture.0.slowed(&turn);
    let former = fixture.open(&["10.0.0.1"]).await;
    fixture.report(&former);
    let moved = fixture.open(&["10.0.0.2"]).await;
    fixture.report(&moved);

    assert!(fixture.is_left(&connection).1);
    assert_eq!(fixture.is_left(&former), LEFT);
    let stats = fixture.0.stats();
    assert_eq!((stats.cut, stats.paced), (2, 1));
}
