//! Parsing a host name.

use std::hint::black_box;

use host_pattern::Endpoint;

use crate::{
    Result,
    report::{Report, Section, Table},
    timing::{Case, measure},
};

pub(crate) fn run(report: &mut Report) -> Result<()> {
    let case = |name, host: &'static str| Case::new(name, move || Endpoint::parse(black_box(host)));
    let figures = measure([
        case("cluster writer", "database-name.cluster-abc123def456.us-east-2.rds.amazonaws.com"),
        case("instance", "instance-1.abc123def456.us-east-2.rds.amazonaws.com"),
        case(
            "proxy endpoint in China",
            "name.endpoint.proxy-abc123def456.rds.cn-northwest-1.amazonaws.com.cn",
        ),
        case("custom name", "database.internal.example.org"),
        case("IPv4 address", "10.0.0.1"),
    ]);
    let mut section = Section::new("Parsing a host name");
    let mut table = Table::new(["name", "time"]);
    for figure in &figures {
        table.row([figure.name.to_owned(), format!("{:.0} ns", figure.nanos)]);
    }
    section.table(&table);
    let slowest = figures.iter().map(|figure| figure.nanos).fold(0.0, f64::max);
    section.target("microseconds of the slowest", slowest / 1_000.0, ..=0.7);
    report.add(section)
}
