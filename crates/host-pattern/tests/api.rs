//! What the crate promises to its dependents: its exports, their traits, and the words for people.

use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, HashMap};
use std::error;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::net::IpAddr;
use std::str::FromStr;

use host_pattern::{
    Endpoint, EndpointKind, Error, ErrorKind, InstancePattern, Partition, Region, without_green,
};

fn is_shared<T: Send + Sync + Unpin + Clone + Debug + Eq + 'static>() {}
fn is_parsed<T>()
where
    T: FromStr<Err = Error> + for<'a> TryFrom<&'a str, Error = Error>,
    T: Display + Into<String> + Ord + Hash + AsRef<str> + Borrow<str>,
{
}
fn is_plain<T: Copy + Ord + Hash>() {}
fn is_named<T: FromStr<Err = Error> + Display>() {}

#[test]
fn types_have_the_traits_that_dependents_need() {
    is_shared::<Endpoint>();
    is_shared::<EndpointKind>();
    is_shared::<Error>();
    is_shared::<ErrorKind>();
    is_shared::<InstancePattern>();
    is_shared::<Partition>();
    is_shared::<Region>();
    is_parsed::<Endpoint>();
    is_parsed::<InstancePattern>();
    is_parsed::<Region>();
    is_plain::<EndpointKind>();
    is_plain::<Partition>();
    is_named::<EndpointKind>();
    is_named::<Partition>();
    fn is_error<T: error::Error>() {}
    is_error::<Error>();
}

#[test]
fn functions_have_the_signatures_that_dependents_need() {
    let _: fn(&str) -> Result<Endpoint, Error> = Endpoint::parse;
    let _: fn(&Endpoint) -> &str = Endpoint::as_str;
    let _: fn(&Endpoint) -> EndpointKind = Endpoint::kind;
    let _: fn(&Endpoint) -> Option<&str> = Endpoint::id;
    let _: fn(&Endpoint) -> Option<&str> = Endpoint::region;
    let _: fn(&Endpoint) -> Option<Partition> = Endpoint::partition;
    let _: fn(&Endpoint) -> Option<&str> = Endpoint::domain;
    let _: fn(&Endpoint) -> Option<IpAddr> = Endpoint::ip;
    let _: fn(&Endpoint) -> bool = Endpoint::is_rds;
    let _: fn(&Endpoint) -> bool = Endpoint::is_green;
    let _: fn(&Endpoint) -> bool = Endpoint::is_old;
    let _: fn(&Endpoint) -> Endpoint = Endpoint::without_green;
    let _: fn(&Endpoint) -> Option<InstancePattern> = Endpoint::instance_pattern;
    let _: fn(&Endpoint) -> Option<Endpoint> = Endpoint::writer_endpoint;
    let _: fn(&str) -> Result<InstancePattern, Error> = InstancePattern::parse;
    let _: fn(&InstancePattern) -> &str = InstancePattern::as_str;
    let _: fn(&InstancePattern) -> Option<u16> = InstancePattern::port;
    let _: fn(&InstancePattern) -> Option<&str> = InstancePattern::domain;
    let _: fn(&InstancePattern, &str) -> Result<String, Error> = InstancePattern::host;
    let _: for<'a> fn(&InstancePattern, &'a str) -> Option<&'a str> = InstancePattern::instance_id;
    let _: fn(&str) -> Result<Region, Error> = Region::parse;
    let _: fn(&Region) -> &str = Region::as_str;
    let _: fn(&Region) -> Partition = Region::partition;
    let _: fn(Partition) -> &'static str = Partition::id;
    let _: fn(Partition) -> &'static str = Partition::dns_suffix;
    let _: fn(EndpointKind) -> &'static str = EndpointKind::as_str;
    let _: fn(&Error) -> ErrorKind = Error::kind;
    let _: fn(&str) -> Cow<'_, str> = without_green;
}

#[test]
fn kind_is_shown_in_words() {
    for (kind, words) in [
        (EndpointKind::Custom, "custom domain name"),
        (EndpointKind::CustomCluster, "custom cluster endpoint"),
        (EndpointKind::Dsql, "DSQL cluster endpoint"),
        (EndpointKind::GlobalWriter, "global database writer endpoint"),
        (EndpointKind::Instance, "instance endpoint"),
        (EndpointKind::Ip, "IP address"),
        (EndpointKind::Proxy, "proxy"),
        (EndpointKind::ProxyEndpoint, "proxy endpoint"),
        (EndpointKind::ReaderCluster, "cluster reader endpoint"),
        (EndpointKind::ShardGroup, "shard group endpoint"),
        (EndpointKind::WriterCluster, "cluster writer endpoint"),
    ] {
        assert_eq!((kind.to_string().as_str(), kind.as_str()), (words, words));
        assert_eq!(words.parse(), Ok(kind));
        assert_eq!(words.to_ascii_uppercase().parse(), Ok(kind));
    }
}

