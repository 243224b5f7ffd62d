//! The signing time, in the formats that SigV4 requires.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use time::OffsetDateTime;

use crate::{Error, ErrorKind};

/// 9999-12-31T23:59:59Z, the last second whose year has four digits.
const LAST_SECOND: u64 = 253_402_300_799;
const SECONDS_PER_DAY: u64 = 86_400;

/// A whole second between 1970 and 9999.
pub(crate) struct SigningTime {
    seconds: u64,
    text: [u8; 16],
}

impl SigningTime {
    /// Cuts `now` down to its second.
    pub(crate) fn new(now: SystemTime) -> Result<Self, Error> {
        let seconds = now.duration_since(UNIX_EPOCH).map_err(|_| invalid("is before 1970"))?.as_secs();
        if seconds > LAST_SECOND {
            return Err(invalid("is after the year 9999"));
        }
        let date_time = utc(seconds).ok_or_else(|| invalid("has no calendar date"))?;
        let mut text = *b"00000000T000000Z";
        let (year, month, day) = date_time.to_calendar_date();
        let (hour, minute, second) = date_time.to_hms();
        write_digits(&mut text[0..4], year.unsigned_abs());
        write_digits(&mut text[4..6], u32::from(u8::from(month)));
        write_digits(&mut text[6..8], u32::from(day));
        write_digits(&mut text[9..11], u32::from(hour));
        write_digits(&mut text[11..13], u32::from(minute));
        write_digits(&mut text[13..15], u32::from(second));
        Ok(Self { seconds, text })
    }

    /// Returns the value of `X-Amz-Date`: `YYYYMMDD'T'HHMMSS'Z'`.
    pub(crate) fn date_time(&self) -> &str {
        #[expect(clippy::expect_used, reason = "`new` writes only ASCII digits, T and Z")]
        std::str::from_utf8(&self.text).expect("ASCII")
    }

    /// Returns the number of seconds since 1970.
    pub(crate) fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Returns the number of days since 1970, which changes when the signing key does.
    pub(crate) fn day(&self) -> u64 {
        self.seconds / SECONDS_PER_DAY
    }

    pub(crate) fn system_time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.seconds)
    }
}

/// Prints a time as `YYYY-MM-DDTHH:MM:SSZ`.
pub(crate) struct Rfc3339(pub(crate) SystemTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = match self.0.duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_secs(),
            Err(_) => return f.write_str("a time before 1970"),
        };
        match utc(seconds) {
            Some(t) => write!(
                f,
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                t.year(),
                u8::from(t.month()),
                t.day(),
                t.hour(),
                t.minute(),
                t.second()
            ),
            None => f.write_str("a time after the year 9999"),
        }
    }
}

fn utc(seconds: u64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()
}

fn write_digits(out: &mut [u8], mut value: u32) {
    for digit in out.iter_mut().rev() {
        // The remainder is at most 9, so the cast loses nothing.
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidTime, format!("signing time {what}: check the clock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[track_caller]
    fn check(seconds: u64, expected: &str) {
        let time = SigningTime::new(at(seconds)).unwrap();
        assert_eq!(time.date_time(), expected);
        assert_eq!(time.system_time(), at(seconds));
    }

    #[test]
    fn first_second_is_accepted() {
        check(0, "19700101T000000Z");
    }

    #[test]
    fn leap_day_is_written() {
        check(1_709_251_199, "20240229T235959Z");
    }

    #[test]
    fn last_second_is_accepted() {
        check(LAST_SECOND, "99991231T235959Z");
    }

    #[test]
    fn fraction_of_a_second_is_cut() {
        let time = SigningTime::new(at(7) + Duration::from_millis(999)).unwrap();
        assert_eq!(time.system_time(), at(7));
    }

    #[test]
    fn time_before_the_epoch_is_refused() {
        let error = SigningTime::new(UNIX_EPOCH - Duration::from_nanos(1)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidTime);
    }

    #[test]
    fn time_after_9999_is_refused() {
        let error = SigningTime::new(at(LAST_SECOND + 1)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidTime);
        assert!(error.to_string().contains("after the year 9999"), "{error}");
    }

    #[test]
    fn day_changes_at_midnight() {
        assert_eq!(SigningTime::new(at(86_399)).unwrap().day(), 0);
        assert_eq!(SigningTime::new(at(86_400)).unwrap().day(), 1);
    }

    #[test]
    fn times_out_of_range_are_still_printed() {
        assert_eq!(Rfc3339(at(1_736_944_496)).to_string(), "2025-01-15T12:34:56Z");
        assert_eq!(Rfc3339(UNIX_EPOCH - Duration::from_secs(1)).to_string(), "a time before 1970");
        assert_eq!(Rfc3339(at(LAST_SECOND + 1)).to_string(), "a time after the year 9999");
    }
}
