//! What a connect with a cached token costs beyond the bare driver's, given the same token.

use std::time::Duration;

use mysql_async::Conn;
use rds_testkit::{MysqlServer, PostgresServer};
use rds_wrapper::{IamFactory, mysql as my, pg, plugins};
use tokio::{runtime::Builder, time::Instant};

use crate::output;

/// How many pairs are timed, the first of each pair by turns.
const PAIRS: usize = 2_000;
/// What is left out at first.
const WARM_UP: usize = 50;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Prints the median of the paired differences, for each engine and TLS stack.
pub(crate) fn run() -> Result<(), String> {
    measure().map_err(|error| error.to_string())
}

fn measure() -> Outcome {
    // A runtime for each side, so that neither waits for the other's tasks.
    let servers = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let clients = Builder::new_current_thread().enable_all().build()?;
    output::line("connect                  bare driver    ours, more");
    let stacks =
        [("PostgreSQL, native-tls", pg::TlsStack::NativeTls), ("PostgreSQL, rustls", pg::TlsStack::Rustls)];
    for (name, stack) in stacks {
        let server = servers.block_on(PostgresServer::builder().start())?;
        let registry = plugins().with(IamFactory::new(server.token_provider()?));
        let builder = pg::Connector::builder(registry).connection_string(server.url());
        report(name, clients.block_on(postgres(builder.tls_stack(stack).build()?))?);
    }
    let server = servers.block_on(MysqlServer::builder().start())?;
    let registry = plugins().with(IamFactory::new(server.token_provider()?));
    let connector = my::Connector::builder(registry).connection_string(server.url()).build()?;
    report("MySQL, native-tls", clients.block_on(mysql(connector))?);
    Ok(())
}

async fn postgres(connector: pg::Connector) -> Outcome<Figures> {
    let (config, tls) = connector.driver_config().await?.into_parts();
    let bare = async || {
        let (client, connection) = config.connect(tls.clone()).await?;
        drop((client, connection));
        Outcome::Ok(())
    };
    let ours = async || {
        let (client, connection) = connector.connect().await?;
        drop((client, connection));
        Outcome::Ok(())
    };
    pairs(bare, ours).await
}

async fn mysql(connector: my::Connector) -> Outcome<Figures> {
    let opts = connector.driver_config().await?.into_opts();
    let bare = async || {
        drop(Conn::new(opts.clone()).await?);
        Outcome::Ok(())
    };
    let ours = async || {
        drop(connector.connect().await?);
        Outcome::Ok(())
    };
    pairs(bare, ours).await
}

/// Medians in microseconds.
struct Figures {
    bare: f64,
    more: f64,
}

async fn pairs(bare: impl AsyncFn() -> Outcome, ours: impl AsyncFn() -> Outcome) -> Outcome<Figures> {
    let (mut alone, mut more) = (Vec::new(), Vec::new());
    for at in 0..WARM_UP + PAIRS {
        let is_first = at % 2 == 0;
        let early = if is_first { timed(&ours).await? } else { Duration::ZERO };
        let took = timed(&bare).await?;
        let ours = if is_first { early } else { timed(&ours).await? };
        if at >= WARM_UP {
            alone.push(took.as_secs_f64() * 1e6);
            more.push((ours.as_secs_f64() - took.as_secs_f64()) * 1e6);
        }
    }
    Ok(Figures { bare: median(alone), more: median(more) })
}

async fn timed(connect: impl AsyncFn() -> Outcome) -> Outcome<Duration> {
    let begun = Instant::now();
    connect().await?;
    Ok(begun.elapsed())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(name: &str, figures: Figures) {
    let Figures { bare, more } = figures;
    output::line(format_args!("{name:<24} {bare:>8.0} us   {more:>8.1} us"));
}
