//! Peers in other languages, timed by scripts of their own with the same input.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::tokens::{HOST, PORT, REGION, USER, session_token};

/// A peer's nanoseconds without and with a session token, or why there are none.
pub(crate) type Outcome = std::result::Result<[f64; 2], String>;

/// Times the signers that are installed.
pub(crate) fn run() -> [(&'static str, Outcome); 2] {
    [
        ("botocore (Python)", peer("python3", "botocore_token.py")),
        ("@aws-sdk/rds-signer (Node.js)", peer("node", "rds_signer.cjs")),
    ]
}

fn peer(program: &str, script: &str) -> Outcome {
    let mut command = Command::new(program);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script));
    command.args([HOST, &PORT.to_string(), USER, REGION, &session_token()]);
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("{program} cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(text.lines().next().unwrap_or("it failed").to_owned());
    }
    let nanos: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    <[f64; 2]>::try_from(nanos).map_err(|_| format!("{script} printed `{}`", text.trim()))
}
