//! What it costs to be led to a writer that is known: a connect through `initialConnection` beside
//! one through no plugin.

#![expect(clippy::unwrap_used, reason = "a bench ends at its first failure")]

use std::{
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use criterion::{Criterion, criterion_group, criterion_main};
use host_pattern::InstancePattern;
use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Registry, Result, Role,
    adapter::{Driver, RawParameters, Rows, Wrapper},
};
use wrapper_topology::{Dialect, InitialConnectionFactory, Topology};

const ENDPOINT: &str = "app.cluster-abc123.us-east-2.rds.amazonaws.com";

/// Connects at once to the writer, which says that it is not a standby.
struct Ready;

impl Driver for Ready {
    type Connection = ();

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self, _: ConnectRequest) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn query<'a>(&'a self, (): &'a mut (), sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        let row: &[&str] = match sql {
            "role" => &["f"],
            "identity" => &["a", "a"],
            "writer" => &["a"],
            _ => &["a", "t", "1", "0", ""],
        };
        let mut rows = Rows::new(row.iter().map(|_| "column"));
        rows.push(row.iter().map(|value| Some(*value))).unwrap();
        Box::pin(async { Ok(rows) })
    }

    fn parameter(&self, (): &(), name: &str) -> Option<String> {
        (name == "in_hot_standby").then(|| "off".to_owned())
    }
}

fn connects(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let dialect = Dialect::aurora_postgres().with_role("role").with_identity("identity");
    let dialect = dialect.with_writer("writer").with_topology("topology");
    let pattern = InstancePattern::parse("?.abc123.us-east-2.rds.amazonaws.com").unwrap();
    let topology = Topology::builder().dialect(dialect).instances(pattern, 5432).build();
    let request = ConnectRequest::new(ENDPOINT, 5432, "jane");
    let registry = Registry::<()>::new().with(InitialConnectionFactory::new(topology.clone()));
    let mut given = RawParameters::new();
    given.set("plugins", "initialConnection").unwrap();
    let (plugins, _) = registry.build(&given, std::slice::from_ref(&request)).unwrap();

    let mut group = criterion.benchmark_group("connect");
    for (name, plugins) in [("no plugin", Vec::new()), ("known writer", plugins)] {
        let wrapper = Wrapper::new(Ready, plugins);
        let connect = || {
            let mut connect = pin!(wrapper.connect(request.clone()));
            let Poll::Ready(outcome) = connect.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("nothing waits");
            };
            outcome.unwrap().established
        };
        connect();
        assert!(name == "no plugin" || connect().role() == Some(Role::Writer));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(connect())));
    }
    group.finish();
    assert_eq!(topology.snapshot().epoch(), 1);
}

criterion_group!(benches, connects);
criterion_main!(benches);
