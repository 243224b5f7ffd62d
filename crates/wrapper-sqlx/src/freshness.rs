//! The state of a pool's token.

use std::time::SystemTime;

use wrapper_core::Error;

/// The state of the token with which a pool opens its next connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Freshness {
    /// When the token was last checked, by the timer or by `ensure_fresh`.
    pub checked_at: SystemTime,
    /// When the token expires; a secret does not expire and is reloaded then.
    pub expires_at: SystemTime,
    /// Consecutive checks that failed; 0 is good.
    pub failures: u64,
    /// Whether the token is still being renewed; `false` once the pool is closed, or the runtime
    /// that built it has ended.
    pub is_running: bool,
    /// The error of the last check, while `failures` is not 0.
    pub last_error: Option<Error>,
    /// How often the pool was given another token.
    pub renewals: u64,
    /// When the token was signed or the secret loaded.
    pub signed_at: SystemTime,
}
