//! Checks the endpoint of the service in a configuration.

use host_pattern::{Endpoint, Partition};
use wrapper_core::{Error, ErrorKind, Result, text::shown};

/// DNS suffixes of AWS besides those of the partitions, for dual-stack endpoints.
const DUAL_STACK: [&str; 2] = ["api.aws", "api.amazonwebservices.com.cn"];

/// The partitions, each with a suffix of its own.
const PARTITIONS: [Partition; 8] = [
    Partition::Aws,
    Partition::AwsCn,
    Partition::AwsEusc,
    Partition::AwsIso,
    Partition::AwsIsoB,
    Partition::AwsIsoE,
    Partition::AwsIsoF,
    Partition::AwsUsGov,
];

/// Checks an endpoint that a connection string names.
///
/// The endpoint decides about user and password, so a string can only name the service itself: over
/// TLS, under a DNS suffix of AWS, and with the service in its name, since AWS customers get hosts
/// under the same suffixes.
///
/// # Errors
///
/// A configuration error with an example of a valid endpoint.
pub(crate) fn check_configured(endpoint: &str) -> Result<()> {
    // Only `https://`: over clear text anyone on the way could hand out another login.
    let host = endpoint.strip_prefix("https://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let host = host.and_then(|host| Endpoint::parse(host).ok());
    if host.is_some_and(|host| is_service(host.as_str())) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Configuration,
        format!(
            "`secretEndpoint` in a connection string must be Secrets Manager at AWS, as in \
             https://vpce-1a2b3c.secretsmanager.us-east-2.vpce.amazonaws.com, not {}: set any other in code",
            named(endpoint)
        ),
    ))
}

/// Shows the scheme and the host of an endpoint; user info, paths and queries may hold a password.
fn named(endpoint: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:-_[]".contains(c);
    let parts = endpoint.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
    let Some((scheme, rest)) = parts else { return shown(endpoint) };
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, _)| (host, "/…"));
    match (1..=256).contains(&host.len()) && host.chars().all(is_plain) {
        true => format!("`{scheme}://{host}{path}`"),
        false => shown(endpoint),
    }
}

fn is_service(host: &str) -> bool {
    let suffixes = PARTITIONS.iter().map(|partition| partition.dns_suffix()).chain(DUAL_STACK);
    // The dot is a part of the match: `evilamazonaws.com` has the same letters at its end.
    let mut rests = suffixes.filter_map(|suffix| host.strip_suffix(suffix)?.strip_suffix('.'));
    rests.any(|rest| {
        let labels: Vec<_> = rest.split('.').collect();
        let is_name = |label: &str| matches!(label, "secretsmanager" | "secretsmanager-fips");
        match labels[..] {
            // secretsmanager.us-east-2.amazonaws.com
            [service, _region] => is_name(service),
            // vpce-1a2b3c.secretsmanager.us-east-2.vpce.amazonaws.com
            [.., service, _region, "vpce"] => is_name(service),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_of_the_service_ok() {
        for host in [
            "secretsmanager.us-east-2.amazonaws.com",
            "secretsmanager-fips.us-gov-west-1.amazonaws.com/",
            "secretsmanager.cn-north-1.amazonaws.com.cn",
            "secretsmanager.eusc-de-east-1.amazonaws.eu",
            "secretsmanager.us-east-2.api.aws",
            "vpce-1a-b-us-east-2a.secretsmanager.us-east-2.vpce.amazonaws.com",
        ] {
            assert!(check_configured(&format!("https://{host}")).is_ok(), "{host}");
        }
    }

    #[test]
    fn endpoint_of_somebody_else_wrong() {
        for endpoint in [
            "http://secretsmanager.us-east-2.amazonaws.com",
            "https://jane:hunter2@secretsmanager.us-east-2.amazonaws.com",
            "https://secretsmanager.us-east-2.amazonaws.com.evil.example",
            "https://evilamazonaws.com",
            "https://secretsmanager.us-east-2.evilamazonaws.com",
            "https://abc.execute-api.us-east-2.amazonaws.com?hunter2",
            "https://abc.execute-api.us-east-2.amazonaws.com",
            "https://secretsmanager.s3.us-east-2.amazonaws.com",
            "https://secretsmanager.us-east-2.amazonaws.com/hunter2",
            "https://secretsmanager.us-east-2.amazonaws.com:8443",
            "https://127.0.0.1",
            "",
        ] {
            let message = check_configured(endpoint).expect_err("not the service").to_string();
            assert!(message.contains("set any other in code") && !message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn endpoint_of_somebody_else_is_named_without_what_may_be_a_password() {
        for (endpoint, shown) in [
            ("http://127.0.0.1:1", "not `http://127.0.0.1:1`"),
            ("https://[::1]:8443", "not `https://[::1]:8443`"),
            ("https://vault.example/v1", "not `https://vault.example/…`"),
            ("vault.example", "not `vault.example`"),
            ("https://jane:hunter2@vault.example", "not the given text of 34 characters"),
            ("https://vault.example?hunter2", "not the given text of 29 characters"),
            ("", "not empty text"),
        ] {
            let message = check_configured(endpoint).expect_err("not the service").to_string();
            assert!(message.ends_with(&format!("{shown}: set any other in code")), "{message}");
        }
    }
}
