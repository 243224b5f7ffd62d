//! The table of host names: every row parses as it says, and so does its canonical name.

use host_pattern::{Endpoint, Error, without_green};

const TABLE: &str = include_str!("data/hosts.tsv");

#[test]
fn every_row_parses_as_it_says() {
    check_rows(|host, expected| match Endpoint::parse(host) {
        Ok(endpoint) => compare(described(host, &endpoint), expected),
        Err(error) => compare(vec!["error".to_owned(), format!("{:?}", error.kind())], expected),
    });
}

#[test]
fn canonical_name_of_every_row_parses_to_the_same() {
    check_accepted_rows(|host, endpoint| {
        let again = Endpoint::parse(endpoint.as_str());
        (again.as_ref() != Ok(endpoint)).then(|| format!("{host}: {again:?}"))
    });
}

#[test]
fn upper_case_and_trailing_dot_change_no_row() {
    check_accepted_rows(|host, endpoint| {
        let name = if host.contains(':') { endpoint.to_string() } else { format!("{endpoint}.") };
        let again = Endpoint::parse(&name.to_ascii_uppercase());
        (again.as_ref() != Ok(endpoint)).then(|| format!("{host}: {again:?}"))
    });
}

#[test]
fn green_suffix_is_removed_from_every_row_as_written() {
    check_accepted_rows(|host, endpoint| {
        let expected = endpoint.without_green();
        let plain = without_green(host);
        (Endpoint::parse(&plain) != Ok(expected)).then(|| format!("{host}: {plain}"))
    });
}

#[test]
fn instance_pattern_of_every_row_is_that_of_its_domain() {
    check_accepted_rows(|host, endpoint| {
        let pattern = endpoint.instance_pattern().map(|pattern| pattern.to_string());
        let expected = endpoint.domain().map(|domain| format!("?.{domain}"));
        (pattern != expected).then(|| format!("{host}: {pattern:?}"))
    });
}

fn described(host: &str, endpoint: &Endpoint) -> Vec<String> {
    let name = endpoint.as_str();
    let or_same = |text: Option<&str>, same: &str| match text {
        Some(text) if text == same => "=".to_owned(),
        text => text.unwrap_or("-").to_owned(),
    };
    let mark = match (endpoint.is_green(), endpoint.is_old()) {
        (false, false) => "-",
        (true, false) => "green",
        (false, true) => "old",
        (true, true) => "both",
    };
    vec![
        format!("{:?}", endpoint.kind()),
        or_same(Some(name), host),
        endpoint.id().unwrap_or("-").to_owned(),
        endpoint.region().unwrap_or("-").to_owned(),
        endpoint.partition().map_or("-".to_owned(), |partition| partition.to_string()),
        endpoint.domain().unwrap_or("-").to_owned(),
        or_same(endpoint.writer_endpoint().as_ref().map(Endpoint::as_str), name),
        mark.to_owned(),
        or_same(Some(endpoint.without_green().as_str()), name),
    ]
}

fn compare(got: Vec<String>, expected: &[&str]) -> Option<String> {
    (got != expected).then(|| format!("got {}, expected {}", got.join(" | "), expected.join(" | ")))
}

/// Hands each row's host and expected columns to `fault` and reports all rows at once.
#[track_caller]
fn check_rows(fault: impl Fn(&str, &[&str]) -> Option<String>) {
    let rows = TABLE.lines().filter(|line| line.contains('\t') && !line.starts_with("# "));
    let rows: Vec<Vec<&str>> = rows.map(|line| line.split('\t').collect()).collect();
    assert!(rows.len() > 190, "the table has lost rows, {} are left", rows.len());
    let faults: Vec<String> =
        rows.iter().filter_map(|row| Some(format!("{}: {}", row[0], fault(row[0], &row[1..])?))).collect();
    assert!(faults.is_empty(), "{} rows differ:\n{}", faults.len(), faults.join("\n"));
}

#[track_caller]
fn check_accepted_rows(fault: impl Fn(&str, &Endpoint) -> Option<String>) {
    check_rows(|host, _| {
        let endpoint: Result<Endpoint, Error> = host.parse();
        fault(host, &endpoint.ok()?)
    });
}
