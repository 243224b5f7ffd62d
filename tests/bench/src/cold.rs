//! A process that starts, connects, reads a row and ends: ours signs a token, the bare driver has a
//! password.

use std::{env, fs, path::Path, process::Command, sync::Arc};

use postgres_native_tls::MakeTlsConnector;
use rds_testkit::PostgresServer;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use wrapper_core::Registry;
use wrapper_iam::IamFactory;

use crate::{
    Result,
    connects::{STACKS, median},
    report::{Report, Section, Table},
    timing::stopwatch,
};

/// The first argument of this program as such a process.
pub(crate) const ARGUMENT: &str = "first-row";

/// The variables of the process that connects with the bare driver.
const CONFIG: &str = "BENCH_CONFIG";
const ROOTS: &str = "BENCH_ROOTS";

const PAIRS: usize = 200;

pub(crate) fn run(report: &mut Report) -> Result<()> {
    let runtime = Runtime::new()?;
    let server =
        runtime.block_on(PostgresServer::builder().user("jane").password_user("bob", "b").start())?;
    let (host, port) = (server.host(), server.port());
    let bare =
        format!("host={host} hostaddr=127.0.0.1 port={port} user=bob password=b dbname=app sslmode=require");

    let mut section = Section::new("A cold process to its first row");
    let mut table = Table::new(["TLS stack", "bare driver", "ours", "ratio"]);
    let mut targets = Vec::new();
    for (stack, _) in STACKS {
        let (mut alone, mut ours, mut more) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            let took = first_row_of("bare", stack, &|command| {
                command.env(CONFIG, &bare).env(ROOTS, server.ca_file());
            })?;
            alone.push(took);
            ours.push(first_row_of("ours", stack, &|command| {
                command.envs(server.env()).env("DATABASE_URL", server.url());
            })?);
            more.push(ours.last().map_or(0.0, |ours| ours - took));
        }
        let (alone, ours, more) = (median(alone), median(ours), median(more));
        let ratio = ours / alone;
        table.row([
            stack.to_owned(),
            format!("{alone:.1} ms"),
            format!("{ours:.1} ms"),
            format!("{ratio:.2}"),
        ]);
        targets.push((stack, ratio, more));
    }
    section.table(&table);
    for (stack, ratio, more) in targets {
        section.target(&format!("times the bare driver, {stack} ({more:.1} ms more)"), ratio, ..=1.05);
    }
    report.add(section)
}

/// Times a process in milliseconds.
fn first_row_of(side: &str, stack: &str, set_up: &dyn Fn(&mut Command)) -> Result<f64> {
    let mut command = Command::new(env::current_exe()?);
    command.args([ARGUMENT, side, stack]);
    set_up(&mut command);
    let mut status = None;
    let took = stopwatch(|| status = Some(command.status()));
    match status {
        Some(Ok(status)) if status.success() => Ok(took.as_secs_f64() * 1e3),
        _ => Err(format!("the process with {side} connections failed").into()),
    }
}

/// Is such a process.
pub(crate) fn first_row(side: &str, stack: &str) -> Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let client = match side {
            "bare" => bare(stack).await?,
            _ => ours(stack).await?,
        };
        let rows = client.query("SELECT 1", &[]).await?;
        if rows.len() == 1 { Ok(()) } else { Err("not one row".into()) }
    })
}

async fn ours(stack: &str) -> Result<Client> {
    let registry = Registry::new().with(IamFactory::default());
    let stack = STACKS.into_iter().find(|(name, _)| *name == stack).ok_or("unknown stack")?.1;
    let builder = wrapper_pg::Connector::builder(registry).connection_string(env::var("DATABASE_URL")?);
    let (client, connection) = builder.tls_stack(stack).build()?.connect().await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn bare(stack: &str) -> Result<Client> {
    let config: Config = env::var(CONFIG)?.parse()?;
    let roots = fs::read(Path::new(&env::var(ROOTS)?))?;
    if stack == "native-tls" {
        let mut tls = native_tls::TlsConnector::builder();
        tls.disable_built_in_roots(true).add_root_certificate(native_tls::Certificate::from_pem(&roots)?);
        let (client, connection) = config.connect(MakeTlsConnector::new(tls.build()?)).await?;
        tokio::spawn(connection);
        return Ok(client);
    }
    let mut store = RootCertStore::empty();
    store.add(CertificateDer::from_pem_slice(&roots)?)?;
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth();
    let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await?;
    tokio::spawn(connection);
    Ok(client)
}
