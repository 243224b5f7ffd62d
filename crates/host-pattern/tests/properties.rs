//! What holds for every name, pattern and text.

use std::borrow::Borrow;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use host_pattern::{Endpoint, EndpointKind, ErrorKind, InstancePattern, Region, without_green};
use proptest::prelude::*;

const SUFFIXES: [&str; 9] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "amazonaws.au",
    "amazonaws.uk",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

const PREFIXES: [(&str, EndpointKind); 7] = [
    ("", EndpointKind::Instance),
    ("cluster-", EndpointKind::WriterCluster),
    ("cluster-ro-", EndpointKind::ReaderCluster),
    ("cluster-custom-", EndpointKind::CustomCluster),
    ("proxy-", EndpointKind::Proxy),
    ("endpoint.proxy-", EndpointKind::ProxyEndpoint),
    ("shardgrp-", EndpointKind::ShardGroup),
];

fn label() -> impl Strategy<Value = String> {
    "[a-z0-9_-]{1,20}".prop_filter("the word of a proxy endpoint", |label| label != "endpoint")
}

fn region() -> impl Strategy<Value = String> {
    "[a-z]{2,5}(-[a-z]{2,9}){1,3}-[0-9]{1,2}"
}

/// A domain in one of the orders, with its region.
fn domain() -> impl Strategy<Value = (String, String)> {
    let service = prop_oneof![Just("rds"), Just("rds-fips"), Just("rds-preview")];
    ("[a-z0-9]{1,14}", region(), service, any::<bool>(), prop::sample::select(&SUFFIXES[..])).prop_map(
        |(id, region, service, region_first, suffix)| {
            let place =
                if region_first { format!("{region}.{service}") } else { format!("{service}.{region}") };
            (format!("{id}.{place}.{suffix}"), region)
        },
    )
}

