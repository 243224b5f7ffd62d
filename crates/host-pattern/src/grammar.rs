//! The grammar of AWS's host names, applied to canonical text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

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

/// The three labels between the id and the suffix of an RDS name, without the prefix. Its groups:
/// domain id, region, and the region where it comes last.
static RDS: LazyLock<Regex> = LazyLock::new(|| {
    // `-u`: canonical names are ASCII, and Unicode's tables would only enlarge the program.
    compile(
        r"(?x-u) ^
        ( [a-z0-9]+ ) \.
        (?: ( [a-z0-9-]+ ) \. rds (?: -fips | -preview )?
          | rds (?: -fips | -preview )? \. ( [a-z0-9-]+ ) )
        $",
    )
});

/// Everything before the suffix of a DSQL name; private links use `dsql-…`.
static DSQL: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"(?x-u) ^ (?<id> [a-z0-9]{26} ) \. dsql (?: - [a-z0-9-]+ )? \. (?<region> [a-z0-9-]+ ) $")
});

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
    // The id takes all labels in front of the last three. Splitting it off here halves the time:
    // the expression would have to search for its end.
    let (id_end, _) = head.rmatch_indices('.').nth(2)?;
    let labels = &head[id_end + 1..];
    let prefixed = |&(prefix, kind)| Some((kind, labels.strip_prefix(prefix)?));
    let (kind, bare) = PREFIXES.iter().find_map(prefixed).unwrap_or((EndpointKind::Instance, labels));
    let start = head.len() - bare.len();
    let captures = RDS.captures(bare)?;
    // By index, because a look-up by name costs as much as the rest of the match.
    let region = captures.get(2).or_else(|| captures.get(3))?.range();
    let region = start + region.start..start + region.end;
    if !is_region_label(&name[region.clone()]) {
        return None;
    }
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

/// Returns whether a label of letters, digits and hyphens can be a region; there is no list of
/// regions.
fn is_region_label(label: &str) -> bool {
    !label.starts_with('-') && !label.ends_with('-')
}

fn dsql(name: &str) -> Option<AwsName> {
    let captures = DSQL.captures(name.strip_suffix(DSQL_SUFFIX)?)?;
    let region = place(&captures, "region")?;
    if !is_region_label(&name[region.clone()]) {
        return None;
    }
    Some(AwsName {
        kind: EndpointKind::Dsql,
        partition: Some(Partition::of_region(&name[region.clone()])),
        id_end: place(&captures, "id")?.end,
        domain: None,
        region: Some(region),
    })
}

fn place(captures: &Captures<'_>, group: &str) -> Option<Range<usize>> {
    captures.name(group).map(|found| found.range())
}

#[expect(clippy::expect_used, reason = "both expressions are constants that every test of a name compiles")]
fn compile(expression: &str) -> Regex {
    Regex::new(expression).expect("a constant expression compiles")
}
