//! The source of time.

use std::{
    fmt::Debug,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A boxed future that can be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells the time and waits for it.
///
/// Expiry is wall time, because the issuer of a value writes wall time into it, and because
/// monotonic clocks stop while a machine sleeps. The cache therefore copes with a clock that jumps
/// in either direction, and an implementation need not hide such jumps.
///
/// # Examples
///
/// The system's clock, with the timer of tokio:
///
/// ```
/// use std::time::SystemTime;
/// use token_cache::{BoxFuture, Clock};
///
/// #[derive(Debug)]
/// struct SystemClock;
///
/// impl Clock for SystemClock {
///     fn now(&self) -> SystemTime {
///         SystemTime::now()
///     }
///
///     fn sleep_until(&self, deadline: SystemTime) -> BoxFuture<'static, ()> {
///         let left = deadline.duration_since(self.now()).unwrap_or_default();
///         Box::pin(tokio::time::sleep(left))
///     }
/// }
/// ```
pub trait Clock: Debug + Send + Sync + 'static {
    /// Returns the current wall time.
    ///
    /// Called on every access to the cache, so it should be cheap, and it must not panic.
    fn now(&self) -> SystemTime;

    /// Completes when `deadline` is reached, at once if it has passed.
    ///
    /// The cache calls this only while one of its fetches is being polled, so a timer that needs
    /// the context of a runtime finds that of the task that polls. Dropping the future must release
    /// the timer.
    fn sleep_until(&self, deadline: SystemTime) -> BoxFuture<'static, ()>;
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now(&self) -> SystemTime {
        (**self).now()
    }

    fn sleep_until(&self, deadline: SystemTime) -> BoxFuture<'static, ()> {
        (**self).sleep_until(deadline)
    }
}

/// Returns the absolute difference of two times.
pub(crate) fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|earlier| earlier.duration())
}
