//! The entries of a map in the form of the NodeJS wrapper.

use wrapper_core::{Error, ErrorKind, Result, Value, adapter::RawParameters, text::quoted_name};

/// Settings that do not verify a server, each with the value that says so.
const UNVERIFIED: &[(&str, &str)] = &[
    ("sslmode", "prefer"),
    ("sslmode", "disable"),
    ("ssl", "false"),
    ("require_ssl", "false"),
    ("verify_ca", "false"),
    ("verify_identity", "false"),
];

/// Converts a map's entries to parameters: `null` is not an entry, and `ssl: {ca,
/// rejectUnauthorized, servername}`, flat keys such as `ssl.ca`, and `ssl: true`, as the NodeJS
/// wrapper has them, become `sslrootcert`, `sslmode` and `tlsServerName`.
///
/// # Errors
///
/// A configuration error that names the key of an unsupported nested map, or the setting that
/// contradicts `rejectUnauthorized: true`.
pub fn flat_entries(entries: Vec<(String, Value)>, given: &RawParameters) -> Result<Vec<(String, Value)>> {
    let text = |name: &str| {
        let own = entries.iter().find(|(known, value)| known == name && *value != Value::Null);
        let value = own.map(|(_, value)| value).or_else(|| given.value(name))?.text()?;
        // As a parameter reads it, which takes no notice of blanks around it, but of the case.
        Some(value.trim().to_owned())
    };
    let has_mode = text("sslmode").is_some();
    let has_flat = entries.iter().any(|(name, value)| name.starts_with("ssl.") && *value != Value::Null);
    let must_verify = entries.iter().any(|(name, value)| match (name.as_str(), value) {
        ("ssl", Value::Map(entries)) => entries.get("rejectUnauthorized").is_some_and(is_true),
        (name, value) => name == "ssl.rejectUnauthorized" && is_true(value),
    });
    if must_verify
        && let Some((name, value)) =
            UNVERIFIED.iter().find(|(name, value)| text(name).as_deref() == Some(*value))
    {
        return Err(configuration(format!(
            "`ssl.rejectUnauthorized` is `true`, but `{name}` is `{value}`, which does not verify the \
             server: leave out `{name}`"
        )));
    }
    let mut flat = Vec::new();
    for (name, value) in entries {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("ssl", Value::Map(entries)) => {
                for (name, value) in entries {
                    flat.extend(tls_entry(&name, value)?);
                }
                // An explicit `sslmode` counts for more than a map that only implies TLS.
                if !has_mode {
                    flat.push(("sslmode".to_owned(), "verify-full".into()));
                }
            }
            ("ssl", value) => {
                let mode = match value.text().as_deref() {
                    Some("true") => "verify-full",
                    Some("false") => "disable",
                    _ => {
                        return Err(configuration(format!(
                            "`ssl` is {}, and must be `true`, `false` or a map such as {{ca: …}}: for a \
                             mode write `sslmode`",
                            value.kind()
                        )));
                    }
                };
                if has_mode {
                    return Err(configuration(
                        "`ssl` and `sslmode` are both given: leave out `ssl`".to_owned(),
                    ));
                }
                flat.push(("sslmode".to_owned(), mode.into()));
            }
            (name, Value::Map(_)) => {
                return Err(configuration(format!(
                    "{} is a map, but must be a single value",
                    quoted_name(name)
                )));
            }
            (name, value) => match name.strip_prefix("ssl.") {
                Some(name) => flat.extend(tls_entry(name, value)?),
                None => flat.push((name.to_owned(), value)),
            },
        }
    }
    // Flat keys imply TLS as the nested ones do.
    if has_flat && !has_mode && !flat.iter().any(|(name, _)| name == "sslmode") {
        flat.push(("sslmode".to_owned(), "verify-full".into()));
    }
    Ok(flat)
}

fn tls_entry(name: &str, value: Value) -> Result<Option<(String, Value)>> {
    let named = |name: &str, value| Ok(Some((name.to_owned(), value)));
    match (name, value) {
        (_, Value::Null) => Ok(None),
        ("ca", Value::Map(_)) => Err(configuration(
            "`ssl.ca` is a map, but must be PEM text or the path of a file: pass the text of a Buffer"
                .to_owned(),
        )),
        ("ca", value) => named("sslrootcert", value),
        ("servername" | "serverName", value) => named("tlsServerName", value),
        ("rejectUnauthorized", value) => match value.text().as_deref() {
            Some("true") => Ok(None),
            Some("false") => Err(configuration(
                "`ssl.rejectUnauthorized` is `false`, which switches verification off: give the bundle as \
                 `ssl.ca`"
                    .to_owned(),
            )),
            _ => Err(configuration("`ssl.rejectUnauthorized` must be `true` or `false`".to_owned())),
        },
        ("cert", value) => named("sslcert", value),
        ("key", value) => named("sslkey", value),
        ("pfx" | "passphrase", _) => Err(configuration(format!(
            "`ssl.{name}` is not supported: pass the client's certificate and its key, decrypted, as PEM \
             in `ssl.cert` and `ssl.key`"
        ))),
        (name, _) => Err(configuration(format!(
            "unknown parameter {}: `ca`, `cert`, `key`, `rejectUnauthorized` and `servername` are known of \
             `ssl`",
            quoted_name(&format!("ssl.{name}"))
        ))),
    }
}

