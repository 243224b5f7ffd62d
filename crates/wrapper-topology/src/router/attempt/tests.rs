//! Connects under way, and what others learn meanwhile.

use std::{future::pending, time::Duration};

use tokio::time::sleep;
use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Options, Plugin, Registry,
    adapter::{Driver, RawParameters, Rows, Wrapper},
    plugin_fn,
};

use super::*;
use crate::{InitialConnectionFactory, Topology, answer::Answer, parameters::RouteOptions, router::Router};

/// Hosts of which `a` lets no connect through; each of the others is a writer.
struct Hosts;

impl Driver for Hosts {
    type Connection = ();

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if request.host() == "a" {
                pending::<()>().await;
            }
            Ok(())
        })
    }

    fn query<'a>(&'a self, (): &'a mut (), _: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(async {
            let mut rows = Rows::new(["role"]);
            rows.push([Some("f")])?;
            Ok(rows)
        })
    }
}

/// Returns the chain that routes connects for this request.
fn routed(topology: &Topology, request: &ConnectRequest) -> Vec<Arc<dyn Plugin<()>>> {
    let registry = Registry::<()>::new().with(InitialConnectionFactory::new(topology.clone()));
    let mut given = RawParameters::new();
    given.set("plugins", "initialConnection").expect("is known");
    registry.build(&given, std::slice::from_ref(request)).expect("builds").0
}

#[tokio::test(start_paused = true)]
async fn instance_that_reports_that_it_is_a_reader_is_given_up_before_a_writer_is_known() {
    let topology = Topology::fixed("a", ["b"]).expect("are hosts");
    let request = ConnectRequest::new("a", 5432, "jane");
    let wrapper = Wrapper::new(Hosts, routed(&topology, &request));
    let begun = Instant::now();
    let connect = tokio::spawn(async move { wrapper.connect(request).await });
    tokio::task::yield_now().await;
    assert!(topology.snapshot().writer().is_none());

    let (id, now): (Arc<str>, _) = ("a".into(), Instant::now());
    let dialled = Target::Instance { id: Arc::clone(&id), host: Arc::clone(&id), port: 5432 };
    let answer = Answer { id, is_writer: false, is_read_only: true, rows: Vec::new() };
    topology.answered(&Evidence { dialled, asked: now, answered: now, answer });

    let connected = connect.await.expect("does not panic").expect("finds the writer");
    assert_eq!(connected.established.instance(), Some("b"));
    assert!(begun.elapsed() < ATTEMPT, "{:?}", begun.elapsed());
}

/// Connects a second after the dial, and calls every host a writer.
struct SlowHosts;

impl Driver for SlowHosts {
    type Connection = ();

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self, _: ConnectRequest) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            sleep(DIAL).await;
            Ok(())
        })
    }

    fn query<'a>(&'a self, connection: &'a mut (), sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Hosts.query(connection, sql)
    }
}

const DIAL: Duration = Duration::from_secs(1);

/// Returns a chain that routes, and that logs in after this time in a phase.
fn routed_after(
    (phase, wait): (Phase, Duration),
    topology: &Topology,
    request: &ConnectRequest,
) -> Vec<Arc<dyn Plugin<()>>> {
    let waits = plugin_fn("waits", move |request: ConnectRequest, next: Next<'_, ()>| {
        Box::pin(async move {
            request.progress().enter(phase);
            sleep(wait).await;
            next.run(request).await
        })
    });
    let mut plugins = routed(topology, request);
    plugins.push(Arc::new(waits));
    plugins
}

