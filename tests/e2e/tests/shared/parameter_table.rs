//! The table of parameters, right and wrong; included by the tests of each engine, which bring
//! `build`.

use std::fmt::Debug;

use rds_wrapper::Error;

/// Expects the parameters to be taken.
#[track_caller]
pub(super) fn ok<T>(build: impl Fn(&str) -> Result<T, Error>, query: &str) {
    if let Err(error) = build(query) {
        panic!("{query}: {error}");
    }
}

/// Expects an error that says all parts and nothing secret.
#[track_caller]
pub(super) fn wrong<T: Debug>(outcome: Result<T, Error>, parts: &[&str]) {
    let error = outcome.expect_err("does not fit");
    let text = e2e::chain(&error);
    for part in parts {
        assert!(text.contains(part), "{text} should say {part}");
    }
    assert!(!format!("{error:?} {text}").contains("hunter2"), "{text}");
}

/// One row of the table: a test for the right values and one for the wrong ones.
macro_rules! parameter {
    ($name:ident, ok: [$($right:expr),* $(,)?], wrong: [$(($query:expr, $($part:expr),+)),* $(,)?]) => {
        mod $name {
            use super::{build, table};

            #[tokio::test]
            async fn values_ok() {
                $(table::ok(build, $right);)*
            }

            #[tokio::test]
            async fn values_wrong() {
                $(table::wrong(build($query), &[$($part),+]);)*
            }
        }
    };
}
