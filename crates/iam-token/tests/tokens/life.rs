//! From when until when a token works, and who signed it.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::identity::Identity;
use iam_token::{AuthToken, ErrorKind, Presign, Signer, dsql, eks, elasticache, memorydb, msk, rds};

use crate::support::{HOST, Parts, SECRET, at, credentials, now, session_credentials};

fn jane() -> Presign {
    rds(HOST, 5432, "jane").region("us-east-2").build().unwrap()
}

#[test]
fn token_lives_fifteen_minutes() {
    let token = jane().sign(&credentials(), now()).unwrap();
    assert_eq!(token.signed_at(), now());
    assert_eq!(token.expires_at(), now() + Duration::from_secs(900));
    assert_eq!(token.expires_at_millis(), 1_736_945_396_000);
}

#[test]
fn token_is_signed_in_the_second_of_its_date() {
    let token = jane().sign(&credentials(), now() + Duration::from_millis(999)).unwrap();
    assert_eq!(token.signed_at(), now());
    assert_eq!(Parts::of(token.expose()).decoded("X-Amz-Date").unwrap(), "20250115T123456Z");
}

#[test]
fn token_dies_with_its_credentials() {
    let expiry = now() + Duration::from_secs(300);
    let token = jane().sign(&session_credentials(Some(expiry)), now()).unwrap();
    assert_eq!(token.expires_at(), expiry);
    // The query still says what the recipe does: servers know the credentials' end themselves.
    assert_eq!(Parts::of(token.expose()).decoded("X-Amz-Expires").unwrap(), "900");
}

#[test]
fn token_does_not_outlive_its_own_lifetime() {
    let expiry = now() + Duration::from_secs(3_600);
    let token = jane().sign(&session_credentials(Some(expiry)), now()).unwrap();
    assert_eq!(token.expires_at(), now() + Duration::from_secs(900));
}

#[test]
fn expiry_within_a_second_is_exact() {
    let late = now() + Duration::from_millis(500);
    let expired = session_credentials(Some(now() + Duration::from_millis(200)));
    let error = jane().sign(&expired, late).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ExpiredCredentials);

    let expiry = now() + Duration::from_millis(60_700);
    let token = jane().sign(&session_credentials(Some(expiry)), late).unwrap();
    assert_eq!((token.signed_at(), token.expires_at()), (now(), expiry));
    assert_eq!(token.remaining(late), Duration::from_millis(60_200));
}

#[test]
fn expired_credentials_are_refused() {
    let credentials = session_credentials(Some(now()));
    let error = jane().sign(&credentials, now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ExpiredCredentials);
    assert_eq!(
        error.to_string(),
        "credentials of the access key ending in \"MPLE\" expired at 2025-01-15T12:34:56Z, before the \
         signing time 2025-01-15T12:34:56Z: reload them"
    );
    jane().sign(&credentials, now() - Duration::from_nanos(1)).unwrap();
}

#[test]
fn lifetime_of_each_recipe_is_written() {
    let host = "abcdefghijklmnopqrst123456.dsql.us-east-1.on.aws";
    let week = Duration::from_secs(604_800);
    let dsql = dsql(host).region("us-east-1");
    let check = |token: AuthToken, lifetime| assert_eq!(token.expires_at(), token.signed_at() + lifetime);
    check(dsql.sign(&credentials(), now()).unwrap(), Duration::from_secs(900));
    check(dsql.clone().lifetime(week).sign(&credentials(), now()).unwrap(), week);
    check(dsql.lifetime(Duration::from_secs(1)).sign(&credentials(), now()).unwrap(), Duration::from_secs(1));
    for (recipe, seconds) in [
        (elasticache("my-cache", "jane").region("us-east-1"), 900),
        (memorydb("my-mdb", "jane").region("us-east-1"), 900),
        (msk("us-east-1"), 900),
        (msk("us-east-1").lifetime(Duration::from_secs(300)), 300),
        (eks("my-cluster", "us-east-1"), 60),
        (eks("my-cluster", "us-east-1").lifetime(Duration::from_secs(900)), 900),
    ] {
        check(recipe.sign(&credentials(), now()).unwrap(), Duration::from_secs(seconds));
    }
}

