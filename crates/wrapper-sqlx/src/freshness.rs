//! What is known of a pool's token.

use std::time::SystemTime;

use wrapper_core::Error;

/// Tells how fresh the token is with which a pool opens its next connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Freshness {
    /// When the token was last looked at, by the timer or by `ensure_fresh`.
    pub checked_at: SystemTime,
    /// When the token ends; a secret, which has no end, is asked for again then.
    pub expires_at: SystemTime,
    /// Checks in a row that brought no token; 0 is good.
    pub failures: u64,
    /// Whether the pool is still being looked after; `false` once it is closed, or the runtime that
    /// built it has ended.
    pub is_running: bool,
    /// Why the last check brought no token, while `failures` is not 0.
    pub last_error: Option<Error>,
    /// How often the pool was given another token.
    pub renewals: u64,
    /// When the token was signed or the secret loaded.
    pub signed_at: SystemTime,
}
