//! The page of migration names parameters that there are, with the defaults that they have, and a
//! name of another wrapper leads to the one here.

use std::collections::BTreeMap;

use rds_wrapper::{Value, pg::Connector, plugins};

const PAGE: &str = include_str!("../../../../crates/rds-wrapper/docs/migration.md");

/// Names that a driver reads, and not this library.
const OF_DRIVERS: &[&str] = &["application_name", "connect_timeout", "keepalives_idle", "tcp_keepalive"];

/// Returns the rows of the tables: what is there, and what is here.
fn rows(page: &str) -> Vec<(&str, &str)> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    cells.filter(|cells| cells.len() > 1).map(|cells| (cells[0], cells[1])).collect()
}

/// Returns the names in the code of a cell, each with the text in parentheses behind it.
fn names(cell: &str) -> Vec<(&str, Option<&str>)> {
    let pieces: Vec<&str> = cell.split('`').collect();
    let mut names = Vec::new();
    for at in (1..pieces.len()).step_by(2) {
        let name = pieces[at];
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
            continue;
        }
        // A default is written (900) or, as text, (`random`).
        let after = pieces.get(at + 1).copied().unwrap_or_default();
        let default = match after.strip_prefix(" (") {
            Some("") => pieces.get(at + 2).copied(),
            Some(rest) => rest.split(')').next(),
            None => None,
        };
        names.push((name, default));
    }
    names
}

/// Returns the parameters and the codes of plugins, and the defaults of the former.
fn declared() -> (BTreeMap<String, String>, Vec<String>) {
    let registry = plugins::<()>();
    let parameters = registry.parameters();
    let defaults = parameters.map(|(_, parameter)| {
        (parameter.name().to_owned(), parameter.default_text().trim_matches('`').to_owned())
    });
    let codes = registry.parameters().filter_map(|(plugin, _)| plugin).map(str::to_owned);
    (defaults.collect(), codes.collect())
}

fn is_camel(name: &str) -> bool {
    name.contains(|c: char| c.is_ascii_uppercase())
}

#[test]
fn migration_page_names_parameters_with_their_defaults() {
    let (defaults, codes) = declared();
    let mut checked = 0;
    for (_, here) in rows(PAGE) {
        for (name, default) in names(here) {
            let declared = defaults.get(name);
            let is_known = declared.is_some() || codes.iter().any(|code| code == name);
            assert!(is_known || !is_camel(name) || OF_DRIVERS.contains(&name), "`{name}` in | {here} |");
            if let (Some(stated), Some(declared)) = (default, declared) {
                assert_eq!(stated, declared, "the default of `{name}` in | {here} |");
                checked += 1;
            }
        }
    }
    assert!(checked >= 12, "{checked} defaults are stated");
}

#[test]
fn name_of_another_wrapper_leads_to_the_one_here() {
    let (defaults, _) = declared();
    let (mut checked, mut wrong) = (0, Vec::new());
    for (there, here) in rows(PAGE) {
        let ours: Vec<&str> = names(here).into_iter().map(|(name, _)| name).collect();
        let theirs: Vec<&str> = names(there).into_iter().map(|(name, _)| name).collect();
        // Rows whose names correspond one to one.
        if ours.len() != theirs.len() || !ours.iter().all(|name| defaults.contains_key(*name)) {
            continue;
        }
        for (theirs, ours) in theirs.into_iter().zip(ours).filter(|(theirs, ours)| theirs != ours) {
            let entries =
                [("host", "db.abc123.us-east-2.rds.amazonaws.com"), ("user", "jane"), (theirs, "1")];
            let map: BTreeMap<String, Value> =
                entries.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
            let error = Connector::from_map(map, plugins()).expect_err(theirs).to_string();
            if !error.contains(&format!("`{ours}`")) {
                wrong.push(format!("{theirs}, which is {ours}: {error}"));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 20, "{checked} names are tried");
}
