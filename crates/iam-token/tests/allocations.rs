//! How often a token allocates. The counting allocator comes with its crate and serves this binary
//! alone.

#![expect(clippy::unwrap_used, reason = "a failing step fails its test")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use allocation_counter::measure;
use aws_credential_types::Credentials;
use iam_token::{Signer, rds};

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_736_944_496)
}

#[track_caller]
fn two_allocations(session: Option<String>) {
    let signer = Signer::new(Credentials::new("AKIAEXAMPLE", "secret", session, None, "tests"));
    let jane =
        rds("db.abc123.us-east-2.rds.amazonaws.com", 5432, "jane").region("us-east-2").build().unwrap();
    let first = jane.sign_with(&signer, now()).unwrap();
    let mut token = None;
    let counted = measure(|| token = jane.sign_with(&signer, now()).ok());
    assert_eq!(token.unwrap().expose(), first.expose());
    // The token's text, and the signature that aws-sigv4 returns.
    assert_eq!(counted.count_total, 2);
    assert_eq!(counted.count_current, 1);
    // The text was sized exactly.
    assert_eq!(counted.bytes_current, i64::try_from(first.expose().len()).unwrap());
}

#[test]
fn token_with_a_kept_key_allocates_twice() {
    two_allocations(None);
}

#[test]
fn token_with_a_session_token_allocates_twice() {
    two_allocations(Some("a/+=".repeat(240)));
}
