//! Prints an IAM token, the password of a user of an ElastiCache replication group.
//!
//! ```text
//! REDISCLI_AUTH="$(cargo run -q --example elasticache_password -- my-cache jane us-east-1)" valkey-cli --tls --user jane -h ENDPOINT
//! ```
//!
//! The keys are read from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, for temporary
//! credentials, `AWS_SESSION_TOKEN`. Standard output holds only the token.

use std::{process::ExitCode, time::SystemTime};

use aws_credential_types::Credentials;
use examples::{Result, print_token};
use iam_token::{AuthToken, elasticache};

const USAGE: &str = "usage: elasticache_password CACHE USER REGION";

fn main() -> ExitCode {
    print_token(sign)
}

fn sign(arguments: &[String], credentials: &Credentials, now: SystemTime) -> Result<AuthToken> {
    let [cache, user, region] = arguments else { return Err(USAGE.into()) };
    Ok(elasticache(cache, user).region(region).sign(credentials, now)?)
}
