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

/// A refused login does not reload credentials younger than this.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// Nor are those younger than this, once a load has brought the same key.
const LONG_WAIT: Duration = Duration::from_secs(60);
/// The same where a load may ask a person for a code.
const LONG_WAIT_FOR_PEOPLE: Duration = Duration::from_secs(5 * 60);
/// The most refused requests that are remembered.
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

/// Damps the loads: the first after 30 s, then once a minute for as long as the same key comes
/// back.
///
/// A load is not a login, so it does not add to throttling; but a user that is always refused would
/// load without end.
#[derive(Default)]
pub(crate) struct Refusals {
    jitter: RandomState,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Longer than the first wait since a load brought the same key.
    wait: Option<Duration>,
    /// The generation that `wait` was drawn for.
    generation: u64,
    /// When a load last failed.
    failed_at: Option<SystemTime>,
    /// Requests whose tokens were reported as refused, with the key that had signed them.
    pending: HashMap<TokenRequest, Arc<str>>,
}

impl Refusals {
    /// Returns whether credentials that were loaded at `loaded_at` may be reloaded.
    ///
    /// Ages are distances: a clock that was set back does not make credentials young.
    pub(crate) fn may_load(&self, now: SystemTime, loaded_at: SystemTime) -> bool {
        let state = self.state();
        let wait = state.wait.unwrap_or(FIRST_WAIT);
        let is_past = |moment| distance(moment, now) > wait;
        is_past(loaded_at) && state.failed_at.is_none_or(is_past)
    }

    pub(crate) fn failed(&self, now: SystemTime) {
        self.state().failed_at = Some(now);
    }

    /// Notes that a load brought the same key again.
    pub(crate) fn brought_the_same(&self, loaded: &Lease<Signer>) {
        let generation = loaded.generation();
        let mut state = self.state();
        state.failed_at = None;
        if state.wait.is_some() && state.generation == generation {
            // Another caller refused with the same value has drawn already.
            return;
        }
        let longest = if may_ask_a_person(loaded.value()) { LONG_WAIT_FOR_PEOPLE } else { LONG_WAIT };
        // From three quarters on, so that many processes do not load together.
        let draw = (self.jitter.hash_one(generation) >> 32) as u32;
        let share = 0.75 + 0.25 * f64::from(draw) / f64::from(u32::MAX);
        (state.wait, state.generation) = (Some(longest.mul_f64(share)), generation);
    }

    /// Resets the wait: a server accepted a token, or the key is new.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        (state.wait, state.failed_at) = (None, None);
    }

    /// Notes that the next call for a request is to look after the credentials.
    pub(crate) fn note(&self, request: &TokenRequest, access_key_id: &str) {
        let mut state = self.state();
        if state.pending.len() < MOST_PENDING {
            state.pending.insert(request.clone(), access_key_id.into());
        }
    }

    pub(crate) fn take(&self, request: &TokenRequest) -> Option<Arc<str>> {
        self.state().pending.remove(request)
    }

    pub(crate) fn clear(&self) {
        let former = std::mem::take(&mut *self.state());
        drop(former);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Returns the time between two moments, whichever is the later one.
pub(crate) fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|error| error.duration())
}