#[test]
fn remaining_time_runs_down_to_nothing() {
    let token = jane().sign(&credentials(), now()).unwrap();
    assert_eq!(token.remaining(now()), Duration::from_secs(900));
    assert_eq!(token.remaining(now() + Duration::from_millis(899_500)), Duration::from_millis(500));
    assert_eq!(token.remaining(token.expires_at()), Duration::ZERO);
    assert_eq!(token.remaining(now() + Duration::from_secs(86_400)), Duration::ZERO);
}

#[test]
fn remaining_time_is_that_of_the_credentials_where_they_end_first() {
    let expiry = now() + Duration::from_secs(300);
    let token = jane().sign(&session_credentials(Some(expiry)), now()).unwrap();
    assert_eq!(token.remaining(now()), Duration::from_secs(300));
}

#[test]
fn kept_and_derived_keys_sign_alike() {
    let signer = Signer::new(session_credentials(None));
    for _ in 0..3 {
        let kept = jane().sign_with(&signer, now()).unwrap();
        assert_eq!(kept.expose(), jane().sign(&session_credentials(None), now()).unwrap().expose());
    }
}

#[test]
fn signature_is_right_on_both_sides_of_midnight() {
    let signer = Signer::new(credentials());
    let midnight = 20_000 * 86_400;
    for seconds in [midnight - 1, midnight, midnight - 1, midnight + 86_400] {
        let token = jane().sign_with(&signer, at(seconds)).unwrap();
        let parts = Parts::of(token.expose());
        assert_eq!(parts.decoded("X-Amz-Signature"), Some(parts.recomputed_signature(SECRET, at(seconds))));
    }
}

#[test]
fn last_second_of_9999_is_signed() {
    let token = jane().sign(&credentials(), at(253_402_300_799)).unwrap();
    assert_eq!(Parts::of(token.expose()).decoded("X-Amz-Date").unwrap(), "99991231T235959Z");
}

#[test]
fn unrepresentable_time_is_refused() {
    assert_eq!(jane().sign(&credentials(), at(253_402_300_800)).unwrap_err().kind(), ErrorKind::InvalidTime);
    assert_eq!(
        jane().sign(&credentials(), UNIX_EPOCH - Duration::from_secs(1)).unwrap_err().kind(),
        ErrorKind::InvalidTime
    );
}

#[test]
fn identity_of_an_sdk_signs() {
    let earlier = now() + Duration::from_secs(60);
    let credentials = session_credentials(Some(now() + Duration::from_secs(120)));
    let signer = Signer::from_identity(&Identity::new(credentials.clone(), Some(earlier))).unwrap();
    assert_eq!(signer.expiry(), Some(earlier));
    assert_eq!(signer.access_key_id(), "ASIAIOSFODNN7EXAMPLE");
    assert_eq!(signer.credentials(), &credentials);
    let token = jane().sign_with(&signer, now()).unwrap();
    assert_eq!(token.expires_at(), earlier);
    assert_eq!(token.access_key_id(), signer.access_key_id());
}

#[test]
fn credentials_are_checked_without_signing() {
    let signer = Signer::new(session_credentials(Some(now())));
    assert_eq!(signer.check(now()).unwrap_err().kind(), ErrorKind::ExpiredCredentials);
    signer.check(now() - Duration::from_secs(1)).unwrap();
    let quoted = Signer::new(Credentials::new("\"AKIAEXAMPLE\"", SECRET, None, None, "tests"));
    assert_eq!(quoted.check(now()).unwrap_err().kind(), ErrorKind::InvalidCredentials);
}

#[test]
fn identity_without_credentials_is_refused() {
    let error = Signer::from_identity(&Identity::new("a bearer token", None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidCredentials);
}

#[test]
fn empty_session_token_counts_as_none() {
    let empty = Credentials::new("AKIAIOSFODNN7EXAMPLE", SECRET, Some(String::new()), None, "tests");
    let token = jane().sign(&empty, now()).unwrap();
    assert_eq!(token.expose(), jane().sign(&credentials(), now()).unwrap().expose());
}
