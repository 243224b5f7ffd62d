//! The step for credentials, with sources that fail and hang.

use std::fs;

use tokio::process::Command;

use super::examine;
use crate::{
    doctor::RIGHT,
    support::{folder, program, server, url},
};

/// The program with a profile whose credentials come from a shell script.
pub(super) fn with_script(name: &str, script: &str) -> Command {
    let folder = folder(&format!("doctor-{name}"));
    let (config, process) = (folder.join("config"), folder.join("process"));
    let note = folder.join("runs");
    let _ = fs::remove_file(&note);
    fs::write(&process, format!("touch {}; {script}", note.display())).expect("is written");
    let profile = format!("[profile dev]\ncredential_process = sh {}\n", process.display());
    fs::write(&config, profile).expect("is written");
    let mut command = program();
    command.env("AWS_CONFIG_FILE", config).env("AWS_PROFILE", "dev");
    command
}

#[tokio::test]
async fn stderr_of_a_failing_credential_process_is_shown() {
    let script = "printf 'vault is sealed \\033[2J' >&2; exit 3";

    let report = examine(with_script("failing", script), &url(&server().await, ""), RIGHT).await;

    report.first_cause_is(13, "credentials-failed");
    report.says("credentials", "failed", "profile `dev` (AWS_PROFILE) failed to provide AWS credentials");
    // Escaped once for the terminal and once by JSON.
    report.says("credentials", "failed", r"vault is sealed \\u{1b}[2J");
}

#[tokio::test]
async fn key_with_a_line_break_is_rejected() {
    let mut command = program();
    command.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE\n").env("AWS_SECRET_ACCESS_KEY", "secret");

    let report = examine(command, &url(&server().await, ""), RIGHT).await;

    report.first_cause_is(13, "credentials-failed");
    report.says("credentials", "failed", "access key id holds a line break");
}

#[tokio::test]
async fn sso_without_a_session_names_the_login_command() {
    let folder = folder("doctor-sso");
    let config = folder.join("config");
    let profile = "[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = \
                   dev\nregion = us-east-2\n\
                   [sso-session corp]\nsso_region = us-east-2\nsso_start_url = \
                   https://corp.awsapps.com/start\n";
    fs::write(&config, profile).expect("is written");
    let mut command = program();
    command.env("AWS_CONFIG_FILE", config).env("AWS_PROFILE", "dev").env("HOME", &folder);

    let report = examine(command, &url(&server().await, ""), RIGHT).await;

    report.first_cause_is(13, "credentials-failed");
    report.says("credentials", "failed", "run `aws sso login --profile dev`");
}

#[tokio::test]
async fn profile_missing() {
    let report = examine(program(), &url(&server().await, "&awsProfile=nope"), RIGHT).await;

    report.first_cause_is(13, "credentials-missing");
    report.says("credentials", "failed", "profile `nope` not found");
}
