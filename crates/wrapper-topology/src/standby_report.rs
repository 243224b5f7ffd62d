//! Trust in PostgreSQL's parameter `in_hot_standby`, which costs no round trip.

use std::sync::atomic::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;

/// Trusts the reported value once it has agreed with a query, and never again after it has not.
#[derive(Debug, Default)]
pub(crate) struct StandbyReport(AtomicU8);

impl StandbyReport {
    /// Returns the reported value if it is trusted.
    pub(crate) fn trusted(&self, reported: Option<bool>) -> Option<bool> {
        // Relaxed: the flag guards no other memory.
        reported.filter(|_| self.0.load(Ordering::Relaxed) == TRUE)
    }

    /// Compares the reported value with a query's answer.
    pub(crate) fn compare(&self, reported: Option<bool>, answered: bool) {
        match reported {
            Some(reported) if reported != answered => self.0.store(FALSE, Ordering::Relaxed),
            Some(_) => {
                // Fails if the trust is already decided, which then stands.
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
        let standby = StandbyReport::default();
        assert_eq!(standby.trusted(Some(true)), None);

        standby.compare(Some(false), false);
        assert_eq!((standby.trusted(Some(true)), standby.trusted(None)), (Some(true), None));

        standby.compare(Some(false), true);
        standby.compare(Some(false), false);
        assert_eq!(standby.trusted(Some(false)), None);
    }
}
