//! What is printed, and what is shared between threads.

use std::{fmt::Debug, time::Duration};

use aws_credential_types::Credentials;
use iam_token::{AuthToken, Error, ErrorKind, Presign, PresignBuilder, Recipe, Signer, elasticache, rds};

use crate::support::{HOST, SECRET, SESSION, now, session_credentials};

#[track_caller]
fn prints_no_secret(value: &dyn Debug) {
    let printed = format!("{value:?} {value:#?}");
    for secret in [SECRET, SESSION, "example%2F%2B%3D%3D", "hunter2", "X-Amz-Signature"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn token_prints_only_its_end() {
    let recipe = rds(HOST, 5432, "jane").region("us-east-2");
    let token = recipe.sign(&session_credentials(None), now()).unwrap();
    assert_eq!(format!("{token:?}"), "AuthToken(redacted, expires 2025-01-15T12:49:56Z)");
    prints_no_secret(&token);
    prints_no_secret(&recipe);
}

#[test]
fn signer_prints_only_names() {
    let signer = Signer::new(session_credentials(None));
    let request = rds(HOST, 5432, "jane").region("us-east-2").build().unwrap();
    request.sign_with(&signer, now()).unwrap();
    prints_no_secret(&signer);
    assert!(format!("{signer:?}").contains("ASIAIOSFODNN7EXAMPLE"));
}

#[test]
fn request_prints_no_values() {
    let request = Presign::https(HOST)
        .query("password", "hunter2")
        .header("x-secret", "hunter2")
        .service("rds-db")
        .region("us-east-2")
        .lifetime(Duration::from_secs(1));
    prints_no_secret(&request);
    prints_no_secret(&request.build().unwrap());
}

#[test]
fn errors_print_no_secret() {
    let expired = session_credentials(Some(now()));
    let keyless = Credentials::new("", SECRET, Some(SESSION.to_owned()), None, "tests");
    let recipe = rds(HOST, 5432, "jane").region("us-east-2");
    let quoted = Credentials::new("AKIAEXAMPLE", format!("\"{SECRET}\""), None, None, "tests");
    let broken = Credentials::new("AKIAEXAMPLE", "secret", Some(format!("{SESSION}\n")), None, "tests");
    let errors: [Error; 8] = [
        recipe.sign(&expired, now()).unwrap_err(),
        recipe.sign(&keyless, now()).unwrap_err(),
        recipe.sign(&quoted, now()).unwrap_err(),
        recipe.sign(&broken, now()).unwrap_err(),
        rds("postgres://jane:hunter2@db", 5432, "jane").region("us-east-2").build().unwrap_err(),
        rds("jane:hunter2", 5432, "jane").region("us-east-2").build().unwrap_err(),
        rds("db/?password=hunter2", 5432, "jane").region("us-east-2").build().unwrap_err(),
        elasticache("rediss://jane:hunter2@cache", "jane").build().unwrap_err(),
    ];
    for error in errors {
        prints_no_secret(&error);
        assert!(!error.to_string().contains("hunter2"));
        assert!(std::error::Error::source(&error).is_none());
    }
}

#[test]
fn clone_of_a_token_is_its_own_copy() {
    let recipe = rds(HOST, 5432, "jane").region("us-east-2");
    let token = recipe.sign(&session_credentials(None), now()).unwrap();
    let copy = token.clone();
    let text = token.expose().to_owned();
    drop(token);
    assert_eq!(copy.expose(), text);
}

#[test]
fn secret_is_the_text_of_the_token() {
    let token = rds(HOST, 5432, "jane").region("us-east-2").sign(&session_credentials(None), now()).unwrap();
    let text = token.expose().to_owned();
    assert_eq!(token.into_secret(), text);
}

const _: () = {
    const fn shared<T: Send + Sync + Debug + 'static>() {}
    const fn copied<T: Clone>() {}
    shared::<AuthToken>();
    shared::<Error>();
    shared::<ErrorKind>();
    shared::<Presign>();
    shared::<PresignBuilder>();
    shared::<Recipe>();
    shared::<Signer>();
    copied::<AuthToken>();
    copied::<Error>();
    copied::<Presign>();
    copied::<Recipe>();
};
