//! What a connect with a cached token costs beyond the bare driver's with the same token.

use std::time::Duration;

use mysql_async::Conn;
use rds_testkit::{MysqlServer, PostgresServer};
use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, timeout},
};
use wrapper_core::Registry;
use wrapper_iam::IamFactory;
use wrapper_pg::TlsStack;

use crate::{
    Result,
    report::{Report, Section, Table},
};

/// The TLS stack of mysql_async in this program.
pub(crate) const MYSQL_TLS: &str = if cfg!(feature = "mysql-rustls") { "rustls" } else { "native-tls" };
pub(crate) const STACKS: [(&str, TlsStack); 2] =
    [("native-tls", TlsStack::NativeTls), ("rustls", TlsStack::Rustls)];

/// The first argument of this program as a repetition of connects, for a profiler.
pub(crate) const ARGUMENT: &str = "repeat-connect";

/// How many rounds are timed: the bare driver, the bare driver within a time limit, and ours.
const ROUNDS: usize = 2_000;
/// The rounds before those that count.
const WARM_UP: usize = 54;
/// Every order of the three sides, so that each follows each.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2]];
/// As long as that of a connector, which every connect of ours has.
const LIMIT: Duration = Duration::from_secs(30);

/// Medians in microseconds.
pub(crate) struct Medians {
    pub(crate) bare: f64,
    /// The median of what the bare driver takes more within a time limit.
    pub(crate) limited: f64,
    /// The median of what ours takes more, in the same round.
    pub(crate) more: f64,
}

/// Measures PostgreSQL over both TLS stacks.
pub(crate) fn run_postgres(report: &mut Report) -> Result<()> {
    let (servers, clients) = runtimes()?;
    let mut section = Section::new("A PostgreSQL connect at rds-testkit");
    let mut rows = Vec::new();
    for (name, stack) in STACKS {
        let server = servers.block_on(PostgresServer::builder().start())?;
        let registry = Registry::new().with(IamFactory::new(server.token_provider()?));
        let builder = wrapper_pg::Connector::builder(registry).connection_string(server.url());
        rows.push((name, clients.block_on(postgres(&builder.tls_stack(stack).build()?, ROUNDS))?));
    }
    show(&mut section, rows, 10.0);
    report.add(section)
}

/// Measures MySQL over the TLS stack of this program.
pub(crate) fn run_mysql(report: &mut Report) -> Result<()> {
    let (servers, clients) = runtimes()?;
    let mut section = Section::new(format!("A MySQL connect at rds-testkit, {MYSQL_TLS}"));
    let server = servers.block_on(MysqlServer::builder().start())?;
    let registry = Registry::new().with(IamFactory::new(server.token_provider()?));
    let connector = wrapper_mysql::Connector::builder(registry).connection_string(server.url()).build()?;
    let medians = clients.block_on(mysql(&connector, ROUNDS))?;
    show(&mut section, [(MYSQL_TLS, medians)], 10.0);
    report.add(section)
}

/// Returns a runtime for each side, so that neither waits for the other's tasks.
fn runtimes() -> Result<(Runtime, Runtime)> {
    let servers = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    Ok((servers, Builder::new_current_thread().enable_all().build()?))
}

/// Adds a row and a target for each TLS stack.
pub(crate) fn show(
    section: &mut Section,
    rows: impl IntoIterator<Item = (&'static str, Medians)>,
    wanted: f64,
) {
    let mut table = Table::new(["TLS stack", "bare driver", "within a time limit, more", "ours, more"]);
    let mut targets = Vec::new();
    for (name, Medians { bare, limited, more }) in rows {
        let [bare, limited, more_text] =
            [format!("{bare:.0} us"), format!("{limited:.1} us"), format!("{more:.1} us")];
        table.row([name.to_owned(), bare, limited, more_text]);
        targets.push((name, more));
    }
    section.table(&table);
    for (name, more) in targets {
        section.target(&format!("microseconds more, {name}"), more, ..=wanted);
    }
}

/// Compares connects of PostgreSQL.
pub(crate) async fn postgres(connector: &wrapper_pg::Connector, count: usize) -> Result<Medians> {
    let (config, tls) = connector.driver_config().await?.into_parts();
    let bare = async || Result::Ok(drop(config.connect(tls.clone()).await?));
    let limited = async || Result::Ok(drop(timeout(LIMIT, config.connect(tls.clone())).await??));
    let ours = async || Result::Ok(drop(connector.connect().await?));
    rounds(bare, limited, ours, count).await
}

/// Compares connects of MySQL.
pub(crate) async fn mysql(connector: &wrapper_mysql::Connector, count: usize) -> Result<Medians> {
    let opts = connector.driver_config().await?.into_opts();
    let bare = async || Result::Ok(drop(Conn::new(opts.clone()).await?));
    let limited = async || Result::Ok(drop(timeout(LIMIT, Conn::new(opts.clone())).await??));
    let ours = async || Result::Ok(drop(connector.connect().await?));
    rounds(bare, limited, ours, count).await
}

async fn rounds(
    bare: impl AsyncFn() -> Result<()>,
    limited: impl AsyncFn() -> Result<()>,
    ours: impl AsyncFn() -> Result<()>,
    count: usize,
) -> Result<Medians> {
    let [mut alone, mut in_time, mut more] = [const { Vec::new() }; 3];
    for at in 0..WARM_UP + count {
        let mut took = [0.0; 3];
        for side in ORDERS[at % ORDERS.len()] {
            let begun = Instant::now();
            match side {
                0 => bare().await?,
                1 => limited().await?,
                _ => ours().await?,
            }
            took[side] = begun.elapsed().as_secs_f64() * 1e6;
        }
        if at >= WARM_UP {
            alone.push(took[0]);
            in_time.push(took[1] - took[0]);
            more.push(took[2] - took[0]);
        }
    }
    Ok(Medians { bare: median(alone), limited: median(in_time), more: median(more) })
}

/// Connects again and again by one side alone, `bare` or `ours`, at an embedded server: what a
/// profiler sees of the main thread is the client's.
pub(crate) fn repeat(engine: &str, side: &str, stack: &str, count: &str) -> Result<()> {
    let count: usize = count.parse()?;
    let (servers, clients) = runtimes()?;
    if engine == "mysql" {
        let server = servers.block_on(MysqlServer::builder().start())?;
        let registry = Registry::new().with(IamFactory::new(server.token_provider()?));
        let connector =
            wrapper_mysql::Connector::builder(registry).connection_string(server.url()).build()?;
        return clients.block_on(async {
            let opts = connector.driver_config().await?.into_opts();
            for _ in 0..count {
                match side {
                    "bare" => drop(Conn::new(opts.clone()).await?),
                    _ => drop(connector.connect().await?),
                }
            }
            Ok(())
        });
    }
    let stack = STACKS.into_iter().find(|(name, _)| *name == stack).ok_or("unknown stack")?.1;
    let server = servers.block_on(PostgresServer::builder().start())?;
    let registry = Registry::new().with(IamFactory::new(server.token_provider()?));
    let builder = wrapper_pg::Connector::builder(registry).connection_string(server.url());
    let connector = builder.tls_stack(stack).build()?;
    clients.block_on(async {
        let (config, tls) = connector.driver_config().await?.into_parts();
        for _ in 0..count {
            match side {
                "bare" => drop(config.connect(tls.clone()).await?),
                _ => drop(connector.connect().await?),
            }
        }
        Ok(())
    })
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