fn is_true(value: &Value) -> bool {
    value.text().as_deref() == Some("true")
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(json: &str) -> Result<Vec<(String, Value)>> {
        let map: std::collections::BTreeMap<String, Value> = serde_json::from_str(json).expect("reads");
        flat_entries(map.into_iter().collect(), &RawParameters::new())
    }

    #[track_caller]
    fn check(json: &str, expected: &[(&str, &str)]) {
        let flat = flat(json).expect("is understood");
        let flat: Vec<_> = flat.iter().map(|(name, value)| (name.as_str(), value.text().unwrap())).collect();
        let expected: Vec<_> = expected.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        assert_eq!(flat, expected);
    }

    #[track_caller]
    fn refused(json: &str, says: &str) {
        let error = flat(json).expect_err("is not understood").to_string();
        assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn tls_of_the_nodejs_wrapper_is_understood_ok() {
        check(r#"{"ssl": {"ca": "PEM"}}"#, &[("sslrootcert", "PEM"), ("sslmode", "verify-full")]);
        check(
            r#"{"ssl": {"ca": "PEM"}, "sslmode": "require"}"#,
            &[("sslrootcert", "PEM"), ("sslmode", "require")],
        );
        check(r#"{"ssl": true}"#, &[("sslmode", "verify-full")]);
        check(r#"{"ssl": "false"}"#, &[("sslmode", "disable")]);
        check(
            r#"{"ssl": {"rejectUnauthorized": true, "servername": "a.example"}}"#,
            &[("tlsServerName", "a.example"), ("sslmode", "verify-full")],
        );
        check(
            r#"{"ssl": {"cert": "C", "key": "K"}}"#,
            &[("sslcert", "C"), ("sslkey", "K"), ("sslmode", "verify-full")],
        );
        check(r#"{"ssl": null, "port": null, "user": "jane"}"#, &[("user", "jane")]);
    }

    #[test]
    fn verification_that_is_asked_for_is_configured() {
        for json in [
            r#"{"ssl": {"rejectUnauthorized": true}}"#,
            r#"{"ssl.rejectUnauthorized": true}"#,
            r#"{"ssl.rejectUnauthorized": "true", "sslmode": null}"#,
            r#"{"ssl": {"rejectUnauthorized": true}, "ssl.rejectUnauthorized": true}"#,
            r#"{"ssl": {"rejectUnauthorized": true}, "sslmode": null}"#,
            r#"{"ssl": true, "ssl.rejectUnauthorized": true}"#,
        ] {
            check(json, &[("sslmode", "verify-full")]);
        }
        check(r#"{"ssl.rejectUnauthorized": true, "sslmode": "require"}"#, &[("sslmode", "require")]);
        check(r#"{"ssl.rejectUnauthorized": null, "sslmode": "prefer"}"#, &[("sslmode", "prefer")]);
        check(r#"{"ssl.rejectUnauthorized": null, "ssl.ca": null}"#, &[]);
    }

    #[test]
    fn flat_keys_verify_as_the_nested_ones_do() {
        for (name, meant) in [
            ("ca", "sslrootcert"),
            ("servername", "tlsServerName"),
            ("serverName", "tlsServerName"),
            ("cert", "sslcert"),
            ("key", "sslkey"),
        ] {
            let expected = [(meant, "X"), ("sslmode", "verify-full")];
            check(&format!(r#"{{"ssl": {{"{name}": "X"}}}}"#), &expected);
            check(&format!(r#"{{"ssl.{name}": "X"}}"#), &expected);
            let json = format!(r#"{{"ssl.{name}": "X", "sslmode": "require"}}"#);
            check(&json, &[(meant, "X"), ("sslmode", "require")]);
        }
    }

    #[test]
    fn verification_that_another_setting_contradicts_is_refused_by_both_names() {
        for (name, value) in UNVERIFIED {
            // Blanks around a value are none of it where it is read.
            for given in [(*value).to_owned(), format!(" {value}"), format!("{value} ")] {
                let forms = [
                    format!(r#"{{"ssl.rejectUnauthorized": true, "{name}": "{given}"}}"#),
                    format!(r#"{{"ssl": {{"rejectUnauthorized": "true"}}, "{name}": "{given}"}}"#),
                ];
                for json in forms.iter().take(if *name == "ssl" { 1 } else { 2 }) {
                    refused(json, &format!("`ssl.rejectUnauthorized` is `true`, but `{name}` is `{value}`"));
                }
            }
        }
        for mode in ["prefer", " prefer"] {
            let mut given = RawParameters::new();
            given.set("sslmode", mode).expect("is set");
            let entries = vec![("ssl.rejectUnauthorized".to_owned(), Value::from(true))];
            let error = flat_entries(entries, &given).expect_err("the builder contradicts it").to_string();
            assert!(error.contains("`sslmode` is `prefer`"), "{error}");
        }
    }

    #[test]
    fn nested_maps_wrong() {
        refused(r#"{"ssl": {"rejectUnauthorized": false}}"#, "`ssl.rejectUnauthorized` is `false`");
        refused(r#"{"ssl": {"ca": {"type": "Buffer", "data": [104]}}}"#, "`ssl.ca` is a map");
        refused(r#"{"ssl": {"passphrase": "hunter2"}}"#, "`ssl.passphrase` is not supported");
        refused(r#"{"ssl": {"hunter2 x": 1}}"#, "unknown parameter a parameter");
        refused(r#"{"ssl": {"minVersion": "hunter2"}}"#, "`ssl.minVersion`");
        refused(r#"{"ssl": "hunter2"}"#, "`ssl` is text");
        refused(r#"{"ssl": true, "sslmode": "require"}"#, "`ssl` and `sslmode`");
        refused(r#"{"pool": {"max": 1}}"#, "`pool` is a map");
    }
}
