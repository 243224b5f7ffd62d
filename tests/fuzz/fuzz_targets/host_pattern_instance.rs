//! Any text is a pattern whose hosts and instance ids undo each other, or an error.
//!
//! An input is a pattern, an instance id and a host, separated by line breaks.

#![no_main]

use host_pattern::{Endpoint, InstancePattern};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut pieces = text.splitn(3, '\n');
    let pattern = InstancePattern::parse(pieces.next().unwrap_or_default());
    let id = pieces.next().unwrap_or_default();
    let host = pieces.next().unwrap_or_default();
    let pattern = match pattern {
        Ok(pattern) => pattern,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(InstancePattern::parse(pattern.as_str()).as_ref(), Ok(&pattern));
    check_host(&pattern, id);
    check_host(&pattern, "instance-1");
    if let Some(id) = pattern.instance_id(host) {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        assert_eq!(pattern.host(id), Ok(host));
    }
});

fn check_host(pattern: &InstancePattern, id: &str) {
    let Ok(host) = pattern.host(id) else { return };
    assert_eq!(pattern.instance_id(&host), Some(id.to_ascii_lowercase().as_str()));
    let endpoint = Endpoint::parse(&host).expect("a pattern builds host names");
    assert_eq!(endpoint.as_str(), host);
    assert_eq!(endpoint.ip(), None);
}
