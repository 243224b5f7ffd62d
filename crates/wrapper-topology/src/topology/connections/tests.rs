//! Connections of logins side by side, in any order of their reports.

use std::{net::IpAddr, time::Duration};

use wrapper_core::{
    BoxFuture, ConnectRequest, Connected, Engine, Result,
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
struct Scene(Topology);

impl Scene {
    /// Opens a connection to the first of these addresses, and tells nobody.
    async fn opens(&self, addresses: &[&str]) -> Connected<ConnectRequest> {
        tokio::time::advance(Duration::from_millis(1)).await;
        let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        let wrapper = Wrapper::new(Dials(addresses), Vec::new());
        wrapper.connect(ConnectRequest::new(HOST, 5432, "jane")).await.expect("connects")
    }

    fn tells(&self, connection: &Connected<ConnectRequest>) {
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
async fn login_that_was_open_last_says_where_a_host_is_in_whatever_order_they_are_told() {
    for is_late in [false, true] {
        let scene = Scene::default();
        let former = scene.opens(&["10.0.0.1"]).await;
        scene.tells(&former);
        let slow = scene.opens(&["10.0.0.1"]).await;
        let next = scene.opens(&["10.0.0.2"]).await;

        if is_late {
            scene.tells(&next);
            scene.tells(&slow);
        } else {
            scene.tells(&slow);
            scene.tells(&next);
        }
        let later = scene.opens(&["10.0.0.2"]).await;
        scene.tells(&later);

        let left = [&former, &slow, &next, &later].map(|connection| scene.is_left(connection));
        assert_eq!(left, [LEFT, LEFT, KEPT, KEPT], "late: {is_late}");
        assert_eq!(scene.0.stats().cut, 2, "late: {is_late}");
    }
}

#[tokio::test(start_paused = true)]
async fn login_elsewhere_that_is_told_after_newer_ones_is_left_alone() {
    let scene = Scene::default();
    let first = scene.opens(&["10.0.0.1"]).await;
    scene.tells(&first);
    let elsewhere = scene.opens(&["10.0.0.2"]).await;
    let newer = scene.opens(&["10.0.0.1"]).await;
    scene.tells(&newer);

    scene.tells(&elsewhere);

    assert_eq!(scene.is_left(&elsewhere), LEFT);
    assert_eq!(scene.is_left(&newer), KEPT);
    assert_eq!(scene.is_left(&first), LEFT, "the host may have been elsewhere in between");
}

#[tokio::test(start_paused = true)]
async fn addresses_that_a_host_has_side_by_side_are_one_place() {
    let scene = Scene::default();
    let mut opened = Vec::new();
    // RDS Proxy leads to one after the other; then one is replaced, and both families are in use.
    for addresses in [
        &["10.0.0.1", "10.0.0.2"][..],
        &["10.0.0.2", "10.0.0.1"],
        &["10.0.0.3", "10.0.0.2"],
        &["fd00::1"],
        &["10.0.0.3"],
    ] {
        let connection = scene.opens(addresses).await;
        scene.tells(&connection);
        opened.push(connection);
    }
    assert!(opened.iter().all(|connection| scene.is_left(connection) == KEPT));

    let moved = scene.opens(&["fd00::2"]).await;
    scene.tells(&moved);

    assert!(opened.iter().all(|connection| scene.is_left(connection) == LEFT));
    assert_eq!(scene.is_left(&moved), KEPT);
}

#[tokio::test(start_paused = true)]
async fn connection_whose_instance_says_reader_before_it_is_handed_out_is_ended() {
    let scene = Scene(Topology::with(
        super::super::Kind::Unknown,
        Knowledge::fixed([("a.example".to_owned(), 5432), ("b.example".to_owned(), 5432)]),
    ));
    let says = |id: &str, is_writer: bool| {
        let asked = Instant::now();
        let dialled = Target::Instance { id: id.into(), host: id.into(), port: 5432 };
        let answer = Answer { id: id.into(), is_writer, is_read_only: !is_writer, rows: Vec::new() };
        scene.0.answered(&Evidence { dialled, asked, answered: asked, answer });
    };
    says("a.example", true);
    let mut connection = scene.opens(&["10.0.0.1"]).await;
    connection.established.set_instance("a.example");
    connection.established.set_role(Role::Writer);
    tokio::time::advance(Duration::from_millis(1)).await;
    says("a.example", false);

    scene.0.hand_out(&"a.example".into(), &connection.established);

    assert!(scene.is_left(&connection).1);
}
