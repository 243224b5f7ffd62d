//! `rds-iam completions` and `rds-iam man`.

use std::{fs, path::Path, process::ExitCode};

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::{cli::Cli, failure::Failure, terminal};

/// Prints the completion script of a shell.
pub(crate) fn completions(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rds-iam", &mut script);
    let script = String::from_utf8_lossy(&script);
    // The script for bash looks for a subcommand under another name than it notes it by, if the
    // program's has a dash (clap#6421).
    let script = match shell {
        Shell::Bash => script.replace("rds__subcmd__iam", "rds__iam"),
        _ => script.into_owned(),
    };
    terminal::print(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints one page, or writes all of them.
pub(crate) fn man(name: Option<&str>, folder: Option<&Path>) -> Result<ExitCode, Failure> {
    let pages = pages();
    if let Some(folder) = folder {
        for page in &pages {
            let path = folder.join(format!("{}.1", page.get_display_name().unwrap_or(page.get_name())));
            fs::write(path, rendered(page)?).map_err(|error| {
                Failure::new("failed to write a manual page into the folder of --dir").because(error)
            })?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let page = pages.iter().find(|page| page.get_name() == name.unwrap_or("rds-iam"));
    let page = page.ok_or_else(|| {
        let names: Vec<_> = pages.iter().skip(1).map(Command::get_name).collect();
        Failure::usage(format!("unknown command: use one of {}", names.join(", ")))
    })?;
    terminal::print(&rendered(page)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the program and its commands, a page for each.
fn pages() -> Vec<Command> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let commands: Vec<_> = program.get_subcommands().cloned().collect();
    [program].into_iter().chain(commands).collect()
}

fn rendered(page: &Command) -> Result<String, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(page.clone())
        .render(&mut text)
        .map_err(|error| Failure::new("the manual page cannot be written").because(error))?;
    // groff reads bytes: other characters are named by their number.
    let escaped = |c: char| if c.is_ascii() { c.to_string() } else { format!("\\[u{:04X}]", u32::from(c)) };
    Ok(String::from_utf8_lossy(&text).chars().map(escaped).collect())
}
