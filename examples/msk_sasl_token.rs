//! Prints an OAuth bearer token for an MSK cluster (SASL/OAUTHBEARER).
//!
//! ```text
//! cargo run -q --example msk_sasl_token -- us-east-1
//! ```
//!
//! The keys come from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, for a session, `AWS_SESSION_TOKEN`. Nothing but
//! the token goes to standard output.

use std::{env, error::Error, process::ExitCode, time::SystemTime};

use aws_credential_types::Credentials;
use iam_token::{AuthToken, MskToken};

const USAGE: &str = "usage: msk_sasl_token REGION";
/// What the brokers log.
const USER_AGENT: &str = "msk-sasl-token-example";

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the token is for a pipe, an error for the reader"
)]
fn main() -> ExitCode {
    match run() {
        Ok(token) => {
            println!("{}", token.expose());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<AuthToken, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [region] = &arguments[..] else { return Err(USAGE.into()) };
    let recipe = MskToken::new().user_agent(USER_AGENT).region(region);
    #[expect(clippy::disallowed_methods, reason = "a program reads the clock; libraries take the time")]
    let now = SystemTime::now();
    Ok(recipe.sign(&credentials()?, now)?)
}

fn credentials() -> Result<Credentials, String> {
    let required =
        |name: &str| env::var(name).map_err(|_| format!("{name} is not set: export your AWS keys"));
    Ok(Credentials::new(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        env::var("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    ))
}
