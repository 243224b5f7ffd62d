//! One error for several hosts or addresses that all failed.

use wrapper_core::{Error, ErrorKind};

/// Collects the failures of several hosts or addresses and makes one error of them.
#[derive(Debug, Default)]
pub(crate) struct AttemptErrors(Vec<(String, Error)>);

impl AttemptErrors {
    /// Adds the failure of one host or address.
    pub(crate) fn add(&mut self, place: impl Into<String>, error: Error) {
        self.0.push((place.into(), error));
    }

    /// Makes one error: of the first refused login, else of the first configuration or TLS failure,
    /// else of the last; its text lists each place with its reason, and its causes are those of the
    /// chosen one. `None` without failures.
    pub(crate) fn into_error(self, what: &str) -> Option<Error> {
        let find = |wanted: fn(ErrorKind) -> bool| self.0.iter().find(|(_, error)| wanted(error.kind()));
        // A refused login got further than the others, so its reason says the most.
        let chosen = find(|kind| kind == ErrorKind::Login)
            .or_else(|| find(|kind| matches!(kind, ErrorKind::Configuration | ErrorKind::Tls)))
            .or(self.0.last())
            .map(|(_, error)| error.clone())?;
        if self.0.len() == 1 {
            return Some(chosen);
        }
        let list: Vec<_> =
            self.0.iter().map(|(place, error)| format!("{place}: {}", error.message())).collect();
        Some(chosen.with_message(format!(
            "could not connect to any of {} {what}: {}",
            self.0.len(),
            list.join("; ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combined(kinds: &[ErrorKind]) -> Option<Error> {
        let mut failures = AttemptErrors::default();
        for (index, kind) in kinds.iter().enumerate() {
            failures.add(format!("h{index}"), Error::new(*kind, format!("{kind:?}")));
        }
        failures.into_error("hosts")
    }

    #[test]
    fn login_counts_before_tls_before_the_last() {
        use ErrorKind::{Connect, Login, Resolve, Tls};
        let kind = |kinds: &[ErrorKind]| combined(kinds).map(|error| error.kind());

        assert_eq!(kind(&[Connect, Tls, Login, Resolve]), Some(Login));
        assert_eq!(kind(&[Connect, Tls, Resolve]), Some(Tls));
        assert_eq!(kind(&[Connect, Resolve]), Some(Resolve));
        assert_eq!(kind(&[]), None);
    }

    #[test]
    fn every_place_is_listed_with_its_reason() {
        let error = combined(&[ErrorKind::Connect, ErrorKind::Login]).expect("two failures");

        assert_eq!(error.to_string(), "could not connect to any of 2 hosts: h0: Connect; h1: Login");
    }

    #[test]
    fn causes_are_those_of_the_chosen_failure() {
        let mut failures = AttemptErrors::default();
        for (kind, code) in [(ErrorKind::Tls, "a"), (ErrorKind::Login, "b"), (ErrorKind::Tls, "c")] {
            let causes = [wrapper_core::Cause::new(code, code, "")];
            failures.add(code, Error::new(kind, "no").with_diagnosis(causes));
        }
        let error = failures.into_error("hosts").expect("three failures");

        assert_eq!(
            error.to_string(),
            "could not connect to any of 3 hosts: a: no; b: no; c: no; check first: b"
        );
    }
}
