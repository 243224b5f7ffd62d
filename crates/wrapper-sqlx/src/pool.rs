//! A pool whose connect options are kept fresh.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sqlx::Pool;
use wrapper_core::{Error, Result, adapter::Suspicion};
use wrapper_topology::Topology;

use crate::{Engine, FreshPoolBuilder, Freshness, refresher::Refresher, session::code};

/// A PostgreSQL pool that is kept fresh.
#[cfg(feature = "postgres")]
pub type PgFreshPool = FreshPool<sqlx::Postgres>;

/// A MySQL or MariaDB pool that is kept fresh.
#[cfg(feature = "mysql")]
pub type MySqlFreshPool = FreshPool<sqlx::MySql>;

/// Owns a plain sqlx pool and gives it a new token before the current one expires.
///
/// The token is looked at every 15 seconds of wall time by a task of the runtime that built the
/// pool, until the pool is closed. Clones are owners of the same pool, and the last one that is
/// dropped closes it, together with the task. Clones of the plain [`pool`](Self::pool) do not
/// count: `acquire` returns `PoolClosed` on them then. If only they outlive the owner, use
/// [`detach`](Self::detach).
pub struct FreshPool<D: Engine>(Arc<Owner<D>>);

/// Closes the pool when the last owner goes.
struct Owner<D: Engine> {
    refresher: Arc<Refresher<D>>,
    is_detached: AtomicBool,
}

impl<D: Engine> Drop for Owner<D> {
    fn drop(&mut self) {
        // Relaxed is enough: the last drop of an `Arc` happens after all uses by its other owners.
        if !self.is_detached.load(Ordering::Relaxed) {
            self.refresher.close();
        }
    }
}

impl<D: Engine> FreshPool<D> {
    /// Makes a pool from a URL, with tokens of the AWS default chain of credentials.
    ///
    /// # Errors
    ///
    /// As [`FreshPoolBuilder::build`].
    #[cfg(feature = "default-chain")]
    pub async fn from_url(url: &str) -> Result<Self> {
        Self::builder().connection_string(url).build().await
    }

    /// Makes a pool from a map, such as one read by serde, with tokens of the AWS default chain of
    /// credentials.
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
        Self(Arc::new(Owner { refresher, is_detached: AtomicBool::new(false) }))
    }

    /// Returns the plain pool, for sqlx and libraries on top of it; its clones are kept fresh
    /// too, as long as an owner lives.
    pub fn pool(&self) -> &Pool<D> {
        self.0.refresher.pool()
    }

    /// Gives up the ownership, for all clones as well: the pool is kept fresh until
    /// [`Pool::close`], and dropping the handles does not end its task and connections.
    pub fn detach(self) -> Pool<D> {
        self.0.is_detached.store(true, Ordering::Relaxed);
        self.pool().clone()
    }

    /// Renews the token, if needed, so that the next physical connection finds a valid one.
    ///
    /// Call it where a program wakes after it was frozen (a laptop's sleep, Lambda between two
    /// invocations): the timer has slept as well and may be up to 15 seconds behind. It costs
    /// little while the token is fresh.
    ///
    /// # Errors
    ///
    /// The reason for the missing token, if the pool's current one has expired.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn ensure_fresh(&self) -> Result<()> {
        self.0.refresher.refresh().await
    }

    /// Explains an error of sqlx as the other adapters do: a refused login with the likely causes,
    /// a failed handshake with the trusted roots, a timeout of the pool with the reason for a
    /// missing token.
    pub fn explain(&self, error: sqlx::Error) -> Error {
        self.0.refresher.explain(error)
    }

    /// Returns the topology by which the pool follows its cluster's writer, if it was built with
    /// one.
    pub fn topology(&self) -> Option<&Topology> {
        self.0.refresher.topology()
    }

    /// Reports an error of a connection in use to the topology, so that it checks the server at
    /// once; returns the suspicion that the error raised.
    pub fn report(&self, error: &sqlx::Error) -> Option<Suspicion> {
        let suspicion = match error {
            sqlx::Error::Database(answer) => {
                Suspicion::of_answer(D::ENGINE, &code(&**answer), answer.message())
            }
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => Some(Suspicion::ConnectionLost),
            _ => None,
        }?;
        // Without a topology nobody would act on it.
        self.topology()?.suspect();
        Some(suspicion)
    }

    /// Returns how fresh the pool's token is.
    pub fn freshness(&self) -> Freshness {
        self.0.refresher.freshness()
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
        f.debug_tuple("FreshPool").field(&self.0.refresher).finish()
    }
}