#[test]
fn partition_has_its_id_and_suffix() {
    for (partition, id, suffix) in [
        (Partition::Aws, "aws", "amazonaws.com"),
        (Partition::AwsCn, "aws-cn", "amazonaws.com.cn"),
        (Partition::AwsEusc, "aws-eusc", "amazonaws.eu"),
        (Partition::AwsIso, "aws-iso", "c2s.ic.gov"),
        (Partition::AwsIsoB, "aws-iso-b", "sc2s.sgov.gov"),
        (Partition::AwsIsoE, "aws-iso-e", "cloud.adc-e.uk"),
        (Partition::AwsIsoF, "aws-iso-f", "csp.hci.ic.gov"),
        (Partition::AwsUsGov, "aws-us-gov", "amazonaws.com"),
    ] {
        assert_eq!(
            (partition.to_string().as_str(), partition.id(), partition.dns_suffix()),
            (id, id, suffix)
        );
        assert_eq!(id.parse(), Ok(partition));
        assert_eq!(id.to_ascii_uppercase().parse(), Ok(partition));
    }
}

#[test]
fn unknown_kind_or_partition_is_refused() {
    for text in ["", "endpoint", "aws-moon", "jane:hunter2@db", "instance endpoint "] {
        let kind = text.parse::<EndpointKind>().unwrap_err();
        assert_eq!(kind.kind(), ErrorKind::EndpointKind);
        assert_eq!(kind.to_string(), "unknown kind of endpoint, expected one such as `instance endpoint`");
        let partition = text.parse::<Partition>().unwrap_err();
        assert_eq!(partition.kind(), ErrorKind::Partition);
        assert_eq!(partition.to_string(), "unknown partition, expected one such as `aws` or `aws-us-gov`");
    }
}

#[test]
fn debug_shows_the_name() {
    let endpoint = Endpoint::parse("Db.abc123.us-east-2.rds.amazonaws.com.").unwrap();
    assert_eq!(format!("{endpoint:?}"), "Endpoint(\"db.abc123.us-east-2.rds.amazonaws.com\")");
    assert_eq!(format!("{:?}", Endpoint::parse("[::1]").unwrap()), "Endpoint(\"::1\")");
    assert_eq!(
        format!("{:?}", InstancePattern::parse("?.db.example:5432").unwrap()),
        "InstancePattern(\"?.db.example:5432\")"
    );
    assert_eq!(format!("{:?}", Region::parse("US-East-2").unwrap()), "Region(\"us-east-2\")");
}

#[test]
fn maps_by_endpoint_are_asked_by_name() {
    let names = ["db.example", "::1", "db.cluster-abc123.us-east-2.rds.amazonaws.com"];
    let endpoints = || names.into_iter().map(|name| (Endpoint::parse(name).unwrap(), name));
    let (hashed, ordered): (HashMap<_, _>, BTreeMap<_, _>) = (endpoints().collect(), endpoints().collect());
    for name in names {
        assert_eq!((hashed.get(name), ordered.get(name)), (Some(&name), Some(&name)));
    }
    let regions: HashMap<_, _> = [(Region::parse("us-east-2").unwrap(), 1)].into();
    assert_eq!(regions.get("us-east-2"), Some(&1));
    let patterns: HashMap<_, _> = [(InstancePattern::parse("?.Db.example:5432").unwrap(), 1)].into();
    assert_eq!(patterns.get("?.db.example:5432"), Some(&1));
}

#[test]
fn endpoints_are_ordered_by_name() {
    let parse = |name| Endpoint::parse(name).unwrap();
    let mut endpoints = [
        parse("b.example"),
        parse("B.cluster-abc123.us-east-2.rds.amazonaws.com"),
        parse("::1"),
        parse("a.example"),
    ];
    endpoints.sort();
    let names: Vec<String> = endpoints.into_iter().map(Into::into).collect();
    assert_eq!(names, ["::1", "a.example", "b.cluster-abc123.us-east-2.rds.amazonaws.com", "b.example"]);
}

#[test]
fn name_that_would_become_an_address_keeps_its_green_suffix() {
    for name in ["10-green-abc123.0.0.1", "192-GREEN-abc123.168.0.1."] {
        assert_eq!(without_green(name), name);
        let endpoint = Endpoint::parse(name).unwrap();
        assert_eq!(endpoint.without_green(), endpoint);
    }
}

#[test]
fn bare_id_loses_its_green_suffix() {
    for (id, plain) in [
        ("orders-1-green-5jznso", "orders-1"),
        ("Orders-1-GREEN-5JZNSO", "Orders-1"),
        ("orders-1-green-5jzns", "orders-1-green-5jzns"),
        ("orders-1-green-5jznso1", "orders-1-green-5jznso1"),
        ("orders-1-green-5jzn_o", "orders-1-green-5jzn_o"),
        ("-green-5jznso", "-green-5jznso"),
        ("orders-1", "orders-1"),
        ("", ""),
        ("no host name-green-5jznso", "no host name-green-5jznso"),
    ] {
        assert_eq!(without_green(id), plain);
    }
}

#[test]
fn text_without_the_green_suffix_is_borrowed() {
    assert!(matches!(without_green("orders-1.example"), Cow::Borrowed(_)));
}
