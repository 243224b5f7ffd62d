//! Connects at databases of the reader's, named by the variables of the integration suite.

use std::{env, net::ToSocketAddrs};

use tokio::runtime::Builder;
use wrapper_core::Registry;
use wrapper_iam::IamFactory;

use crate::{
    Result,
    connects::{MYSQL_TLS, STACKS, mysql, postgres, show},
    output,
    report::{Report, Section},
};

/// How many pairs are timed: a database takes 200 logins by token a second.
const PAIRS: usize = 500;

pub(crate) fn run(report: &mut Report) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if let Some(parameters) = parameters("RDS_PG") {
        let mut section = Section::new(format!("A PostgreSQL connect at {}", server(&parameters)));
        let mut rows = Vec::new();
        for (name, stack) in STACKS {
            let builder = wrapper_pg::Connector::builder(Registry::new().with(IamFactory::default()));
            let builder = builder.map(parameters.clone()).tls_stack(stack);
            rows.push((name, runtime.block_on(postgres(&builder.build()?, PAIRS))?));
        }
        show(&mut section, rows, 30.0);
        report.add(section)?;
    }
    if let Some(parameters) = parameters("RDS_MYSQL") {
        let mut section = Section::new(format!("A MySQL connect at {}, {MYSQL_TLS}", server(&parameters)));
        let builder = wrapper_mysql::Connector::builder(Registry::new().with(IamFactory::default()));
        let medians = runtime.block_on(mysql(&builder.map(parameters.clone()).build()?, PAIRS))?;
        show(&mut section, [(MYSQL_TLS, medians)], 30.0);
        report.add(section)?;
    }
    Ok(())
}

/// Tells a database at AWS from a server of this machine that has such a name, by its address.
fn server(parameters: &[(&str, String)]) -> &'static str {
    let value = |wanted| parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
    let port = value("port").and_then(|port| port.parse().ok()).unwrap_or(0);
    let addresses = (value("host").unwrap_or_default(), port).to_socket_addrs();
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
