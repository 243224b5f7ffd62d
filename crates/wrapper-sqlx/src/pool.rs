//! A pool with its refresher.

use std::{fmt, sync::Arc};

use sqlx::Pool;
use wrapper_core::Result;

use crate::{Engine, FreshPoolBuilder, Freshness, refresher::Refresher};

/// A PostgreSQL pool that is kept fresh.
#[cfg(feature = "postgres")]
pub type PgFreshPool = FreshPool<sqlx::Postgres>;

/// A MySQL or MariaDB pool that is kept fresh.
#[cfg(feature = "mysql")]
pub type MySqlFreshPool = FreshPool<sqlx::MySql>;

/// Holds a plain sqlx pool and gives it a new token before the one that it has grows old.
///
/// The token is looked at every 15 seconds of wall time by a task of the runtime that built the pool, until the pool is
/// closed. The task keeps the pool alive: [`Pool::close`] ends both, dropping the handles does not. Clones are handles
/// to the same pool.
pub struct FreshPool<D: Engine>(Arc<Refresher<D>>);

impl<D: Engine> FreshPool<D> {
    /// Makes a pool from a URL, with tokens of the AWS default chain of credentials.
    ///
    /// # Errors
    ///
    /// As [`FreshPoolBuilder::build`].
    #[cfg(feature = "default-chain")]
    pub async fn from_url(url: &str) -> Result<Self> {
        Self::builder().url(url).build().await
    }

    /// Makes a pool from a map, such as one read by serde, with tokens of the AWS default chain of credentials.
    ///
    /// # Errors
    ///
    /// As [`FreshPoolBuilder::build`].
    #[cfg(feature = "default-chain")]
    pub async fn from_map<K, V>(map: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: Into<String>,
        V: Into<wrapper_core::Value>,
    {
        Self::builder().map(map).build().await
    }

    /// Starts to build a pool.
    pub fn builder() -> FreshPoolBuilder<D> {
        FreshPoolBuilder::new()
    }

    pub(crate) fn new(refresher: Arc<Refresher<D>>) -> Self {
        Self(refresher)
    }

    /// The plain pool, for sqlx and for whatever stands on it; its clones are kept fresh too.
    pub fn pool(&self) -> &Pool<D> {
        self.0.pool()
    }

    /// Sees to it that the next physical connection finds a token that is good for a while.
    ///
    /// Call it where a program wakes after it was frozen (a laptop's sleep, Lambda between two invocations): the timer has
    /// slept as well and may be up to 15 seconds behind. It costs next to nothing while the token is fresh.
    ///
    /// # Errors
    ///
    /// The reason why there is no new token, if the one that the pool has is past its end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn ensure_fresh(&self) -> Result<()> {
        self.0.refresh().await
    }

    /// How fresh the pool's token is.
    pub fn freshness(&self) -> Freshness {
        self.0.freshness()
    }
}

// A derive would ask for `D: Clone`.
impl<D: Engine> Clone for FreshPool<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D: Engine> fmt::Debug for FreshPool<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FreshPool").field(&self.0).finish()
    }
}
