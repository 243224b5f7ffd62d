//! Any connection string and parameter makes a pool of sqlx or an error that shows no password.
//!
//! An input is the text before a password, the text after it, and a value, separated by line
//! breaks. The pools open no connection before they are used: nothing is dialled.

#![no_main]

use std::sync::LazyLock;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use iam_token_provider::IamTokenProvider;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use wrapper_sqlx::{Engine, Error, FreshPool};

/// A text that no input has by chance, with what drivers and URLs read as their own.
const PASSWORD: &str = "Geheim'9:&zq";

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("starts"));

static TOKENS: LazyLock<IamTokenProvider> = LazyLock::new(|| {
    let credentials = Credentials::new("AKIAEXAMPLE", "secret", None, None, "fuzz");
    IamTokenProvider::builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
        .expect("builds")
});

fuzz_target!(|text: &str| {
    // Their monitors would dial and resolve names.
    let lower = text.to_lowercase();
    if ["failover", "initial", "aurora", "stale", "tracker"].iter().any(|plugin| lower.contains(plugin)) {
        return;
    }
    let mut pieces = text.splitn(3, '\n');
    let mut piece = || pieces.next().unwrap_or_default();
    let [before, after, value] = [piece(), piece(), piece()];

    for url in [
        text.to_owned(),
        format!("postgres://{before}:{PASSWORD}@{after}"),
        format!("mysql://{before}:{PASSWORD}@{after}"),
        format!("{before}?password={PASSWORD}&{after}"),
    ] {
        build::<wrapper_sqlx::sqlx::Postgres>(&url, (after, value));
        build::<wrapper_sqlx::sqlx::MySql>(&url, (after, value));
    }
});

fn build<D: Engine>(url: &str, (name, value): (&str, &str)) {
    let builder = FreshPool::<D>::builder().connection_string(url).tokens(TOKENS.clone());
    judge(RUNTIME.block_on(builder.build()).err());
    let builder = FreshPool::<D>::builder().connection_string(url).tokens(TOKENS.clone());
    judge(RUNTIME.block_on(builder.parameter(name, value).build()).err());
}

fn judge(error: Option<Error>) {
    let Some(error) = error else { return };
    for shown in [format!("{error}"), format!("{error:#}"), format!("{error:?}")] {
        assert!(!shown.is_empty() && !shown.contains("Geheim"), "{shown}");
    }
    assert!(!error.to_string().contains(char::is_control), "{error:?}");
}
