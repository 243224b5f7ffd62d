//! Decides when a refused login reloads the credentials.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use aws_credential_types::credential_feature::AwsCredentialFeature;
use iam_token::Signer;
use token_cache::Lease;

use crate::{Error, TokenRequest};

/// The minimum age at which a refused login reloads the credentials.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// The same after a reload returned the same key.
const LONG_WAIT: Duration = Duration::from_secs(60);
/// The same for a source that may ask a person for a code.
const LONG_WAIT_FOR_PEOPLE: Duration = Duration::from_secs(5 * 60);
/// The maximum number of refused requests remembered.
const MOST_PENDING: usize = 1_000;

/// The outcome of a reload after a refusal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AfterRefusal {
    /// The reload failed; the current credentials stay in use.
    Failed(Error),
    /// The access key differs from the refused one, so another login may succeed.
    NewKey,
    /// The access key is unchanged, after a reload or because the last one is too recent.
    SameKey,
}

/// Damps the reloads: the first after 30 s, then one per minute while the key stays the same.
///
/// A load is not a login, so it does not add to throttling; but without a limit a user that is
/// always refused would load all the time.
#[derive(Default)]
pub(crate) struct Refusals {
    jitter: RandomState,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The longer wait, set since a load returned the same key.
    wait: Option<Duration>,
    /// When a load last failed.
    failed_at: Option<SystemTime>,
    /// Requests with a token reported as refused, and the key that signed it.
    pending: HashMap<TokenRequest, Arc<str>>,
}

impl Refusals {
    /// Returns whether credentials that were loaded at `loaded_at` may be reloaded.
    ///
    /// Ages are absolute differences: a clock set back does not make credentials young.
    pub(crate) fn may_load(&self, now: SystemTime, loaded_at: SystemTime) -> bool {
        let state = self.state();
        let wait = state.wait.unwrap_or(FIRST_WAIT);
        let is_past = |moment| distance(moment, now) > wait;
        // A failed load counts like one that succeeded: both have just asked the source.
        is_past(loaded_at) && state.failed_at.is_none_or(is_past)
    }

    pub(crate) fn failed(&self, now: SystemTime) {
        self.state().failed_at = Some(now);
    }

    /// Notes that a load returned the same key again.
    pub(crate) fn brought_the_same(&self, loaded: &Lease<Signer>) {
        let longest = if may_ask_a_person(loaded.value()) { LONG_WAIT_FOR_PEOPLE } else { LONG_WAIT };
        let wait = self.draw(longest, loaded.generation());
        let mut state = self.state();
        (state.wait, state.failed_at) = (Some(wait), None);
    }

    /// Returns at least three quarters of the longest wait, at random, so that many processes do
    /// not load together; the same for all callers that were refused with one value.
    fn draw(&self, longest: Duration, generation: u64) -> Duration {
        let draw = (self.jitter.hash_one(generation) >> 32) as u32;
        longest.mul_f64(0.75 + 0.25 * f64::from(draw) / f64::from(u32::MAX))
    }

    /// Resets the wait: a server accepted a token, or the key is new.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        (state.wait, state.failed_at) = (None, None);
    }

    /// Notes that the next call for this request must check the credentials.
    pub(crate) fn note(&self, request: &TokenRequest, access_key_id: &str) {
        let mut state = self.state();
        // Beyond the limit a refusal is not noted: its next call signs with the credentials at
        // hand.
        if state.pending.len() < MOST_PENDING {
            state.pending.insert(request.clone(), access_key_id.into());
        }
    }

    /// Takes the note of a refusal, for one call to check the credentials.
    pub(crate) fn take<'a>(&'a self, request: &'a TokenRequest) -> Option<Pending<'a>> {
        let key = self.state().pending.remove(request)?;
        Some(Pending { refusals: self, request, key: Some(key) })
    }

    pub(crate) fn clear(&self) {
        // Dropped after the guard, so that nobody waits for the destructors of a full map.
        let former = std::mem::take(&mut *self.state());
        drop(former);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No foreign code runs under this lock, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A noted refusal that one call looks into; noted again if that call gives up.
pub(crate) struct Pending<'a> {
    refusals: &'a Refusals,
    request: &'a TokenRequest,
    key: Option<Arc<str>>,
}

impl Pending<'_> {
    pub(crate) fn refused_key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// Ends it: the credentials were checked.
    pub(crate) fn checked(mut self) {
        self.key = None;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            // A refusal that was noted meanwhile is newer.
            self.refusals.state().pending.entry(self.request.clone()).or_insert(key);
        }
    }
}

fn may_ask_a_person(signer: &Signer) -> bool {
    use AwsCredentialFeature as Feature;
    let features = signer.credentials().get_property::<Vec<Feature>>();
    features.is_some_and(|features| {
        features.iter().any(|feature| {
            matches!(
                feature,
                Feature::CredentialsProcess
                    | Feature::CredentialsProfileProcess
                    | Feature::CredentialsProfileSso
                    | Feature::CredentialsSso
            )
        })
    })
}

/// Returns the absolute difference of two times.
pub(crate) fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|error| error.duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_is_drawn_by_each_process_and_the_same_for_all_of_its_callers() {
        let processes: Vec<_> = (0..20).map(|_| Refusals::default()).collect();
        let draw = |refusals: &Refusals| refusals.draw(LONG_WAIT, 1);
        let waits: Vec<_> = processes.iter().map(draw).collect();

        assert!(waits.iter().all(|wait| (LONG_WAIT * 3 / 4..=LONG_WAIT).contains(wait)), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
        assert_eq!(processes.iter().map(draw).collect::<Vec<_>>(), waits);
    }

    #[test]
    fn refusals_beyond_the_bound_are_not_noted() {
        let refusals = Refusals::default();
        let request = |user: usize| {
            let host = "db.abc123.us-east-2.rds.amazonaws.com";
            TokenRequest::database(host, 5432, &user.to_string()).expect("an endpoint")
        };
        for user in 0..=MOST_PENDING {
            refusals.note(&request(user), "AKIA0000");
        }

        assert!(refusals.take(&request(MOST_PENDING)).is_none());
        let noted = request(MOST_PENDING - 1);
        refusals.take(&noted).expect("is noted").checked();
        assert!(refusals.take(&noted).is_none(), "for one call");
    }
}
