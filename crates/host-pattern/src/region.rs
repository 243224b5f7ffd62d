//! The names of regions.

use crate::error::{Error, ErrorKind};
use crate::name::shown;
use crate::partition::Partition;
use crate::text;

/// The name of an AWS region, such as `us-east-1`, in lower case.
///
/// Only the shape is checked: two to four words of letters, then a number, joined by hyphens, and
/// no more characters than a DNS label has. There is no list of regions, so a region that AWS opens
/// tomorrow works today.
#[derive(Clone)]
pub struct Region(String);

impl Region {
    /// Parses a region, trimmed and in any case.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Empty`] for blanks alone, [`ErrorKind::Region`] for any other text without the
    /// shape of a region; for an availability zone (`us-east-1a`) the message names its region.
    ///
    /// # Examples
    ///
    /// ```
    /// use host_pattern::{Partition, Region};
    ///
    /// let region = Region::parse(" US-Gov-West-1 ")?;
    /// assert_eq!(region.as_str(), "us-gov-west-1");
    /// assert_eq!(region.partition(), Partition::AwsUsGov);
    /// # Ok::<(), host_pattern::Error>(())
    /// ```
    pub fn parse(region: &str) -> Result<Self, Error> {
        let text = region.trim();
        if text.is_empty() {
            return Err(Error::new(ErrorKind::Empty, "empty region, expected one such as `us-east-1`"));
        }
        let lower = text.to_ascii_lowercase();
        if has_region_shape(&lower) {
            return Ok(Self(lower));
        }
        let zone_of = lower.strip_suffix(|letter: char| letter.is_ascii_lowercase());
        let message = match (
            zone_of.filter(|region| has_region_shape(region)),
            shown(text).filter(|_| text.len() <= 32),
        ) {
            (Some(region), _) => format!("`{lower}` is an availability zone, its region is `{region}`"),
            (None, Some(text)) => format!("malformed region name {text}, expected one such as `us-east-1`"),
            (None, None) => "malformed region name, expected one such as `us-east-1`".to_owned(),
        };
        Err(Error::new(ErrorKind::Region, message))
    }

    /// Returns the region's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn into_string(self) -> String {
        self.0
    }

    /// Returns the partition, which follows from the words of the name.
    pub fn partition(&self) -> Partition {
        Partition::of_region(&self.0)
    }
}

text::as_str!(Region);

fn has_region_shape(lower: &str) -> bool {
    let Some((words, number)) = lower.rsplit_once('-') else { return false };
    let is_word = |word: &str| (2..=16).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase());
    let is_number = (1..=2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    // Regions so far have words of 2 to 9 letters and a number of one digit; there is room to grow.
    lower.len() <= 63
        && is_number
        && (2..=4).contains(&words.split('-').count())
        && words.split('-').all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, kind: ErrorKind, message: &str) {
        let error = Region::parse(text).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
    }

    #[test]
    fn region_of_every_partition_is_accepted() {
        for (name, partition) in [
            ("us-east-1", Partition::Aws),
            ("ap-southeast-7", Partition::Aws),
            ("mx-central-1", Partition::Aws),
            ("xy-newland-12", Partition::Aws),
            ("cn-northwest-1", Partition::AwsCn),
            ("eusc-de-east-1", Partition::AwsEusc),
            ("us-iso-east-1", Partition::AwsIso),
            ("us-isob-east-1", Partition::AwsIsoB),
            ("eu-isoe-west-1", Partition::AwsIsoE),
            ("us-isof-south-1", Partition::AwsIsoF),
            ("us-gov-west-1", Partition::AwsUsGov),
        ] {
            let region = Region::parse(name).unwrap();
            assert_eq!((region.as_str(), region.partition()), (name, partition));
        }
    }

    #[test]
    fn blanks_and_upper_case_are_normalised() {
        assert_eq!(Region::parse("\tEU-Central-1 \n").unwrap().to_string(), "eu-central-1");
    }

    #[test]
    fn availability_zone_is_refused_with_its_region() {
        check_refused(
            "us-east-1A",
            ErrorKind::Region,
            "`us-east-1a` is an availability zone, its region is `us-east-1`",
        );
    }

    #[test]
    fn text_without_the_shape_is_refused() {
        for text in ["us-east", "useast1", "us-1", "1-2-3", "us--east-1", "us-east-1-", "us_east_1", "global"]
        {
            let message = format!("malformed region name `{text}`, expected one such as `us-east-1`");
            check_refused(text, ErrorKind::Region, &message);
        }
    }

    #[test]
    fn text_with_other_characters_is_not_repeated() {
        for text in ["jane:pw@host", "us east 1", "a/b+c", "ümlaut"] {
            check_refused(text, ErrorKind::Region, "malformed region name, expected one such as `us-east-1`");
        }
    }

    #[test]
    fn blanks_alone_are_refused_as_empty() {
        check_refused(" ", ErrorKind::Empty, "empty region, expected one such as `us-east-1`");
    }
}
