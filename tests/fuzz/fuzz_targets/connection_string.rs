//! Any connection string and any map makes a connector or an error that shows no password.
//!
//! An input is the text before a password, the text after it, and a value, separated by line
//! breaks.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wrapper_core::{Error, Registry};

/// A text that no input has by chance, with what drivers and URLs read as their own.
const PASSWORD: &str = "Geheim'9:&zq";

fuzz_target!(|text: &str| {
    let mut pieces = text.splitn(3, '\n');
    let mut piece = || pieces.next().unwrap_or_default();
    let [before, after, value] = [piece(), piece(), piece()];

    for url in [
        text.to_owned(),
        format!("postgres://{before}:{PASSWORD}@{after}"),
        format!("mysql://{before}:{PASSWORD}@{after}"),
        format!("{before} password={PASSWORD} {after}"),
        format!("{before}?password={PASSWORD}&{after}"),
    ] {
        postgres(|builder| builder.connection_string(url.as_str()));
        mysql(|builder| builder.connection_string(url.as_str()));
    }
    let map = [(before, value), ("password", PASSWORD), (after, PASSWORD), ("host", value)];
    postgres(|builder| builder.map(map));
    mysql(|builder| builder.map(map));
});

fn postgres(set: impl FnOnce(wrapper_pg::ConnectorBuilder) -> wrapper_pg::ConnectorBuilder) {
    judge(set(wrapper_pg::Connector::builder(Registry::new())).build().err());
}

fn mysql(set: impl FnOnce(wrapper_mysql::ConnectorBuilder) -> wrapper_mysql::ConnectorBuilder) {
    judge(set(wrapper_mysql::Connector::builder(Registry::new())).build().err());
}

fn judge(error: Option<Error>) {
    let Some(error) = error else { return };
    for shown in [format!("{error}"), format!("{error:#}"), format!("{error:?}")] {
        assert!(!shown.is_empty() && !shown.contains("Geheim"), "{shown}");
    }
    assert!(!error.to_string().contains(char::is_control), "{error:?}");
}
