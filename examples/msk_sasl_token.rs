//! Prints an OAuth bearer token for an MSK cluster (SASL/OAUTHBEARER).
//!
//! ```text
//! cargo run -q --example msk_sasl_token -- us-east-1
//! ```
//!
//! The keys are read from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, for temporary
//! credentials, `AWS_SESSION_TOKEN`. Standard output holds only the token.

use std::{process::ExitCode, time::SystemTime};

use aws_credential_types::Credentials;
use examples::{Result, print_token};
use iam_token::{AuthToken, msk};

const USAGE: &str = "usage: msk_sasl_token REGION";

fn main() -> ExitCode {
    print_token(sign)
}

fn sign(arguments: &[String], credentials: &Credentials, now: SystemTime) -> Result<AuthToken> {
    let [region] = arguments else { return Err(USAGE.into()) };
    Ok(msk(region).sign(credentials, now)?)
}
