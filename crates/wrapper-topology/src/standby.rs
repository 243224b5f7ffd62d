//! Whether PostgreSQL's report `in_hot_standby`, which costs no round trip, is to be believed.

use std::sync::atomic::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;

/// Believes the report once it agreed with what the server answers, and never again once it did
/// not.
#[derive(Debug, Default)]
pub(crate) struct Standby(AtomicU8);

impl Standby {
    /// Returns the report, if it is to be believed.
    pub(crate) fn trusted(&self, reported: Option<bool>) -> Option<bool> {
        reported.filter(|_| self.0.load(Ordering::Relaxed) == TRUE)
    }

    /// Compares a report with the answer.
    pub(crate) fn compare(&self, reported: Option<bool>, answered: bool) {
        match reported {
            Some(reported) if reported != answered => self.0.store(FALSE, Ordering::Relaxed),
            Some(_) => {
                // An error is that it is known already whether the report can be believed.
                _ = self.0.compare_exchange(UNKNOWN, TRUE, Ordering::Relaxed, Ordering::Relaxed);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_is_believed_once_it_agreed_and_never_after_it_did_not() {
        let standby = Standby::default();
        assert_eq!(standby.trusted(Some(true)), None);

        standby.compare(Some(false), false);
        assert_eq!((standby.trusted(Some(true)), standby.trusted(None)), (Some(true), None));

        standby.compare(Some(false), true);
        standby.compare(Some(false), false);
        assert_eq!(standby.trusted(Some(false)), None);
    }
}
