//! What a connect with a cached token costs beyond the bare driver's with the same token.

use std::time::Duration;

use mysql_async::Conn;
use rds_testkit::{MysqlServer, PostgresServer};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};
use wrapper_core::Registry;
use wrapper_iam::IamFactory;
use wrapper_pg::TlsStack;

use crate::{
    Result, output,
    report::{Report, Section, Table},
};

/// The TLS stack of mysql_async in this program.
pub(crate) const MYSQL_TLS: &str = if cfg!(feature = "mysql-rustls") { "rustls" } else { "native-tls" };
pub(crate) const STACKS: [(&str, TlsStack); 2] =
    [("native-tls", TlsStack::NativeTls), ("rustls", TlsStack::Rustls)];

/// The first argument of this program as a repetition of connects, for a profiler.
pub(crate) const ARGUMENT: &str = "repeat-connect";

/// How many pairs are timed; each side goes first in every other pair.
const PAIRS: usize = 2_000;
/// The pairs before those that count.
const WARM_UP: usize = 50;

/// Medians in microseconds.
pub(crate) struct Medians {
    pub(crate) bare: f64,
    /// The median of the differences within each pair.
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
        rows.push((name, clients.block_on(postgres(&builder.tls_stack(stack).build()?, PAIRS))?));
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
    let medians = clients.block_on(mysql(&connector, PAIRS))?;
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
    let mut table = Table::new(["TLS stack", "bare driver", "ours, more"]);
    let mut targets = Vec::new();
    for (name, Medians { bare, more }) in rows {
        table.row([name.to_owned(), format!("{bare:.0} us"), format!("{more:.1} us")]);
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
    let ours = async || Result::Ok(drop(connector.connect().await?));
    pairs(bare, ours, count).await
}

/// Compares connects of MySQL.
pub(crate) async fn mysql(connector: &wrapper_mysql::Connector, count: usize) -> Result<Medians> {
    let opts = connector.driver_config().await?.into_opts();
    let bare = async || Result::Ok(drop(Conn::new(opts.clone()).await?));
    let ours = async || Result::Ok(drop(connector.connect().await?));
    pairs(bare, ours, count).await
}

/// Connects again and again at an embedded server, `bare` or `ours` alone or taking turns: what a
/// profiler sees of the main thread is the client's.
pub(crate) fn repeat(engine: &str, side: &str, stack: &str, count: &str) -> Result<()> {
    let count: usize = count.parse()?;
    let (servers, clients) = runtimes()?;
    let stack = STACKS.into_iter().find(|(name, _)| *name == stack).ok_or("unknown stack")?.1;
    let report = |Medians { bare, more }| output::line(format_args!("{bare:.1} us, {more:+.1} us"));
    match engine {
        "postgresql" => {
            let server = servers.block_on(PostgresServer::builder().start())?;
            let registry = Registry::new().with(IamFactory::new(server.token_provider()?));
            let builder = wrapper_pg::Connector::builder(registry).connection_string(server.url());
            let connector = builder.tls_stack(stack).build()?;
            clients.block_on(async {
                let (config, tls) = connector.driver_config().await?.into_parts();
                let bare = async || Result::Ok(drop(config.connect(tls.clone()).await?));
                let timed_bare = async || {
                    let connected =
                        tokio::time::timeout(Duration::from_secs(30), config.connect(tls.clone()));
                    Result::Ok(drop(connected.await??))
                };
                let ours = async || Result::Ok(drop(connector.connect().await?));
                match side {
                    "both" => report(pairs(bare, ours, count).await?),
                    "timeout" => report(pairs(bare, timed_bare, count).await?),
                    "same" => report(pairs(&bare, &bare, count).await?),
                    "bare" => alone(bare, count).await?,
                    _ => alone(ours, count).await?,
                }
                Ok(())
            })
        }
        _ => {
            let server = servers.block_on(MysqlServer::builder().start())?;
            let registry = Registry::new().with(IamFactory::new(server.token_provider()?));
            let builder = wrapper_mysql::Connector::builder(registry).connection_string(server.url());
            let connector = builder.build()?;
            clients.block_on(async {
                let opts = connector.driver_config().await?.into_opts();
                let bare = async || Result::Ok(drop(Conn::new(opts.clone()).await?));
                let timed_bare = async || {
                    let connected = tokio::time::timeout(Duration::from_secs(30), Conn::new(opts.clone()));
                    Result::Ok(drop(connected.await??))
                };
                let spawned = async || Result::Ok(drop(tokio::spawn(Conn::new(opts.clone())).await??));
                let ours = async || Result::Ok(drop(connector.connect().await?));
                match side {
                    "both" => report(pairs(bare, ours, count).await?),
                    "timeout" => report(pairs(bare, timed_bare, count).await?),
                    "spawned" => report(pairs(bare, spawned, count).await?),
                    "same" => report(pairs(&bare, &bare, count).await?),
                    "bare" => alone(bare, count).await?,
                    _ => alone(ours, count).await?,
                }
                Ok(())
            })
        }
    }
}

async fn alone(connect: impl AsyncFn() -> Result<()>, count: usize) -> Result<()> {
    for _ in 0..count {
        connect().await?;
    }
    Ok(())
}

async fn pairs(
    bare: impl AsyncFn() -> Result<()>,
    ours: impl AsyncFn() -> Result<()>,
    count: usize,
) -> Result<Medians> {
    let (mut alone, mut more) = (Vec::new(), Vec::new());
    for at in 0..WARM_UP + count {
        let is_first = at % 2 == 0;
        let early = if is_first { timed(&ours).await? } else { Duration::ZERO };
        let took = timed(&bare).await?;
        let ours = if is_first { early } else { timed(&ours).await? };
        if at >= WARM_UP {
            alone.push(took.as_secs_f64() * 1e6);
            more.push((ours.as_secs_f64() - took.as_secs_f64()) * 1e6);
        }
    }
    Ok(Medians { bare: median(alone), more: median(more) })
}

async fn timed(connect: impl AsyncFn() -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    connect().await?;
    Ok(begun.elapsed())
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
