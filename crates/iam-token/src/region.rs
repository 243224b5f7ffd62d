//! Region names and the DNS suffix of their partition.

use crate::{Error, ErrorKind};

/// The longest DNS label; it also bounds the string to sign, which lives on the stack.
pub(crate) const MAX_SCOPE_PART: usize = 63;

/// Checks that `region` is a plain region name.
pub(crate) fn check(region: &str) -> Result<(), Error> {
    if region.is_empty() {
        return Err(Error::missing_region());
    }
    if !is_scope_part(region) {
        let hint = "use a name such as us-east-2, in lower case";
        return Err(Error::new(
            ErrorKind::InvalidRegion,
            format!("region {} is malformed: {hint}", shown(region)),
        ));
    }
    Ok(())
}

/// Tells whether `text` can stand in a credential scope and a host name without any encoding.
pub(crate) fn is_scope_part(text: &str) -> bool {
    (1..=MAX_SCOPE_PART).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Quotes `text` for an error message, escaped and cut to a readable length.
pub(crate) fn shown(text: &str) -> String {
    const LIMIT: usize = 80;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Returns the DNS suffix of the service endpoints in `region`.
///
/// Source: the partitions of <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>
/// and their suffixes in the endpoint rules of the AWS SDKs.
pub(crate) fn dns_suffix(region: &str) -> &'static str {
    const SUFFIXES: &[(&str, &str)] = &[
        ("cn-", "amazonaws.com.cn"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("eusc-", "amazonaws.eu"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-isof-", "csp.hci.ic.gov"),
    ];
    SUFFIXES
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or("amazonaws.com", |(_, suffix)| suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_all_partitions_are_accepted() {
        for region in ["us-east-2", "cn-northwest-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1"] {
            check(region).unwrap();
        }
    }

    #[test]
    fn empty_region_is_missing() {
        assert_eq!(check("").unwrap_err().kind(), ErrorKind::MissingRegion);
    }

    #[test]
    fn malformed_region_is_named() {
        for region in
            ["us east 2", "US-EAST-2", "us-east-2/x", "-us", "us-", "eu_west_1", "ü", &"a".repeat(64)]
        {
            let error = check(region).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRegion, "{region}");
            assert!(error.to_string().contains(region), "{error}");
        }
    }

    #[test]
    fn long_values_are_cut_in_messages() {
        assert_eq!(shown(&"é".repeat(200)).chars().count(), 83);
        assert_eq!(shown("a\nb"), r#""a\nb""#);
    }

    #[test]
    fn suffix_follows_the_partition() {
        for (region, suffix) in [
            ("us-east-1", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("us-isof-south-1", "csp.hci.ic.gov"),
            ("eu-isoe-west-1", "cloud.adc-e.uk"),
            ("eusc-de-east-1", "amazonaws.eu"),
        ] {
            assert_eq!(dns_suffix(region), suffix, "{region}");
        }
    }
}
