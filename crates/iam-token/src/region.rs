//! Region names and the DNS suffix of their partition.

use crate::{Error, ErrorKind};

/// The longest DNS label. It also bounds the string to sign, which is kept on the stack.
pub(crate) const MAX_SCOPE_PART: usize = 63;

/// Returns `region` trimmed and in lower case, if it has the shape of a region: two to four words
/// of letters and a number, joined by hyphens. There is no list of regions: such lists age.
///
/// `host-pattern` has the same rule, and one table of regions tests both.
pub(crate) fn parse(region: &str) -> Result<String, Error> {
    let lower = region.trim().to_ascii_lowercase();
    if lower.is_empty() {
        return Err(Error::missing_region());
    }
    if !has_region_shape(&lower) {
        let message = format!("region {} is malformed: use a name such as us-east-2", shown(region));
        return Err(Error::new(ErrorKind::InvalidRegion, message));
    }
    Ok(lower)
}

fn has_region_shape(lower: &str) -> bool {
    let Some((words, number)) = lower.rsplit_once('-') else { return false };
    let is_word = |word: &str| (2..=16).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase());
    let is_number = (1..=2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    lower.len() <= MAX_SCOPE_PART
        && is_number
        && (2..=4).contains(&words.split('-').count())
        && words.split('-').all(is_word)
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
/// Source: the partitions of
/// <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>
/// and their suffixes in the endpoint rules of the AWS SDKs.
pub(crate) fn dns_suffix(region: &str) -> &'static str {
    // With their hyphens: `us-iso` alone would match `us-isob` and `us-isof` as well.
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
            assert_eq!(parse(region).unwrap(), region);
        }
    }

    #[test]
    fn blanks_and_upper_case_are_normalised() {
        assert_eq!(parse("\tUS-Gov-West-1 \n").unwrap(), "us-gov-west-1");
    }

    #[test]
    fn empty_region_is_missing() {
        for region in ["", " \n"] {
            assert_eq!(parse(region).unwrap_err().kind(), ErrorKind::MissingRegion);
        }
    }

    #[test]
    fn malformed_region_is_named() {
        for region in [
            "us east 2",
            "us-east-2/x",
            "-us",
            "us-",
            "-",
            "moon",
            "us-east-2a",
            "eu_west_1",
            "ü",
            "us-east-200",
            &"a".repeat(64),
        ] {
            let error = parse(region).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRegion, "{region}");
            assert!(error.to_string().contains(region), "{error}");
        }
    }

    #[test]
    fn length_of_a_region_is_bounded() {
        let region =
            |last: usize| ["a", "b", "c"].map(|word| word.repeat(16)).join("-") + "-" + &"d".repeat(last);
        assert_eq!(parse(&(region(10) + "-1")).unwrap().len(), MAX_SCOPE_PART);
        assert_eq!(parse(&(region(11) + "-1")).unwrap_err().kind(), ErrorKind::InvalidRegion);
    }

    #[test]
    fn scope_part_has_no_outer_hyphens_and_a_bounded_length() {
        for (text, is_one) in [
            ("a", true),
            ("a-1", true),
            (&*"a".repeat(63), true),
            (&*"a".repeat(64), false),
            ("", false),
            ("-a", false),
            ("a-", false),
            ("A", false),
        ] {
            assert_eq!(is_scope_part(text), is_one, "{text}");
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
