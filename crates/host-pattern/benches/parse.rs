//! What parsing one host name costs.

use std::hint::black_box;

use criterion::Criterion;
use host_pattern::{Endpoint, Error, InstancePattern};

const HOSTS: [(&str, &str); 8] = [
    ("instance", "instance-1.abc123def456.us-east-2.rds.amazonaws.com"),
    ("writer", "database-name.cluster-abc123def456.us-east-2.rds.amazonaws.com"),
    ("writer in upper case", "DATABASE-NAME.CLUSTER-ABC123DEF456.US-EAST-2.RDS.AMAZONAWS.COM"),
    ("proxy endpoint in China", "name.endpoint.proxy-abc123def456.rds.cn-northwest-1.amazonaws.com.cn"),
    ("global writer", "database-name.global-abc123def456.global.rds.amazonaws.com"),
    ("DSQL", "abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws"),
    ("custom name", "database.internal.example.org"),
    ("IPv4", "10.0.0.1"),
];

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, host) in HOSTS {
        group.bench_function(name, |bencher| bencher.iter(|| Endpoint::parse(black_box(host))));
    }
    group.finish();
}

fn pattern(criterion: &mut Criterion) -> Result<(), Error> {
    let text = "?.abc123def456.us-east-2.rds.amazonaws.com";
    let pattern = InstancePattern::parse(text)?;
    let mut group = criterion.benchmark_group("pattern");
    group.bench_function("parse", |bencher| bencher.iter(|| InstancePattern::parse(black_box(text))));
    group.bench_function("host", |bencher| bencher.iter(|| pattern.host(black_box("instance-1"))));
    group.bench_function("instance id", |bencher| {
        let host = "instance-1.abc123def456.us-east-2.rds.amazonaws.com";
        bencher.iter(|| pattern.instance_id(black_box(host)).map(str::len))
    });
    group.finish();
    Ok(())
}

fn main() -> Result<(), Error> {
    let mut criterion = Criterion::default().configure_from_args();
    parse(&mut criterion);
    pattern(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
