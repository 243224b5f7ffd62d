//! The step for credentials, with sources that fail and hang.

use std::fs;

use tokio::process::Command;

use super::examine;
use crate::{
    doctor::RIGHT,
    support::{folder, program, server, url},
};

/// The program with a profile whose credentials come from a shell script.
fn with_script(name: &str, script: &str) -> Command {
    let folder = folder(&format!("doctor-{name}"));
    let (config, process) = (folder.join("config"), folder.join("process"));
    fs::write(&process, script).expect("is written");
    let profile = format!("[profile dev]\ncredential_process = sh {}\n", process.display());
    fs::write(&config, profile).expect("is written");
    let mut command = program();
    command.env("AWS_CONFIG_FILE", config).env("AWS_PROFILE", "dev");
    command
}

#[tokio::test]
async fn reason_of_a_failing_source_is_told() {
    let script = "printf 'vault is sealed \\033[2J' >&2; exit 3";

    let report = examine(with_script("failing", script), &url(&server().await, ""), RIGHT).await;

    report.first_cause_is(13, "credentials-failed");
    report.says("credentials", "failed", "profile `dev` (AWS_PROFILE) failed to give AWS credentials");
    // Escaped once for the terminal and once by JSON.
    report.says("credentials", "failed", r"vault is sealed \\u{1b}[2J");
}

#[tokio::test]
async fn key_with_a_line_break_is_no_good_key() {
    let mut command = program();
    command.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE\n").env("AWS_SECRET_ACCESS_KEY", "secret");

    let report = examine(command, &url(&server().await, ""), RIGHT).await;

    report.first_cause_is(13, "credentials-failed");
    report.says("credentials", "failed", "access key id holds a line break");
}

#[tokio::test]
async fn source_that_hangs_is_given_up_as_by_a_program() {
    let report = examine(with_script("hanging", "exec sleep 600"), &url(&server().await, ""), RIGHT).await;

    report.first_cause_is(13, "credentials-failed");
    report.says("credentials", "failed", "gave no credentials within 10s");
    report.says("login", "skipped", "");
}
