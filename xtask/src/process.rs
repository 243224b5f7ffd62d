//! Runs other programs.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

use crate::{Result, output};

/// Returns the cargo that runs this task.
pub(crate) fn cargo(root: &Path) -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), root)
}

/// Returns a program to run at the root, with nothing on its standard input.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, root: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root).stdin(Stdio::null());
    command
}

/// Prints the command line, runs it and forwards its output.
///
/// # Errors
///
/// Names the command line if the program cannot be started or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    output::line(&format!("$ {shown}"));
    let status = command.status().map_err(|error| format!("`{shown}` cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed: {status}").into()) }
}

/// Replaces this process by a program, so only that gets signals of the terminal; returns only on
/// failure.
#[cfg(unix)]
pub(crate) fn replace_by(command: &mut Command) -> Box<dyn std::error::Error> {
    let error = std::os::unix::process::CommandExt::exec(command);
    format!("`{}` cannot be started: {error}", shown(command)).into()
}

/// Refuses a task that needs Unix.
#[cfg(not(unix))]
pub(crate) fn replace_by(command: &mut Command) -> Box<dyn std::error::Error> {
    format!("`{}` runs on Unix only", shown(command)).into()
}

/// Runs a command and returns what it prints.
///
/// # Errors
///
/// Names the command line and its standard error if it cannot be started or fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.output().map_err(|error| format!("`{shown}` cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{shown}` failed: {}\n{}", output.status, stderr.trim_end()).into())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
