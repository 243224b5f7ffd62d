//! Any text is an endpoint whose canonical name parses to the same, or an error that shows no user
//! info.

#![no_main]

use host_pattern::{Endpoint, EndpointKind, ErrorKind, InstancePattern, Region, without_green};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let plain = without_green(text);
    match Endpoint::parse(text) {
        Ok(endpoint) => {
            check_endpoint(&endpoint);
            assert_eq!(Endpoint::parse(&plain), Ok(endpoint.without_green()));
        }
        Err(error) => {
            assert_eq!(plain, text);
            let shown = error.to_string();
            assert!(!shown.is_empty() && shown.len() < 400 && !shown.contains(char::is_control), "{shown}");
            assert!(!text.contains('@') || matches!(error.kind(), ErrorKind::UserInfo | ErrorKind::Scheme));
        }
    }
    if let Ok(region) = Region::parse(text) {
        assert_eq!(Region::parse(region.as_str()), Ok(region));
    }
});

fn check_endpoint(endpoint: &Endpoint) {
    let name = endpoint.as_str();
    assert_eq!(Endpoint::parse(name).as_ref(), Ok(endpoint));
    assert!(name.len() <= 253 && !name.contains(|c: char| c.is_ascii_uppercase() || c.is_whitespace()));

    let is_aws = endpoint.is_rds() || endpoint.kind() == EndpointKind::Dsql;
    assert_eq!(endpoint.id().is_some(), is_aws);
    assert_eq!(endpoint.region().is_some(), is_aws && endpoint.kind() != EndpointKind::GlobalWriter);
    assert_eq!(endpoint.ip().is_some(), endpoint.kind() == EndpointKind::Ip);
    assert_ne!(endpoint.region(), Some("global"));

    let pattern = endpoint.instance_pattern();
    assert_eq!(pattern.as_ref().and_then(InstancePattern::domain), endpoint.domain());
    if let Some(pattern) = pattern {
        assert_eq!(InstancePattern::parse(pattern.as_str()), Ok(pattern));
    }
    if let Some(writer) = endpoint.writer_endpoint() {
        assert_eq!(writer.id(), endpoint.id());
        assert_eq!(writer.writer_endpoint().as_ref(), Some(&writer));
    }
}
