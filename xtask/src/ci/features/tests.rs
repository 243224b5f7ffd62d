//! The combinations of features that CI checks.

use serde_json::{Value, json};

use super::*;

fn package(features: Value, metadata: Value) -> Package {
    let value = json!({
        "name": "sample", "version": "0.1.0", "id": "sample", "dependencies": [], "targets": [],
        "manifest_path": "/sample/Cargo.toml", "features": features, "metadata": { "xtask": metadata },
    });
    serde_json::from_value(value).expect("a package")
}

fn only(names: &[&str]) -> Features {
    Features::Only(names.iter().map(|&name| name.to_owned()).collect())
}

#[test]
fn each_feature_stands_alone_and_with_defaults() {
    let package = package(json!({ "default": ["a"], "a": [], "b": [] }), json!({}));
    assert_eq!(combinations(&package), [Features::Default, only(&[]), only(&["a"]), only(&["b"])]);
}

#[test]
fn required_feature_is_added_where_none_is_on() {
    let package = package(
        json!({ "default": ["native"], "native": [], "rustls": [], "pool": [] }),
        json!({ "requires-one-of": ["native", "rustls"] }),
    );
    let rows = combinations(&package);
    assert_eq!(rows, [Features::Default, only(&["native"]), only(&["pool", "native"]), only(&["rustls"])]);
}

#[test]
fn implied_feature_counts_as_on() {
    let package = package(json!({ "a": [], "b": ["a", "dep:c"] }), json!({ "requires-one-of": ["a"] }));
    assert_eq!(combinations(&package), [Features::Default, only(&["a"]), only(&["b"])]);
}

#[test]
fn clashing_features_are_left_out() {
    let package =
        package(json!({ "a": [], "b": [], "both": ["a", "b"] }), json!({ "exclusive": [["a", "b"]] }));
    assert_eq!(combinations(&package), [Features::Default, only(&[]), only(&["a"]), only(&["b"])]);
    assert!(are_exclusive(&package));
}

#[test]
fn alternative_is_what_excludes_a_default() {
    let features = json!({ "default": ["a"], "a": [], "b": [], "c": [], "d": [] });
    let package = package(features, json!({ "exclusive": [["a", "b"], ["c", "d"]] }));
    assert_eq!(alternatives(&package), ["b"]);
}
