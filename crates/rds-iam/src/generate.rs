//! `rds-iam completions` and `rds-iam man`.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{cli::Cli, failure::Failure, terminal};

pub(crate) fn completions(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rds-iam", &mut script);
    print(script)
}

pub(crate) fn man() -> Result<ExitCode, Failure> {
    let mut pages = Vec::new();
    let mut command = Cli::command();
    command.build();
    let mut render = |command: clap::Command| {
        clap_mangen::Man::new(command)
            .render(&mut pages)
            .map_err(|error| Failure::new("the manual page cannot be written").because(error))
    };
    render(command.clone())?;
    for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
        render(subcommand.clone())?;
    }
    print(pages)
}

fn print(text: Vec<u8>) -> Result<ExitCode, Failure> {
    terminal::answer(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}
