//! Prints a bearer token for the API server of an EKS cluster.
//!
//! ```text
//! curl --cacert ca.pem --oauth2-bearer "$(cargo run -q --example eks_bearer_token -- my-cluster us-west-2)" https://API-SERVER/version
//! ```
//!
//! The keys come from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, for a session, `AWS_SESSION_TOKEN`. Nothing but
//! the token goes to standard output.

use std::{env, error::Error, process::ExitCode, time::SystemTime};

use aws_credential_types::Credentials;
use iam_token::{AuthToken, EksToken};

const USAGE: &str = "usage: eks_bearer_token CLUSTER REGION";

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
    let [cluster, region] = &arguments[..] else { return Err(USAGE.into()) };
    let recipe = EksToken::new(cluster)?.region(region);
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
