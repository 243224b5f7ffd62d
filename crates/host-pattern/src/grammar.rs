//! The grammar of AWS's host names, applied to canonical text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::kind::EndpointKind;
use crate::partition::Partition;

/// The suffixes of RDS names and, where a suffix belongs to one partition only, that partition.
///
/// `amazonaws.au` and `amazonaws.uk` are in the host grammars of the JDBC and the Go wrapper; AWS's
/// partition data does not have them.
const RDS_SUFFIXES: [(&str, Option<Partition>); 9] = [
    (".amazonaws.com", None),
    (".amazonaws.com.cn", Some(Partition::AwsCn)),
    (".amazonaws.eu", Some(Partition::AwsEusc)),
    (".amazonaws.au", None),
    (".amazonaws.uk", None),
    (".c2s.ic.gov", Some(Partition::AwsIso)),
    (".sc2s.sgov.gov", Some(Partition::AwsIsoB)),
    (".cloud.adc-e.uk", Some(Partition::AwsIsoE)),
    (".csp.hci.ic.gov", Some(Partition::AwsIsoF)),
];

const DSQL_SUFFIX: &str = ".on.aws";
const DSQL_ID_LEN: usize = 26;

/// The labels that may precede a domain id, longer ones first; the domain id has no hyphen, so at
/// most one matches.
const PREFIXES: [(&str, EndpointKind); 6] = [
    ("cluster-custom-", EndpointKind::CustomCluster),
    ("cluster-ro-", EndpointKind::ReaderCluster),
    ("cluster-", EndpointKind::WriterCluster),
    ("global-", EndpointKind::GlobalWriter),
    ("proxy-", EndpointKind::Proxy),
    ("shardgrp-", EndpointKind::ShardGroup),
];

/// The classification of a canonical name.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    Aws(AwsName),
    Custom,
    Ip(IpAddr),
}

/// The parts of an AWS name, as positions in its text.
#[derive(Clone, Debug)]
pub(crate) struct AwsName {
    pub(crate) kind: EndpointKind,
    pub(crate) partition: Option<Partition>,
    pub(crate) id_end: usize,
    /// Where the domain starts; it goes on to the end of the name.
    pub(crate) domain: Option<usize>,
    pub(crate) region: Option<Range<usize>>,
}

/// Classifies a canonical name.
pub(crate) fn classify(name: &str) -> Layout {
    // An IPv4 address ends in a digit, and AWS's suffixes do not: they are spared the attempt.
    // Two conditions in place of a chain, which Rust 1.85 does not have.
    if name.ends_with(|last: char| last.is_ascii_digit()) {
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Layout::Ip(address.into());
        }
    }
    rds(name).or_else(|| dsql(name)).map_or(Layout::Custom, Layout::Aws)
}

/// Reads an IPv6 address, bare or in brackets.
pub(crate) fn ipv6(text: &str) -> Option<Ipv6Addr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok()
}

fn rds(name: &str) -> Option<AwsName> {
    let (head, owner) =
        RDS_SUFFIXES.iter().find_map(|&(suffix, owner)| Some((name.strip_suffix(suffix)?, owner)))?;
    // The id takes all labels in front of the last three.
    let (id_end, _) = head.rmatch_indices('.').nth(2)?;
    let labels = &head[id_end + 1..];
    let prefixed = |&(prefix, kind)| Some((kind, labels.strip_prefix(prefix)?));
    let (kind, bare) = PREFIXES.iter().find_map(prefixed).unwrap_or((EndpointKind::Instance, labels));
    let start = head.len() - bare.len();
    let (domain_id, rest) = bare.split_once('.')?;
    let (middle, last) = rest.split_once('.')?;
    // One of the two names the service; the region before it is the older order.
    let (region, place) = match (is_rds_label(middle), is_rds_label(last)) {
        (_, true) => (middle, 0),
        (true, false) => (last, middle.len() + 1),
        (false, false) => return None,
    };
    if !is_plain(domain_id) || !is_region_label(region) {
        return None;
    }
    let place = start + domain_id.len() + 1 + place;
    let region = place..place + region.len();
    // Only a global writer has `global` in place of the region, and no token can be signed for it.
    let is_global = kind == EndpointKind::GlobalWriter;
    if is_global != (&name[region.clone()] == "global") {
        return None;
    }
    if is_global {
        return Some(AwsName { kind, partition: owner, id_end, domain: None, region: None });
    }
    // A proxy's further endpoint has a label more, which the split above took for a part of its id.
    let (kind, id_end) = match name[..id_end].strip_suffix(".endpoint") {
        Some(endpoint) if kind == EndpointKind::Proxy => (EndpointKind::ProxyEndpoint, endpoint.len()),
        _ => (kind, id_end),
    };
    // Commercial regions and GovCloud share `amazonaws.com`; only the region tells them apart.
    let partition = owner.unwrap_or_else(|| Partition::of_region(&name[region.clone()]));
    // The domain begins with its id, and the match with that.
    Some(AwsName { kind, partition: Some(partition), id_end, domain: Some(start), region: Some(region) })
}

