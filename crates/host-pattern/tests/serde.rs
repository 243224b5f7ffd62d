//! The types as strings of a serialised form.
#![cfg(feature = "serde")]

use std::fmt::Debug;
use std::str::FromStr;

use host_pattern::{Endpoint, EndpointKind, Error, InstancePattern, Partition, Region};
use serde_json::{Value, from_value, to_value};

#[track_caller]
fn check<T>(text: &str, canonical: &str) -> serde_json::Result<()>
where
    T: serde::Serialize + serde::de::DeserializeOwned + Debug + PartialEq + FromStr<Err = Error>,
{
    let value: T = from_value(Value::from(text))?;
    assert_eq!(to_value(&value)?, Value::from(canonical));
    assert_eq!(text.parse(), Ok(value));
    Ok(())
}

#[test]
fn endpoint_is_its_canonical_name() -> serde_json::Result<()> {
    check::<Endpoint>("Db.Example.", "db.example")?;
    check::<Endpoint>("[::1]", "::1")
}

#[test]
fn pattern_is_its_canonical_text() -> serde_json::Result<()> {
    check::<InstancePattern>("DB-?.Example.:5432", "db-?.example:5432")
}

#[test]
fn region_is_its_name() -> serde_json::Result<()> {
    check::<Region>(" US-East-1", "us-east-1")
}

#[test]
fn kind_is_its_words() -> serde_json::Result<()> {
    check::<EndpointKind>("dsql cluster endpoint", "DSQL cluster endpoint")
}

#[test]
fn partition_is_its_id() -> serde_json::Result<()> {
    check::<Partition>("AWS-cn", "aws-cn")
}

#[test]
fn user_info_is_refused_and_not_repeated() {
    let error = from_value::<Endpoint>(Value::from("jane:hunter2@db.example")).unwrap_err().to_string();
    assert!(error.starts_with("found user info"), "{error}");
    assert!(!error.contains("hunter2") && !error.contains("jane"), "{error}");
}
