#![doc = include_str!("../README.md")]

mod alone;
mod cases;
mod certificates;
mod connector;
mod key;
mod login;
mod machine;
mod mysql;
mod options;
mod postgres;
mod programs;
mod rds;
mod report;
mod say;
mod scratch;
mod service;
mod site;
mod sources;
mod verifier;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    machine::Machine, options::Options, programs::Programs, report::Report, scratch::Scratch, site::Site,
    sources::Sources,
};

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
    let machine = Machine::prepare(&options)?;
    if options.is_rds() {
        return runtime.block_on(rds::run());
    }
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
    let programs = Programs::new(machine, &scratch)?;
    let sources = Sources::start(machine, &scratch, "sources")?;
    let mut run = Run { options, machine, programs, sources, report: Report::new() };
    if options.has("postgresql") {
        let server = postgres::Server::start(machine, &scratch).await?;
        run.at(server.site()).await?;
        cases::postgres::run(server.site(), &mut run.report).await?;
        cases::postgres::copy_behind_a_lock(&server, &mut run.report).await?;
        cases::sources::run(server.site(), &run.sources, &mut run.report).await?;
        cases::rotation::run(server.site(), &run.sources, &mut run.report).await?;
        cases::doctor::postgres(&server, &run.sources, &run.programs, &mut run.report).await?;
    }
    if options.has("mariadb") {
        let server = mysql::Server::mariadb(machine, &scratch)?;
        run.at(server.site()).await?;
        cases::mysql::run(server.site(), &mut run.report).await?;
    }
    if options.has("mysql57") {
        let server = mysql::Server::mysql57(machine, &scratch)?;
        run.at(server.site()).await?;
        cases::mysql::run(server.site(), &mut run.report).await?;
    }
    run.report.finish()
}

/// What every server is run with.
struct Run<'a> {
    options: &'a Options,
    machine: &'a Machine,
    programs: Programs,
    sources: Sources,
    report: Report,
}

impl Run<'_> {
    /// The cases that every engine has to pass.
    async fn at(&mut self, site: &Site) -> Result<()> {
        cases::run(site, &mut self.report).await?;
        cases::peers::run(site, self.machine, self.options.has("rds-signer"), &mut self.report).await?;
        cases::clients::run(site, &self.programs, &mut self.report).await?;
        cases::doctor::run(site, &self.sources, &self.programs, &mut self.report).await?;
        cases::variables::run(site, self.machine, &self.programs, &mut self.report).await?;
        cases::know_all(site)
    }
}
