//! Prints an IAM token, the password of an RDS or Aurora database user.
//!
//! ```text
//! PGPASSWORD="$(cargo run -q --example print_rds_token -- HOST 5432 jane us-east-2)" psql "host=HOST user=jane sslmode=verify-full"
//! ```
//!
//! The keys are read from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, for temporary
//! credentials, `AWS_SESSION_TOKEN`. Standard output holds only the token.

use std::{process::ExitCode, time::SystemTime};

use aws_credential_types::Credentials;
use examples::{Result, print_token};
use iam_token::{AuthToken, rds};

const USAGE: &str = "usage: print_rds_token HOST PORT USER REGION";

fn main() -> ExitCode {
    print_token(sign)
}

fn sign(arguments: &[String], credentials: &Credentials, now: SystemTime) -> Result<AuthToken> {
    let [host, port, user, region] = arguments else { return Err(USAGE.into()) };
    let port = port.parse().map_err(|_| USAGE)?;
    Ok(rds(host, port, user).region(region).sign(credentials, now)?)
}
