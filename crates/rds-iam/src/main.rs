#![doc = include_str!("../README.md")]

mod cli;
mod connection;
mod connector;
mod credentials;
mod doctor;
#[cfg(unix)]
mod exec;
mod failure;
mod generate;
mod inspect;
#[cfg(unix)]
mod proxy;
mod secret;
mod server;
mod signing;
mod target;
mod terminal;
mod token;
mod usage;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    cli::{Cli, Command},
    failure::Failure,
};

fn main() -> ExitCode {
    // Usage errors end the program here, with exit code 2.
    let cli = Cli::try_parse().unwrap_or_else(|error| usage::refuse(&error));
    let outcome = run(cli.command);
    outcome.unwrap_or_else(|failure| {
        terminal::print_error(&failure);
        failure.exit_code()
    })
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    // No command runs two things at once that would need two threads.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("failed to start the async runtime").because(error))?;
    match command {
        Command::Completions { shell } => generate::completions(shell),
        Command::Doctor(arguments) => runtime.block_on(doctor::run(&arguments)),
        #[cfg(unix)]
        Command::Exec(arguments) => exec::run(&arguments, &runtime),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Man { command, dir } => generate::man(command.as_deref(), dir.as_deref()),
        #[cfg(unix)]
        Command::Proxy(arguments) => proxy::run(&arguments),
        Command::Token(arguments) => runtime.block_on(token::run(&arguments)),
    }
}