#[tokio::test(start_paused = true)]
async fn instance_has_its_whole_time_from_the_moment_credentials_come() {
    for wait in [0, 4_500, 4_999, 5_000, 5_001, 9_999, 28_000].map(Duration::from_millis) {
        let topology = Topology::fixed("a", ["b"]).expect("are hosts");
        let request = ConnectRequest::new("a", 5432, "jane");
        let wrapper = Wrapper::new(SlowHosts, routed_after((Phase::Credentials, wait), &topology, &request));
        let begun = Instant::now();

        let connected = wrapper.connect(request).await;

        let connected = connected.unwrap_or_else(|error| panic!("after {wait:?}: {error}"));
        assert_eq!(connected.established.instance(), Some("a"), "after {wait:?}");
        assert!(begun.elapsed() < wait + DIAL * 11 / 10, "{:?} after {wait:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_after_refused_logins_bring_no_instance_under_suspicion() {
    let ends = [
        (6_000, None),
        (29_500, Some("`a` refused the login, which was repeated after 29.5s")),
        (60_000, Some("still pausing")),
    ];
    for (wait, says) in ends {
        let wait = Duration::from_millis(wait);
        let topology = Topology::fixed("a", ["b"]).expect("are hosts");
        let request = ConnectRequest::new("a", 5432, "jane");
        let wrapper = Wrapper::new(SlowHosts, routed_after((Phase::Refused, wait), &topology, &request));

        let connected = wrapper.connect(request).await;

        match (connected, says) {
            (Ok(connected), None) => assert_eq!(connected.established.instance(), Some("a")),
            (Err(error), Some(says)) => {
                assert!(error.is_login() && error.to_string().contains(says), "{error}")
            }
            (connected, _) => panic!("after {wait:?}: {:?}", connected.map(drop)),
        }
        let is_suspected = topology.with_knowledge(|known| known.members().iter().any(|m| !m.is_answering()));
        assert!(!is_suspected, "after {wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_may_come_until_the_deadline_of_all_hosts() {
    for wait in [14_500, 16_000, 28_000].map(Duration::from_millis) {
        let topology = Topology::fixed("a", ["b"]).expect("are hosts");
        let begun = Instant::now();
        let [share, end] = [15, 30].map(|seconds| begun + Duration::from_secs(seconds));
        let request = ConnectRequest::new("a", 5432, "jane").begin(share).ends_at(end);
        let wrapper = Wrapper::new(SlowHosts, routed_after((Phase::Credentials, wait), &topology, &request));

        let connected = wrapper.connect(request).await;

        let connected = connected.unwrap_or_else(|error| panic!("after {wait:?}: {error}"));
        assert_eq!(connected.established.instance(), Some("a"), "after {wait:?}");
        assert!(begun.elapsed() < wait + DIAL * 11 / 10, "{:?} after {wait:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn instance_that_credentials_leave_no_time_is_not_suspected() {
    let wait = Duration::from_millis(29_500);
    let topology = Topology::fixed("a", ["b"]).expect("are hosts");
    let request = ConnectRequest::new("a", 5432, "jane");
    let wrapper = Wrapper::new(SlowHosts, routed_after((Phase::Credentials, wait), &topology, &request));

    let error = wrapper.connect(request).await.map(drop).expect_err("has 400 ms");

    assert!(error.is_of_credentials(), "{error}");
    assert!(error.to_string().contains("credentials came after 29.5s, too late"), "{error}");
    let is_suspected = topology.with_knowledge(|known| known.members().iter().any(|m| !m.is_answering()));
    assert!(!is_suspected);
}

#[tokio::test(start_paused = true)]
async fn instance_that_is_down_is_suspected_although_credentials_took_a_moment() {
    let wait = Duration::from_millis(1);
    let topology = Topology::fixed("a", ["b"]).expect("are hosts");
    let end = Instant::now() + Duration::from_millis(1_500);
    let request = ConnectRequest::new("a", 5432, "jane").begin(end);
    let wrapper = Wrapper::new(Hosts, routed_after((Phase::Credentials, wait), &topology, &request));

    let error = wrapper.connect(request).await.map(drop).expect_err("lets no connect through");

    assert_eq!(error.to_string(), "connecting to `a` timed out");
    let is_suspected = topology.with_knowledge(|known| known.members().iter().any(|m| !m.is_answering()));
    assert!(is_suspected);
}

#[tokio::test(start_paused = true)]
async fn refusal_at_one_instance_ends_with_its_attempt() {
    let topology = Topology::fixed("a", ["b"]).expect("are hosts");
    let request = ConnectRequest::new("a", 5432, "jane");
    let reports = plugin_fn("reports", |request: ConnectRequest, next: Next<'_, ()>| {
        Box::pin(async move {
            let searched = next.run(request.clone()).await.map(drop);
            assert!(searched.expect_err("no host answers").to_string().contains("`a` refused"));
            Err(request.timed_out(ATTEMPT))
        })
    });
    let stalls = plugin_fn("stalls", |request: ConnectRequest, _: Next<'_, ()>| {
        Box::pin(async move {
            if request.host() == "a" {
                request.progress().refused(Error::new(ErrorKind::Login, "`a` refused the login"));
            }
            // The repetition of a refused login, or the first one.
            request.progress().enter(Phase::Login);
            pending().await
        })
    });
    let mut plugins: Vec<Arc<dyn Plugin<()>>> = vec![Arc::new(reports)];
    plugins.extend(routed(&topology, &request));
    plugins.push(Arc::new(stalls));
    let wrapper = Wrapper::new(Hosts, plugins);

    let error = wrapper.connect(request).await.map(drop).expect_err("stalls");

    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(!error.to_string().contains("refused"), "{error}");
}

fn named(id: &str) -> Target {
    Target::Instance { id: id.into(), host: id.into(), port: 5432 }
}

fn report(topology: &Topology, dialled: Target, id: &str, is_writer: bool) -> Verdict {
    let answer = Answer { id: id.into(), is_writer, is_read_only: !is_writer, rows: Vec::new() };
    let now = Instant::now();
    topology.answered(&Evidence { dialled, asked: now, answered: now, answer })
}

/// A writer `a` and readers, as connects behind a bastion know them.
struct Fixture {
    topology: Topology,
    router: Router,
}

impl Fixture {
    fn new() -> Self {
        let topology = Topology::fixed("a", ["b", "c"]).expect("are hosts");
        let options = RouteOptions::read(&Options::default()).expect("are the defaults");
        let router = Router::new(topology.clone(), options, Vec::new(), false, Arc::default());
        Self { topology, router }
    }

    fn search(&self) -> Search<'_> {
        Search::new(&self.router, ConnectRequest::new("a", 5432, "jane"), RequestedRole::Writer)
    }
}

#[tokio::test(start_paused = true)]
async fn dial_of_the_endpoint_that_leads_to_the_writer_outlasts_a_readers_report() {
    let fixture = Fixture::new();
    let topology = &fixture.topology;
    topology.failed(&named("a"), Instant::now());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(report(topology, Target::Endpoint, "a", true), Verdict::Writer);
    assert_eq!(topology.with_knowledge(|known| known.writer().map(|w| w.target())), Some(Target::Endpoint));
    let (search, version, began) = (fixture.search(), topology.version(), Instant::now());

    assert_eq!(report(topology, named("b"), "b", false), Verdict::Reader);

    assert!(!search.is_elsewhere(&Target::Endpoint, began, &version));
}

#[tokio::test(start_paused = true)]
async fn dial_ends_by_another_writer_and_not_by_the_report_of_another_reader() {
    let fixture = Fixture::new();
    let topology = &fixture.topology;
    assert_eq!(report(topology, named("a"), "a", true), Verdict::Writer);
    let (search, version, began) = (fixture.search(), topology.version(), Instant::now());
    let dials = [Target::Endpoint, named("a"), named("b")];
    let are_ended = || dials.each_ref().map(|dial| search.is_elsewhere(dial, began, &version));

    assert_eq!(report(topology, named("c"), "c", false), Verdict::Reader);
    assert_eq!(are_ended(), [false; 3], "the writer is the one known before");

    tokio::time::advance(Duration::from_millis(1)).await;
    topology.failed(&named("a"), Instant::now());
    assert_eq!(are_ended(), [false; 3], "the writer does not answer");

    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(report(topology, named("b"), "b", true), Verdict::Writer);
    assert_eq!(are_ended(), [true, true, false]);
}
