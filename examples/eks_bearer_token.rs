//! Prints a bearer token for the API server of an EKS cluster.
//!
//! ```text
//! curl --cacert ca.pem --oauth2-bearer "$(cargo run -q --example eks_bearer_token -- my-cluster us-west-2)" https://API-SERVER/version
//! ```
//!
//! The keys are read from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, for temporary
//! credentials, `AWS_SESSION_TOKEN`. Standard output holds only the token.

use std::{process::ExitCode, time::SystemTime};

use aws_credential_types::Credentials;
use examples::{Result, print_token};
use iam_token::{AuthToken, eks};

const USAGE: &str = "usage: eks_bearer_token CLUSTER REGION";

fn main() -> ExitCode {
    print_token(sign)
}

fn sign(arguments: &[String], credentials: &Credentials, now: SystemTime) -> Result<AuthToken> {
    let [cluster, region] = arguments else { return Err(USAGE.into()) };
    Ok(eks(cluster, region).sign(credentials, now)?)
}
