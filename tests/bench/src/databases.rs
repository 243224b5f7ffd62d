//! Connects at databases of the reader's, named by the variables of the integration suite.

use std::{env, net::ToSocketAddrs};

use tokio::runtime::{Builder, Runtime};
use wrapper_core::Registry;
use wrapper_iam::IamFactory;

use crate::{
    Result,
    connects::{MYSQL_TLS, STACKS, mysql, postgres, show},
    output,
    proxy::{Place, mysql_at, postgres_at},
    report::{Report, Section},
};

/// How many rounds are timed: a database takes 200 logins by token a second.
const ROUNDS: usize = 500;

pub(crate) fn run(report: &mut Report) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if let Some(parameters) = parameters("RDS_PG") {
        let mut section = Section::new(format!("A PostgreSQL connect at {}", server(&parameters)));
        let mut rows = Vec::new();
        for (name, stack) in STACKS {
            let builder = wrapper_pg::Connector::builder(Registry::new().with(IamFactory::default()));
            let builder = builder.map(parameters.clone()).tls_stack(stack);
            rows.push((name, runtime.block_on(postgres(&builder.build()?, ROUNDS))?));
        }
        show(&mut section, rows, 30.0);
        report.add(section)?;
        let fat = "SELECT repeat('x', 1024) FROM generate_series(1, 32768)";
        let place = place(&parameters, fat);
        report.add(Runtime::new()?.block_on(postgres_at(&url("postgres", &parameters), &place))?)?;
    }
    if let Some(parameters) = parameters("RDS_MYSQL") {
        let mut section = Section::new(format!("A MySQL connect at {}, {MYSQL_TLS}", server(&parameters)));
        let builder = wrapper_mysql::Connector::builder(Registry::new().with(IamFactory::default()));
        let medians = runtime.block_on(mysql(&builder.map(parameters.clone()).build()?, ROUNDS))?;
        show(&mut section, [(MYSQL_TLS, medians)], 30.0);
        report.add(section)?;
        // 8 to the power of 5 rows, in words that every version reads.
        let eight = format!("(SELECT 1{})", " UNION ALL SELECT 1".repeat(7));
        let five: Vec<_> = (0..5).map(|number| format!("{eight} t{number}")).collect();
        let fat = format!("SELECT repeat('x', 1024) FROM {}", five.join(", "));
        let place = place(&parameters, &fat);
        report.add(Runtime::new()?.block_on(mysql_at(&url("mysql", &parameters), &place))?)?;
    }
    Ok(())
}

/// Returns the place that these parameters lead to.
fn place<'a>(parameters: &'a [(&str, String)], fat: &'a str) -> Place<'a> {
    let [user, database] = ["user", "database"].map(|name| value(parameters, name).unwrap_or_default());
    Place { server: server(parameters), user, database, fat, idle: 0 }
}

/// Returns the parameters as a URL, which the proxy takes.
fn url(scheme: &str, parameters: &[(&str, String)]) -> String {
    let own = |name| value(parameters, name).unwrap_or_default();
    let port = value(parameters, "port").map(|port| format!(":{port}")).unwrap_or_default();
    let mut url = format!("{scheme}://{}@{}{port}/{}", encoded(own("user")), own("host"), own("database"));
    let others = parameters.iter().filter(|(name, _)| !["database", "host", "port", "user"].contains(name));
    for (at, (name, value)) in others.enumerate() {
        url.extend([if at == 0 { "?" } else { "&" }, name, "=", &encoded(value)]);
    }
    url
}

fn encoded(value: &str) -> String {
    let byte = |byte: u8| match byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    value.bytes().map(byte).collect()
}

fn value<'a>(parameters: &'a [(&str, String)], wanted: &str) -> Option<&'a str> {
    parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str())
}

/// Tells a database at AWS from a server of this machine that has such a name, by its address.
fn server(parameters: &[(&str, String)]) -> &'static str {
    let port = value(parameters, "port").and_then(|port| port.parse().ok()).unwrap_or(0);
    let addresses = (value(parameters, "host").unwrap_or_default(), port).to_socket_addrs();
    match addresses.is_ok_and(|mut addresses| addresses.all(|address| address.ip().is_loopback())) {
        true => "a real server on loopback",
        false => "a database of the network",
    }
}

/// Returns the parameters of an engine's database; without a host, says that it is skipped.
fn parameters(prefix: &str) -> Option<Vec<(&'static str, String)>> {
    let own = |name: &str| env::var(format!("{prefix}_{name}")).ok();
    let Some(host) = own("HOST") else {
        output::line(format_args!("\nskipped: connects at a real server: {prefix}_HOST is not set"));
        return None;
    };
    let shared = |name: &str| env::var(name).ok();
    let optional = [
        ("user", own("USER").or_else(|| shared("RDS_DB_USER"))),
        ("port", own("PORT")),
        ("database", own("DATABASE")),
        ("sslrootcert", own("SSLROOTCERT").or_else(|| shared("RDS_SSLROOTCERT"))),
        ("iamHost", own("IAM_HOST")),
        ("iamDefaultPort", own("IAM_PORT")),
        ("iamRegion", own("IAM_REGION").or_else(|| shared("RDS_IAM_REGION"))),
    ];
    let given = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Some([("host", host), ("plugins", "iam".to_owned())].into_iter().chain(given).collect())
}