/// Text made of pieces that parsers care about, beside arbitrary characters.
fn host_like() -> impl Strategy<Value = String> {
    let pieces = [
        ".",
        "-",
        "?",
        ":",
        "@",
        "://",
        "/",
        "%",
        "[",
        "]",
        "::1",
        "10.0.0.1",
        "cluster-",
        "cluster-ro-",
        "proxy-",
        "endpoint",
        "global-",
        "global",
        "rds",
        "rds-fips",
        "rds-preview",
        "us-east-1",
        "amazonaws",
        ".amazonaws.com",
        ".c2s.ic.gov",
        "dsql",
        ".on.aws",
        "-green-abc123",
        "-old1",
        "abc",
        "ABC",
        "5432",
        "ü",
        "\0",
        " ",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..12).prop_map(|pieces| pieces.concat())
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "\\PC{0,300}", "[a-zA-Z0-9.?:-]{0,80}", host_like()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn rds_name_gives_its_parts_back(
        id in prop::collection::vec(label(), 1..4).prop_map(|labels| labels.join(".")),
        (prefix, kind) in prop::sample::select(&PREFIXES[..]),
        (domain, region) in domain(),
    ) {
        let name = format!("{id}.{prefix}{domain}");
        let endpoint = Endpoint::parse(&name).unwrap();
        prop_assert_eq!(endpoint.as_str(), name.as_str());
        prop_assert_eq!(endpoint.kind(), kind);
        prop_assert_eq!(endpoint.id(), Some(id.as_str()));
        prop_assert_eq!(endpoint.region(), Some(region.as_str()));
        prop_assert_eq!(endpoint.domain(), Some(domain.as_str()));
        prop_assert_eq!(endpoint.ip(), None);
        prop_assert!(endpoint.is_rds());
        prop_assert!(endpoint.partition().is_some());
        prop_assert_eq!(Endpoint::parse(&(name.to_ascii_uppercase() + ".")), Ok(endpoint));
    }

    #[test]
    fn dsql_name_gives_its_parts_back(id in "[a-z0-9]{26}", x in "(-[a-z0-9]{1,6})?", region in region()) {
        let endpoint = Endpoint::parse(&format!("{id}.dsql{x}.{region}.on.aws")).unwrap();
        prop_assert_eq!(endpoint.kind(), EndpointKind::Dsql);
        prop_assert_eq!(endpoint.id(), Some(id.as_str()));
        prop_assert_eq!(endpoint.region(), Some(region.as_str()));
        prop_assert!(!endpoint.is_rds() && endpoint.instance_pattern().is_none());
    }

    #[test]
    fn ip_address_gives_itself_back(address: IpAddr) {
        let endpoint = Endpoint::parse(&address.to_string()).unwrap();
        prop_assert_eq!(endpoint.ip(), Some(address));
        prop_assert_eq!(endpoint.to_string(), address.to_string());
    }

    #[test]
    fn ipv6_address_in_brackets_is_the_address(address: Ipv6Addr) {
        let endpoint = Endpoint::parse(&format!("[{address}]")).unwrap();
        prop_assert_eq!(endpoint, Endpoint::parse(&address.to_string()).unwrap());
    }

    #[test]
    fn any_text_parses_to_a_fixed_point_or_an_error(text in any_text()) {
        match Endpoint::parse(&text) {
            Ok(endpoint) => {
                let name = endpoint.as_str();
                prop_assert_eq!(&Endpoint::parse(name).unwrap(), &endpoint);
                prop_assert!(name.len() <= 253 && !name.ends_with('.'));
                let is_odd = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_whitespace();
                prop_assert!(!name.bytes().any(is_odd));
                let has_id = endpoint.is_rds() || endpoint.kind() == EndpointKind::Dsql;
                prop_assert_eq!(endpoint.id().is_some(), has_id);
                prop_assert_eq!(&Endpoint::parse(&without_green(&text)).unwrap(), &endpoint.without_green());
                if let Some(pattern) = endpoint.instance_pattern() {
                    prop_assert_eq!(InstancePattern::parse(pattern.as_str()), Ok(pattern));
                }
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn user_info_is_in_no_message(user in "[a-z]{9}", password in "[ -~]{9,20}", host in "[a-z./:?=]{0,20}") {
        for text in [
            format!("{user}:{password}@{host}"),
            format!("{user}@{host}"),
            format!("x://{user}:{password}@{host}"),
            format!("{user}:{password}@?.{host}"),
        ] {
            for error in [Endpoint::parse(&text).unwrap_err(), InstancePattern::parse(&text).unwrap_err()] {
                let shown = format!("{error} {error:?}");
                prop_assert!(matches!(error.kind(), ErrorKind::UserInfo | ErrorKind::Scheme), "{}", shown);
                prop_assert!(!shown.contains(&user) && !shown.contains(&password), "{}", shown);
            }
        }
    }

    #[test]
    fn host_and_instance_id_undo_each_other(
        before in "[a-z0-9_-]{0,6}",
        after in "[a-z0-9_-]{0,6}",
        domain in prop::collection::vec("[a-z][a-z0-9-]{0,9}", 1..5),
        port: Option<u16>,
        id in "[a-z0-9_-]{1,51}",
    ) {
        let port = port.filter(|&port| port > 0);
        let mut text = format!("{before}?{after}.{}", domain.join("."));
        if let Some(port) = port {
            text += &format!(":{port}");
        }
        let pattern = InstancePattern::parse(&text).unwrap();
        prop_assert_eq!(pattern.as_str(), text.as_str());
        prop_assert_eq!(pattern.port(), port);
        let host = pattern.host(&id).unwrap();
        prop_assert_eq!(pattern.instance_id(&host), Some(id.as_str()));
        prop_assert_eq!(Endpoint::parse(&host).unwrap().to_string(), host);
    }

    #[test]
    fn instance_of_a_domain_is_found_by_its_pattern((domain, region) in domain(), id in label()) {
        let cluster = Endpoint::parse(&format!("orders.cluster-{domain}")).unwrap();
        let instance = Endpoint::parse(&cluster.instance_pattern().unwrap().host(&id).unwrap()).unwrap();
        prop_assert_eq!(instance.kind(), EndpointKind::Instance);
        prop_assert_eq!((instance.id(), instance.region()), (Some(id.as_str()), Some(region.as_str())));
    }

    #[test]
    fn any_text_makes_a_pattern_or_an_error(text in any_text(), host in any_text()) {
        let Ok(pattern) = InstancePattern::parse(&text) else { return Ok(()) };
        prop_assert_eq!(&InstancePattern::parse(pattern.as_str()).unwrap(), &pattern);
        if let Some(id) = pattern.instance_id(&host) {
            let host = host.strip_suffix('.').unwrap_or(&host).to_ascii_lowercase();
            prop_assert_eq!(pattern.host(id).unwrap(), host);
        }
    }

    #[test]
    fn traits_agree_with_the_name(one in any_text(), other in any_text()) {
        let (Ok(one), Ok(other)) = (Endpoint::parse(&one), Endpoint::parse(&other)) else { return Ok(()) };
        let state = RandomState::new();
        let name: &str = Borrow::borrow(&one);
        prop_assert_eq!(state.hash_one(&one), state.hash_one(name));
        prop_assert_eq!(one.cmp(&other), one.as_str().cmp(other.as_str()));
        prop_assert_eq!(one == other, one.as_str() == other.as_str());
        let (shown, text) = (format!("{one:?}"), String::from(one.clone()));
        prop_assert!(shown.contains(one.as_str()));
        prop_assert_eq!(&text, one.as_str());
        prop_assert_eq!(Endpoint::try_from(text.as_str()), Ok(one));
    }

    #[test]
    fn removing_the_green_suffix_changes_no_kind(text in any_text()) {
        let Ok(endpoint) = Endpoint::parse(&text) else { return Ok(()) };
        prop_assert_eq!(endpoint.without_green().kind(), endpoint.kind());
    }

    #[test]
    fn region_is_a_fixed_point(text in prop_oneof![region(), any_text()]) {
        if let Ok(region) = Region::parse(&text) {
            prop_assert_eq!(region.as_str(), text.trim().to_ascii_lowercase());
            prop_assert_eq!(Region::parse(region.as_str()), Ok(region));
        }
    }
}
