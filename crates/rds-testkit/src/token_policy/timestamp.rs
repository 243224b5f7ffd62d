//! `X-Amz-Date` as a point in time.

use std::time::{Duration, SystemTime};

/// Reads `YYYYMMDDTHHMMSSZ`, from 1970 on.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    let shape = |(at, byte): (usize, &u8)| match at {
        8 => *byte == b'T',
        15 => *byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    if bytes.len() != 16 || !bytes.iter().enumerate().all(shape) {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if year < 1970 || !(1..=days_in(year, month)?).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let years = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum::<u64>();
    let months = (1..month).filter_map(|month| days_in(year, month)).sum::<u64>();
    let seconds = (((years + months + day - 1) * 24 + hour) * 60 + minute) * 60 + second;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn days_in(year: u64, month: u64) -> Option<u64> {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if is_leap(year) { 29 } else { 28 }),
        _ => None,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_read_to_the_second() {
        let seconds = |text| parse(text).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds("19700101T000000Z"), 0);
        assert_eq!(seconds("20000229T235959Z"), 951_868_799);
        assert_eq!(seconds("20250115T123456Z"), 1_736_944_496);
    }

    #[test]
    fn date_of_no_calendar_is_refused() {
        let wrong = ["", "20250229T000000Z", "20251301T000000Z", "20250101T240000Z", "20250101 000000Z"];
        assert!(
            wrong.iter().chain(&["+0250101T000000Z", "2025010éT00000Z"]).all(|text| parse(text).is_none())
        );
    }
}
