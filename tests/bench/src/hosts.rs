//! Telling what a host name stands for.

use std::hint::black_box;

use host_pattern::Endpoint;

use crate::timing::{Case, Figure, measure};

/// One row a name.
pub(crate) fn run() -> [Figure; 5] {
    let case = |name, host: &'static str| Case::new(name, move || Endpoint::parse(black_box(host)));
    measure([
        case("cluster writer", "database-name.cluster-abc123def456.us-east-2.rds.amazonaws.com"),
        case("instance", "instance-1.abc123def456.us-east-2.rds.amazonaws.com"),
        case(
            "proxy endpoint in China",
            "name.endpoint.proxy-abc123def456.rds.cn-northwest-1.amazonaws.com.cn",
        ),
        case("custom name", "database.internal.example.org"),
        case("IPv4 address", "10.0.0.1"),
    ])
}
