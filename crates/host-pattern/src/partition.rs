//! The partitions of AWS.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};
use crate::name::one_of;

/// A separate part of AWS with regions, accounts and DNS suffixes of its own.
///
/// Source: the `partitions.json` that AWS publishes with its SDKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Partition {
    /// The commercial regions.
    Aws,
    /// China.
    AwsCn,
    /// The European Sovereign Cloud.
    AwsEusc,
    /// US isolated (`us-iso-…`).
    AwsIso,
    /// US isolated B (`us-isob-…`).
    AwsIsoB,
    /// EU isolated E (`eu-isoe-…`).
    AwsIsoE,
    /// US isolated F (`us-isof-…`).
    AwsIsoF,
    /// GovCloud (US).
    AwsUsGov,
}

impl Partition {
    const ALL: [Self; 8] = [
        Self::Aws,
        Self::AwsCn,
        Self::AwsEusc,
        Self::AwsIso,
        Self::AwsIsoB,
        Self::AwsIsoE,
        Self::AwsIsoF,
        Self::AwsUsGov,
    ];

    /// Returns the name used in ARNs, such as `aws-us-gov`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsEusc => "aws-eusc",
            Self::AwsIso => "aws-iso",
            Self::AwsIsoB => "aws-iso-b",
            Self::AwsIsoE => "aws-iso-e",
            Self::AwsIsoF => "aws-iso-f",
            Self::AwsUsGov => "aws-us-gov",
        }
    }

    /// Returns the suffix of the partition's host names, such as `amazonaws.com.cn`.
    pub fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::AwsUsGov => "amazonaws.com",
            Self::AwsCn => "amazonaws.com.cn",
            Self::AwsEusc => "amazonaws.eu",
            Self::AwsIso => "c2s.ic.gov",
            Self::AwsIsoB => "sc2s.sgov.gov",
            Self::AwsIsoE => "cloud.adc-e.uk",
            Self::AwsIsoF => "csp.hci.ic.gov",
        }
    }

    /// The first or second word of a region names its partition; all other regions are commercial.
    pub(crate) fn of_region(region: &str) -> Self {
        let mut words = region.split('-');
        // Only `cn` and `eusc` show in the first word; the others share `us` and `eu`.
        match (words.next(), words.next()) {
            (Some("cn"), _) => Self::AwsCn,
            (Some("eusc"), _) => Self::AwsEusc,
            (_, Some("gov")) => Self::AwsUsGov,
            (_, Some("iso")) => Self::AwsIso,
            (_, Some("isob")) => Self::AwsIsoB,
            (_, Some("isoe")) => Self::AwsIsoE,
            (_, Some("isof")) => Self::AwsIsoF,
            _ => Self::Aws,
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl FromStr for Partition {
    type Err = Error;

    /// Reads an [`id`](Self::id), in any case.
    fn from_str(text: &str) -> Result<Self, Error> {
        one_of(&Self::ALL, Self::id, text).ok_or_else(|| {
            Error::new(ErrorKind::Partition, "unknown partition, expected one such as `aws` or `aws-us-gov`")
        })
    }
}
