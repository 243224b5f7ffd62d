//! Any statement gets an answer or an error from the testkit's servers, in text and prepared.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use mysql_async::prelude::Queryable;
use rds_testkit::{Cluster, Deployment};
use tokio::{runtime::Runtime, sync::Mutex, time::timeout};
use wrapper_core::Registry;
use wrapper_iam::IamFactory;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The servers and one connection to each, which is opened again after a statement that ended it.
struct Fixture {
    postgres: wrapper_pg::Connector,
    mysql: wrapper_mysql::Connector,
    connections: Mutex<(Option<tokio_postgres::Client>, Option<mysql_async::Conn>)>,
    _clusters: [Cluster; 2],
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("starts"));

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let cluster = async |deployment| {
            let builder = Cluster::builder().deployment(deployment).writer("a").readers(["b"]);
            builder.start().await.expect("starts")
        };
        let (postgres, mysql) =
            (cluster(Deployment::AuroraPostgres).await, cluster(Deployment::MultiAzMysql).await);
        let tokens = |cluster: &Cluster| cluster.token_provider().expect("builds");
        let resolver = |cluster: &Cluster| {
            let dns = cluster.dns();
            wrapper_adapter::resolver_fn(move |host| dns.resolve(host))
        };
        Fixture {
            postgres: wrapper_pg::Connector::builder(
                Registry::new().with(IamFactory::new(tokens(&postgres))),
            )
            .connection_string(postgres.url())
            .resolver(resolver(&postgres))
            .build()
            .expect("builds"),
            mysql: wrapper_mysql::Connector::builder(Registry::new().with(IamFactory::new(tokens(&mysql))))
                .connection_string(mysql.url())
                .resolver(resolver(&mysql))
                .build()
                .expect("builds"),
            connections: Mutex::default(),
            _clusters: [postgres, mysql],
        }
    })
});

fuzz_target!(|text: &str| {
    // Outside of the runtime, which it starts the servers in.
    LazyLock::force(&FIXTURE);
    RUNTIME.block_on(async { timeout(LIMIT, ask(text)).await.expect("is answered in time") });
});

async fn ask(text: &str) {
    let mut connections = FIXTURE.connections.lock().await;
    let (postgres, mysql) = &mut *connections;

    let client = match postgres.take().filter(|client| !client.is_closed()) {
        Some(client) => client,
        None => {
            let (client, connection) = FIXTURE.postgres.connect().await.expect("is let in");
            tokio::spawn(connection);
            client
        }
    };
    drop(client.simple_query(text).await);
    drop(client.query(text, &[]).await);
    *postgres = Some(client);

    let mut connection = match mysql.take() {
        Some(connection) => connection,
        None => FIXTURE.mysql.connect().await.expect("is let in"),
    };
    let outcomes = [connection.query_drop(text).await, connection.exec_drop(text, ()).await];
    let is_lost = |outcome: &Result<(), mysql_async::Error>| {
        outcome.as_ref().is_err_and(|error| !matches!(error, mysql_async::Error::Server(_)))
    };
    *mysql = (!outcomes.iter().any(is_lost)).then_some(connection);
}