/// Returns whether a label names the service: with its FIPS endpoints, and those of its previews.
fn is_rds_label(label: &str) -> bool {
    matches!(label, "rds" | "rds-fips" | "rds-preview")
}

/// Returns whether a label can be a region; there is no list of regions.
fn is_region_label(label: &str) -> bool {
    is_hyphenated(label) && !label.starts_with('-') && !label.ends_with('-')
}

/// Returns whether a label consists of letters and digits.
fn is_plain(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns whether a label consists of letters, digits and hyphens.
fn is_hyphenated(label: &str) -> bool {
    // Of the characters of a name only the underscore is none of these.
    !label.is_empty() && !label.contains('_')
}

fn dsql(name: &str) -> Option<AwsName> {
    let (id, rest) = name.strip_suffix(DSQL_SUFFIX)?.split_once('.')?;
    let (service, region) = rest.split_once('.')?;
    // Private links use `dsql-...`.
    let is_dsql = service == "dsql" || service.strip_prefix("dsql-").is_some_and(is_hyphenated);
    if id.len() != DSQL_ID_LEN
        || !is_plain(id)
        || !is_dsql
        || region.contains('.')
        || !is_region_label(region)
    {
        return None;
    }
    let place = id.len() + 1 + service.len() + 1;
    Some(AwsName {
        kind: EndpointKind::Dsql,
        partition: Some(Partition::of_region(region)),
        id_end: id.len(),
        domain: None,
        region: Some(place..place + region.len()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::{Captures, Regex};

    use super::*;

    /// The grammar as expressions: behind the prefix of an RDS name, and before the suffix of a
    /// DSQL name.
    const RDS: &str =
        r"^([a-z0-9]+)\.(?:([a-z0-9-]+)\.rds(?:-fips|-preview)?|rds(?:-fips|-preview)?\.([a-z0-9-]+))$";
    const DSQL: &str = r"^([a-z0-9]{26})\.dsql(?:-[a-z0-9-]+)?\.([a-z0-9-]+)$";

    fn expression(text: &str) -> Regex {
        Regex::new(text).expect("a constant expression compiles")
    }

    /// Returns the one of these groups that takes part in the match, without hyphens at its ends.
    fn region(captures: &Captures<'_>, groups: &[usize]) -> Option<String> {
        let region = groups.iter().find_map(|group| captures.get(*group))?.as_str();
        (!region.starts_with('-') && !region.ends_with('-')).then(|| region.to_owned())
    }

    fn label() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(vec![
                "rds",
                "rds-fips",
                "rds-preview",
                "dsql",
                "dsql-",
                "dsql-x",
                "us-east-2"
            ])
            .prop_map(str::to_owned),
            "[a-z0-9_-]{1,6}",
            "[a-z0-9]{25,27}",
        ]
    }

    proptest! {
        #[test]
        fn rds_labels_are_read_as_the_expression_says(labels in prop::collection::vec(label(), 2..5)) {
            let labels = labels.join(".");
            let name = format!("id.{labels}.amazonaws.com");
            let bare = labels.rsplitn(4, '.').take(3).collect::<Vec<_>>();
            let bare = bare.into_iter().rev().collect::<Vec<_>>().join(".");
            let expected = expression(RDS).captures(&bare).and_then(|found| region(&found, &[2, 3]));

            let found = rds(&name).and_then(|aws| Some(name[aws.region?].to_owned()));

            // A global writer takes the place of the region, and has a prefix.
            prop_assert_eq!(found, expected.filter(|region| region != "global"));
        }

        #[test]
        fn dsql_labels_are_read_as_the_expression_says(labels in prop::collection::vec(label(), 2..5)) {
            let head = labels.join(".");
            let name = format!("{head}.on.aws");
            let expected = expression(DSQL).captures(&head).and_then(|found| region(&found, &[2]));

            let found = dsql(&name).and_then(|aws| Some(name[aws.region?].to_owned()));

            prop_assert_eq!(found, expected);
        }
    }
}
