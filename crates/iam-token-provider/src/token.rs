//! A token with the request it was signed for.

use std::{fmt, ops::Deref, time::SystemTime};

use iam_token::AuthToken;
use token_cache::Lease;

use crate::TokenRequest;

/// A token from an [`IamTokenProvider`](crate::IamTokenProvider), with its request.
///
/// It derefs to [`AuthToken`], so [`expose`](AuthToken::expose) gives the password. Clones are
/// cheap and share the token.
#[derive(Clone)]
pub struct IamToken {
    pub(crate) request: TokenRequest,
    pub(crate) lease: Lease<AuthToken>,
}

impl IamToken {
    /// Returns the request that the token is for.
    pub fn request(&self) -> &TokenRequest {
        &self.request
    }

    /// Returns whether it was signed during the call that returned it, instead of taken from the
    /// cache.
    pub fn is_fresh(&self) -> bool {
        self.lease.is_fresh()
    }

    /// Returns when a server last accepted this token, as reported to the provider.
    pub fn last_accepted(&self) -> Option<SystemTime> {
        self.lease.last_accepted()
    }
}

impl Deref for IamToken {
    type Target = AuthToken;

    fn deref(&self) -> &AuthToken {
        self.lease.value()
    }
}

// The times and identities, never the token.
impl fmt::Debug for IamToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamToken").field("request", &self.request).field("lease", &self.lease).finish()
    }
}

/// Returns the last characters of an access key id, enough to identify it.
pub fn masked_key_id(access_key_id: &str) -> String {
    let skipped = access_key_id.chars().count().saturating_sub(4);
    let end: String = access_key_id.chars().skip(skipped).collect();
    format!("…{}", end.escape_debug())
}
