#![doc = include_str!("../README.md")]

mod cases;
mod certificates;
mod cluster;
mod connector;
mod environment;
mod key;
mod login;
mod mysql;
mod options;
mod output;
mod pool;
mod postgres;
mod prerequisites;
mod programs;
mod rds;
mod report;
mod scratch;
mod service;
mod sources;
mod subprocess;
mod verifier;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    environment::Environment, options::Options, prerequisites::Prerequisites, programs::Programs,
    report::Report, scratch::Scratch, sources::Sources,
};

/// The result of every fallible function here.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&format!("integration: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    // The suite starts itself again for logins whose environment is the case.
    if let [subprocess::WORD, port, authority] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return runtime.block_on(subprocess::run(port, authority));
    }
    let options = Options::read(words.into_iter())?;
    let prerequisites = Prerequisites::prepare(&options)?;
    if options.is_rds() {
        return runtime.block_on(rds::run());
    }
    // On the main thread: child processes get a signal when the thread that started them ends.
    runtime.block_on(async {
        // A signal ends the future instead of the process, so that drops stop the servers.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        tokio::select! {
            outcome = suite(&options, &prerequisites) => outcome,
            _ = interrupt.recv() => Err("interrupted".into()),
            _ = hang_up.recv() => Err("the terminal is gone".into()),
            _ = terminate.recv() => Err("terminated".into()),
        }
    })
}

async fn suite(options: &Options, prerequisites: &Prerequisites) -> Result<()> {
    let scratch = Scratch::create()?;
    if std::env::var_os(cases::failover::APART).is_some() {
        return cases::failover::partition(prerequisites, &scratch, Report::new()).await;
    }
    let programs = Programs::new(prerequisites, &scratch)?;
    let sources = Sources::start(prerequisites, &scratch, "sources")?;
    let mut run = Run { options, prerequisites, programs, sources, report: Report::new() };
    if options.has("postgresql") {
        let server = postgres::Server::start(prerequisites, &scratch).await?;
        run.at(server.environment()).await?;
        cases::postgres::run(server.environment(), &mut run.report).await?;
        cases::postgres::copy_behind_a_lock(&server, &mut run.report).await?;
        cases::sources::run(server.environment(), &run.sources, &mut run.report).await?;
        cases::rotation::run(server.environment(), &run.sources, &mut run.report).await?;
        let starting = postgres::Starting::start(prerequisites, &scratch, &server)?;
        cases::doctor::postgres(&server, &starting, &run.sources, &run.programs, &mut run.report).await?;
    }
    if options.has("cluster") {
        cases::failover::run(prerequisites, &scratch, &mut run.report).await?;
    }
    if options.has("mariadb") {
        let server = mysql::Server::mariadb(prerequisites, &scratch)?;
        cases::aborted::run(server.environment(), &run.programs, &mut run.report).await?;
        run.at(server.environment()).await?;
        cases::mysql::run(server.environment(), &mut run.report).await?;
        cases::doctor::mysql(&server, &run.sources, &run.programs, &mut run.report).await?;
        let environment = server.environment();
        cases::host_counter::run(environment, prerequisites, &scratch, &run.programs, &mut run.report)
            .await?;
    }
    if options.has("mysql57") {
        cases::failover::mysql57(prerequisites, &scratch, &mut run.report).await?;
        let server = mysql::Server::mysql57(prerequisites, &scratch)?;
        cases::aborted::run(server.environment(), &run.programs, &mut run.report).await?;
        run.at(server.environment()).await?;
        cases::mysql::run(server.environment(), &mut run.report).await?;
        cases::doctor::mysql(&server, &run.sources, &run.programs, &mut run.report).await?;
    }
    run.report.finish()
}

/// The state shared by all servers' cases.
struct Run<'a> {
    options: &'a Options,
    prerequisites: &'a Prerequisites,
    programs: Programs,
    sources: Sources,
    report: Report,
}

impl Run<'_> {
    /// Runs the cases that every engine has to pass.
    async fn at(&mut self, environment: &Environment) -> Result<()> {
        cases::run(environment, &mut self.report).await?;
        cases::peers::run(environment, self.prerequisites, self.options.has("rds-signer"), &mut self.report)
            .await?;
        cases::clients::run(environment, &self.programs, &mut self.report).await?;
        cases::exec::run(environment, &self.programs, &mut self.report).await?;
        cases::secrets::run(environment, &mut self.report).await?;
        cases::forward::run(environment, &self.programs, &mut self.report).await?;
        cases::proxied::run(environment, self.prerequisites, &self.programs, &mut self.report).await?;
        cases::doctor::run(environment, &self.sources, &self.programs, &mut self.report).await?;
        let is_bench = self.options.has("bench");
        cases::variables::run(environment, self.prerequisites, &self.programs, is_bench, &mut self.report)
            .await?;
        cases::record_all(environment)
    }
}
