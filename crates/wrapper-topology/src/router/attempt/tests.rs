//! Connects under way, and what others learn meanwhile.

use std::future::pending;

use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Registry,
    adapter::{Driver, RawParameters, Rows, Wrapper},
};

use super::*;
use crate::{InitialConnectionFactory, Topology, answer::Answer};

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

#[tokio::test(start_paused = true)]
async fn instance_that_reports_that_it_is_a_reader_is_given_up_before_a_writer_is_known() {
    let topology = Topology::fixed("a", ["b"]).expect("are hosts");
    let request = ConnectRequest::new("a", 5432, "jane");
    let registry = Registry::<()>::new().with(InitialConnectionFactory::new(topology.clone()));
    let mut given = RawParameters::new();
    given.set("plugins", "initialConnection").expect("is known");
    let (plugins, _) = registry.build(&given, std::slice::from_ref(&request)).expect("builds");
    let wrapper = Wrapper::new(Hosts, plugins);
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
