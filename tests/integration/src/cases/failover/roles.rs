//! The roles of MySQL's instances, which change under open connections.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use rds_wrapper::{Role, host::resolver_fn};

use super::application::{login, write};
use crate::{
    Result,
    cluster::{Cluster, DOMAIN, ENDPOINT, IDS, Mysql57, resolve, rows},
    connector::Connector,
    environment::Observation,
    prerequisites::Prerequisites,
    report::Report,
    scratch::Scratch,
};

/// Ids that form no name of the domain.
const ALIEN: [&str; 6] = ["evil.example", "x.y", "a b", "a/../evil", "evil.example#", "evil.example:1"];

/// Runs the cases.
pub(super) async fn run(prerequisites: &Prerequisites, scratch: &Scratch, report: &mut Report) -> Result<()> {
    let cluster = Mysql57::start(prerequisites, scratch, "cluster-roles").await?;
    let names = Arc::new(Mutex::new(BTreeSet::new()));
    let asked = Arc::clone(&names);
    let resolver = move |host: &str| {
        asked.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
        resolve(host)
    };
    let mut table = Table { report };
    // Each row of an alien is one that claims to be the writer too.
    let aliens = ALIEN.map(|id| (id.to_owned(), "MASTER_SESSION_ID".to_owned()));
    cluster.report(&[rows("a"), aliens.to_vec()].concat()).await?;

    let mut connectors = Vec::new();
    for plugin in ["initialConnection", "failover2"] {
        let topology = Mysql57::topology();
        let connector = login(&cluster, plugin).with_topology(&topology, resolver_fn(resolver.clone()))?;
        table.found(&format!("{plugin}: the writer"), "a, Writer", &connector).await;
        table.found(&format!("{plugin}: a reader"), "Reader", &connector.reader()?).await;
        topology.suspect();
        table.found(&format!("{plugin}: the writer, suspected"), "a, Writer", &connector).await;
        connectors.push((plugin, connector));
    }
    cluster.report(&rows("a")).await?;
    let pool = connectors[1].1.pool(2)?;
    let mut client = pool.get().await?;
    client.ask(&write(Mysql57::ENGINE)).await.map_err(|failure| failure.what)?;

    // The sessions at the former writer stay open, as after a partition.
    cluster.take_writes("a", false).await?;
    cluster.promote("b").await?;

    let refused = client.ask(&write(Mysql57::ENGINE)).await;
    let what = refused.map_or_else(|failure| failure.what, |_| "written".to_owned());
    table.row("a write over a connection from before", "1290", what);
    drop(client);
    let written = match pool.get().await {
        Ok(mut client) => client.ask(&write(Mysql57::ENGINE)).await.map_err(|failure| failure.what),
        Err(error) => Err(error.to_string()),
    };
    let written = written.map_or_else(|error| error, |id| format!("written at {}", id.unwrap_or_default()));
    table.row("the next one of the pool", "written at b", written);
    for (plugin, connector) in &connectors {
        table.found(&format!("{plugin}: the next connection"), "b, Writer", connector).await;
    }
    let names = names.lock().unwrap_or_else(PoisonError::into_inner);
    let is_other =
        |name: &&String| name.strip_suffix(DOMAIN).is_none_or(|id| !IDS.contains(&id.trim_end_matches('.')));
    let others: Vec<_> = names.iter().filter(is_other).cloned().collect();
    table.row("names that were resolved, beside the instances'", ENDPOINT, others.join(", "));
    Ok(())
}

struct Table<'r> {
    report: &'r mut Report,
}

impl Table<'_> {
    /// Reports where a fresh connection leads: to which instance and role, or to a reader.
    async fn found(&mut self, case: &str, expected: &str, connector: &Connector) {
        let seen = match connector.established().await {
            Ok(established) => match (established.instance(), established.role()) {
                (Some(_), Some(Role::Reader)) => "Reader".to_owned(),
                (Some(id), Some(role)) => format!("{id}, {role:?}"),
                _ => "an unknown instance".to_owned(),
            },
            Err(error) => format!("{error:#}"),
        };
        self.row(case, expected, seen);
    }

    fn row(&mut self, case: &str, expected: &str, text: String) {
        let seen = Observation { text, details: Vec::new() };
        self.report.row(Mysql57::ENGINE.name(), &format!("roles: {case}"), expected, &seen);
    }
}
