//! One rule for regions: `host-pattern` and `iam-token` know nothing of each other, and must not
//! differ.

use host_pattern::Region;
use iam_token::{ErrorKind, eks, msk, rds};

/// A given region and its canonical form; `None` if it is refused.
const REGIONS: &[(&str, Option<&str>)] = &[
    ("us-east-1", Some("us-east-1")),
    ("US-EAST-2", Some("us-east-2")),
    (" eu-Central-1\t", Some("eu-central-1")),
    ("ap-southeast-7\n", Some("ap-southeast-7")),
    ("\u{a0}mx-central-1", Some("mx-central-1")),
    ("xy-newland-12", Some("xy-newland-12")),
    ("cn-northwest-1", Some("cn-northwest-1")),
    ("us-gov-west-1", Some("us-gov-west-1")),
    ("us-iso-east-1", Some("us-iso-east-1")),
    ("us-isob-east-1", Some("us-isob-east-1")),
    ("us-isof-south-1", Some("us-isof-south-1")),
    ("eu-isoe-west-1", Some("eu-isoe-west-1")),
    ("eusc-de-east-1", Some("eusc-de-east-1")),
    (
        "aaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-aaaaaaaaa-12",
        Some("aaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-aaaaaaaaa-12"),
    ),
    ("aaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-aaaaaaaaaa-12", None),
    ("", None),
    (" ", None),
    ("-", None),
    ("--", None),
    ("-1", None),
    ("1", None),
    ("moon", None),
    ("global", None),
    ("aws-global", None),
    ("us-1", None),
    ("us-east", None),
    ("us-east-", None),
    ("-us-east-1", None),
    ("us--east-1", None),
    ("us-east-1a", None),
    ("us-east-100", None),
    ("us-west-2-lax-1", None),
    ("us-a-b-c-d-1", None),
    ("u-east-1", None),
    ("us_east_1", None),
    ("us east 1", None),
    ("us-east-1.", None),
    ("us-east-1/rds", None),
    ("us-east-\u{661}", None),
    ("\u{fc}s-east-1", None),
    ("us-east-1\0", None),
];

#[test]
fn region_is_read_alike_by_both_leaves() {
    for &(given, region) in REGIONS {
        let parsed = Region::parse(given);
        assert_eq!(parsed.as_ref().ok().map(Region::as_str), region, "{given:?}");

        for recipe in [rds("db.example", 5432, "jane").region(given), msk(given), eks("blue", given)] {
            match recipe.build() {
                Ok(request) => assert!(
                    region.is_some_and(|region| format!("{request:?}").contains(&format!("\"{region}\""))),
                    "{given:?}: {request:?}"
                ),
                Err(error) => {
                    assert_eq!(region, None, "{given:?}: {error}");
                    let kinds = [ErrorKind::InvalidRegion, ErrorKind::MissingRegion];
                    assert!(kinds.contains(&error.kind()), "{given:?}: {error}");
                }
            }
        }
    }
}
