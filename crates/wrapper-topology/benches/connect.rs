//! What it costs to be led to a writer that is known: a connect through `initialConnection` beside
//! one through no plugin.

#![expect(clippy::unwrap_used, reason = "a bench ends at its first failure")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use host_pattern::InstancePattern;
use wrapper_core::{
    ConnectRequest, Registry, Result, Role,
    adapter::{RawParameters, ReadyDriver, Rows, Wrapper, ready},
};
use wrapper_topology::{Dialect, InitialConnectionFactory, Topology};

const ENDPOINT: &str = "app.cluster-abc123.us-east-2.rds.amazonaws.com";

/// Answers as the cluster's writer.
fn answer(sql: &str) -> Result<Rows> {
    let row: &[&str] = match sql {
        "role" => &["f"],
        "identity" => &["a", "a"],
        "writer" => &["a"],
        _ => &["a", "t", "1", "0", ""],
    };
    let mut rows = Rows::new(row.iter().map(|_| "column"));
    rows.push(row.iter().map(|value| Some(*value)))?;
    Ok(rows)
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
        let wrapper = Wrapper::new(ReadyDriver::answering(answer), plugins);
        let connect = || ready(wrapper.connect(request.clone())).unwrap().established;
        connect();
        assert!(name == "no plugin" || connect().role() == Some(Role::Writer));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(connect())));
    }
    group.finish();
    assert_eq!(topology.snapshot().epoch(), 1);
}

criterion_group!(benches, connects);
criterion_main!(benches);
