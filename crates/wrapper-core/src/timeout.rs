//! The error of an attempt that ran out of time.

use std::{error::Error as _, time::Duration};

use crate::{
    ConnectRequest, Error, ErrorKind, adapter::Phase, events::CredentialsFailure, progress::Position,
};

impl ConnectRequest {
    /// The least time for a host or an address, regardless of the number that follow.
    pub const LEAST_SHARE: Duration = Duration::from_secs(2);

    /// Returns the error of an attempt that ran out of time, which names the phase, the host and
    /// the address that it had reached.
    pub fn timed_out(&self, after: Duration) -> Error {
        let (host, place) = (self.host(), self.host_and_port());
        let Position { host: moved, phase, address, refusal, .. } = self.progress().position();
        let address = address.map(|address| format!(" ({address})")).unwrap_or_default();
        // A plugin may have led the attempt to another host than the one that was asked for.
        let (at, there) = match moved.filter(|moved| **moved != *host) {
            Some(moved) => (String::new(), format!(" at `{moved}`{address}")),
            None => (address, String::new()),
        };
        let hint = match phase {
            Phase::Dial => ": a firewall or a security group may drop the packets",
            Phase::Credentials | Phase::Plugins => ": a source of credentials may be slow or out of reach",
            Phase::Open | Phase::Tls => ": check that the port is the database's own",
            _ => "",
        };
        let message =
            format!("no connection to `{place}`{at} within {after:.1?}, still {phase}{there}{hint}");
        let kind = match phase {
            Phase::Credentials => ErrorKind::Credentials(CredentialsFailure::TimedOut),
            Phase::Refused => ErrorKind::Login,
            _ => ErrorKind::Timeout,
        };
        repeated(Error::new(kind, message), refusal)
    }

    /// Adds the [noted](crate::adapter::Progress::refused) refusal to an error of a repeated login
    /// that ran out of time; other errors stay as they are.
    pub fn after_refusal(&self, error: Error) -> Error {
        match error.kind() {
            // A source, such as a server's answer, says more than an earlier refusal; or it is
            // that.
            ErrorKind::Credentials(CredentialsFailure::TimedOut) | ErrorKind::Login | ErrorKind::Timeout
                if error.source().is_none() =>
            {
                repeated(error, self.progress().position().refusal)
            }
            _ => error,
        }
    }
}

/// Adds what the server said to the login that was repeated until the time ran out.
fn repeated(error: Error, refusal: Option<Error>) -> Error {
    let Some(refusal) = refusal else { return error };
    let message = format!("{}; before that, {}", error.message(), refusal.message());
    error.with_message(message).with_diagnosis(refusal.diagnosis().to_vec()).with_source(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, ServerError};

    fn refused() -> ConnectRequest {
        let request = ConnectRequest::new("h", 1, "jane");
        let refusal = Error::new(ErrorKind::Login, "`h:1` refused the login")
            .with_source(ServerError::new("28000", "no", None))
            .with_diagnosis([Cause::new("a", "the role is missing", "grant it")]);
        request.progress().refused(refusal);
        request
    }

    #[test]
    fn repeated_login_that_runs_out_of_time_names_the_refusal_and_its_causes() {
        for (phase, kind) in [
            (Phase::Credentials, ErrorKind::Credentials(CredentialsFailure::TimedOut)),
            (Phase::Dial, ErrorKind::Timeout),
            (Phase::Login, ErrorKind::Timeout),
            (Phase::Refused, ErrorKind::Login),
        ] {
            let request = refused();
            let repetition = request.progress().fork();
            repetition.enter(phase);

            let error = request.timed_out(Duration::from_secs(2));

            assert_eq!((error.kind(), error.diagnosis().len()), (kind, 1), "{phase}");
            assert_eq!(error.server().expect("is kept").code(), "28000");
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("no connection to `h:1` within 2.0s, still {phase}")),
                "{text}"
            );
            let end = "; before that, `h:1` refused the login; check first: the role is missing: grant it";
            assert!(text.ends_with(end), "{text}");
        }
    }

    #[test]
    fn error_that_says_more_than_a_timeout_stays_as_it_is() {
        let request = refused();
        let late = request.after_refusal(Error::new(ErrorKind::Timeout, "late"));
        assert_eq!((late.kind(), late.diagnosis().len()), (ErrorKind::Timeout, 1));
        let said = late.to_string();
        assert_eq!(request.after_refusal(late).to_string(), said, "is added once");
        let answer = ServerError::new("28P01", "no", None);
        for error in [
            Error::new(ErrorKind::Connect, "closed"),
            Error::new(ErrorKind::Login, "refused again").with_source(answer),
        ] {
            let said = error.to_string();
            assert_eq!(request.after_refusal(error).to_string(), said);
        }
    }
}
