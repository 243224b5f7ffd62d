#![doc = include_str!("../README.md")]

mod alone;
mod cases;
mod certificates;
mod key;
mod login;
mod machine;
mod mysql;
mod options;
mod postgres;
mod rds;
mod report;
mod say;
mod scratch;
mod service;
mod site;
mod verifier;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::{machine::Machine, options::Options, report::Report, scratch::Scratch, site::Site};

/// What everything that can fail here gives.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&format!("integration: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [alone::WORD, port, authority] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return runtime.block_on(alone::run(port, authority));
    }
    let options = Options::read(words.into_iter())?;
    if options.is_rds() {
        return runtime.block_on(rds::run());
    }
    let machine = Machine::prepare(&options)?;
    // On this very thread, for what it starts is told to end when the thread does.
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        tokio::select! {
            outcome = suite(&options, &machine) => outcome,
            _ = interrupt.recv() => Err("interrupted".into()),
            _ = hang_up.recv() => Err("the terminal is gone".into()),
            _ = terminate.recv() => Err("terminated".into()),
        }
    })
}

async fn suite(options: &Options, machine: &Machine) -> Result<()> {
    let scratch = Scratch::create()?;
    let mut report = Report::new();
    if options.has("postgresql") {
        let server = postgres::Server::start(machine, &scratch).await?;
        cases::run(server.site(), &mut report).await?;
        cases::postgres::run(server.site(), machine, &mut report).await?;
        cases::peers::run(server.site(), machine, options.has("rds-signer"), &mut report).await?;
        cases::sources::run(server.site(), machine, &scratch, &mut report).await?;
    }
    if options.has("mariadb") {
        let server = mysql::Server::mariadb(machine, &scratch)?;
        on_mysql(server.site(), options, machine, &mut report).await?;
    }
    if options.has("mysql57") {
        let server = mysql::Server::mysql57(machine, &scratch)?;
        on_mysql(server.site(), options, machine, &mut report).await?;
    }
    report.finish()
}

async fn on_mysql(site: &Site, options: &Options, machine: &Machine, report: &mut Report) -> Result<()> {
    cases::run(site, report).await?;
    cases::mysql::run(site, report).await?;
    cases::peers::run(site, machine, options.has("rds-signer"), report).await
}
