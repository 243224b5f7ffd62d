//! Prints the bytes that a cached token of a provider takes besides its text.

use std::{alloc::System, error::Error};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use cap::Cap;
use iam_token_provider::{IamTokenProvider, TokenRequest};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const TOKENS: usize = 10_000;

#[expect(clippy::print_stdout, reason = "the figure is the output of this program")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "bench");
    let provider = IamTokenProvider::builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()?;
    let request = |at: usize| {
        let host = "database-1.cluster-abcdefghijkl.us-east-2.rds.amazonaws.com";
        TokenRequest::database(host, 5432, &format!("user_{at:05}"))
    };
    // What every provider holds once, with or without tokens.
    provider.token(&request(0)?).await?;
    let before = ALLOCATOR.allocated();
    let mut texts = 0;
    for at in 1..=TOKENS {
        texts += provider.token(&request(at)?).await?.expose().len();
    }
    println!("{:.0}", (ALLOCATOR.allocated() - before - texts) as f64 / TOKENS as f64);
    Ok(())
}
