//! The roots and the TLS set-up built from them, rebuilt when the roots may have changed.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{task::JoinHandle, time::Instant};

use wrapper_core::Result;

use crate::Roots;

/// The least time between two reads of the files.
const REREAD_EVERY: Duration = Duration::from_secs(60);

/// Holds the roots and the TLS set-up that an adapter builds from them; clones share both.
///
/// Certificate authorities are replaced while programs run. When a server's issuer is unknown,
/// [`renewed`](Self::renewed) reads the files again, once for all who ask, and once a minute at
/// most.
pub struct Trust<T>(Arc<Inner<T>>);

struct Inner<T> {
    make: Option<Make<T>>,
    current: Mutex<Arc<Trusted<T>>>,
    rereads: tokio::sync::Mutex<Rereads>,
}

type Make<T> = Box<dyn Fn(&Roots) -> Result<T> + Send + Sync>;

/// Roots, and what was made of them.
pub struct Trusted<T> {
    /// The roots.
    pub roots: Roots,
    /// The set-up built from them.
    pub made: T,
}

#[derive(Default)]
struct Rereads {
    last: Option<Instant>,
    /// Kept here, so that another waiter drives it on when the one that began it gives up.
    running: Option<JoinHandle<()>>,
}

impl<T> Trust<T> {
    /// Makes the TLS set-up of the roots.
    ///
    /// # Errors
    ///
    /// The error of `make`.
    pub fn new(roots: Roots, make: impl Fn(&Roots) -> Result<T> + Send + Sync + 'static) -> Result<Self> {
        let made = make(&roots)?;
        Ok(Self::with(roots, made, Some(Box::new(make))))
    }

    /// Creates a set-up that is never reloaded, because it was built elsewhere or does no TLS.
    pub fn fixed(roots: Roots, made: T) -> Self {
        Self::with(roots, made, None)
    }

    fn with(roots: Roots, made: T, make: Option<Make<T>>) -> Self {
        Self(Arc::new(Inner {
            make,
            current: Mutex::new(Arc::new(Trusted { roots, made })),
            rereads: tokio::sync::Mutex::default(),
        }))
    }

    /// Returns the current roots and set-up.
    pub fn current(&self) -> Arc<Trusted<T>> {
        Arc::clone(&self.0.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Send + Sync + 'static> Trust<T> {
    /// Reloads the files and returns the new roots and configuration, if they differ from those
    /// that lacked the issuer.
    ///
    /// `None` if the files are unchanged, were read less than a minute ago, or are invalid, which
    /// is logged and leaves the former roots in use.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next waiter takes over the same read.
    pub async fn renewed(&self, unknown_to: &Arc<Trusted<T>>) -> Option<Arc<Trusted<T>>> {
        let newer = || Some(self.current()).filter(|current| !Arc::ptr_eq(current, unknown_to));
        self.0.make.as_ref()?;
        // Held across the read on purpose, so that all wait for the same one: an async mutex, which
        // a dropped future releases.
        let mut rereads = self.0.rereads.lock().await;
        // Another waiter may have reloaded them while this one waited for the lock.
        if let Some(newer) = newer() {
            return Some(newer);
        }
        if rereads.running.is_none() {
            let now = Instant::now();
            if rereads.last.is_some_and(|last| now.duration_since(last) < REREAD_EVERY) {
                return None;
            }
            rereads.last = Some(now);
            let inner = Arc::clone(&self.0);
            // On the blocking pool: it reads files and parses all roots, which takes tens of
            // milliseconds. The handle is stored, so that the read survives a waiter that gives up.
            rereads.running = Some(tokio::task::spawn_blocking(move || inner.reread()));
        }
        if let Some(running) = &mut rereads.running
            && let Err(error) = running.await
        {
            tracing::warn!(%error, "rereading the roots was interrupted, the former ones remain");
        }
        rereads.running = None;
        newer()
    }
}

impl<T> Inner<T> {
    fn reread(&self) {
        let Some(make) = &self.make else { return };
        // Cloned out: connects go on with the former roots while files are read and parsed.
        let former = Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner));
        let renewed = match former.roots.reread() {
            Ok(None) => return,
            Ok(Some(roots)) => make(&roots).map(|made| Trusted { roots, made }),
            Err(error) => Err(error),
        };
        match renewed {
            Ok(trusted) => {
                tracing::debug!(roots = %trusted.roots, "a server's issuer is unknown: roots reloaded");
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(trusted);
            }
            Err(error) => tracing::warn!(
                %error,
                roots = %former.roots,
                "the roots cannot be reloaded, the former ones remain: fix the file"
            ),
        }
    }
}

impl<T> Clone for Trust<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

// The set-up may hold a private key.
impl<T> fmt::Debug for Trust<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("roots", &self.current().roots.to_string()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Trusted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trusted").field("roots", &self.roots.to_string()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::PathBuf,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use wrapper_core::{Error, ErrorKind};

    const BEGIN: &str = "-----BEGIN CERTIFICATE-----\n";

    /// A file of roots and what is made of it: the number of its certificates.
    struct Fixture {
        file: PathBuf,
        trust: Trust<usize>,
        made: Arc<AtomicUsize>,
    }

    impl Fixture {
        fn new(name: &str) -> Self {
            let file = std::env::temp_dir().join(format!("trust-{name}-{}.pem", std::process::id()));
            fs::write(&file, BEGIN).expect("can be written");
            let roots = Roots::read(&file.display().to_string()).expect("reads");
            let made = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&made);
            let trust = Trust::new(roots, move |roots| {
                counter.fetch_add(1, Ordering::SeqCst);
                match String::from_utf8_lossy(roots.bundles()[0].pem()).matches("BEGIN").count() {
                    3 => Err(Error::new(ErrorKind::Configuration, "three are too many")),
                    count => Ok(count),
                }
            });
            Self { file, trust: trust.expect("one is fine"), made }
        }

        fn write(&self, count: usize) {
            fs::write(&self.file, BEGIN.repeat(count)).expect("can be written");
        }

        async fn renewed(&self, seen: &Arc<Trusted<usize>>) -> Option<usize> {
            self.trust.renewed(seen).await.map(|trusted| trusted.made)
        }
    }

    impl Drop for Fixture {
        fn drop(&mut self) {
            drop(fs::remove_file(&self.file));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn changed_file_is_reloaded_and_an_unchanged_one_is_not() {
        let fixture = Fixture::new("changed");
        let seen = fixture.trust.current();
        assert_eq!(fixture.renewed(&seen).await, None);

        tokio::time::advance(REREAD_EVERY).await;
        fixture.write(2);

        assert_eq!(fixture.renewed(&seen).await, Some(2));
        assert_eq!(fixture.made.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn file_is_read_once_a_minute_at_most() {
        let fixture = Fixture::new("minute");
        let first = fixture.trust.current();
        fixture.write(2);
        assert_eq!(fixture.renewed(&first).await, Some(2));

        fixture.write(4);
        let second = fixture.trust.current();
        tokio::time::advance(REREAD_EVERY - Duration::from_secs(1)).await;
        assert_eq!(fixture.renewed(&second).await, None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(fixture.renewed(&second).await, Some(4));
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_share_one_read_even_if_one_gives_up() {
        let fixture = Fixture::new("shared");
        let seen = fixture.trust.current();
        fixture.write(2);
        let mut given_up = Box::pin(fixture.renewed(&seen));
        // Polled once, it has begun the reading.
        assert!(futures_poll(given_up.as_mut()).is_none());
        drop(given_up);

        let waiters = (0..8).map(|_| (fixture.trust.clone(), Arc::clone(&seen)));
        let tasks: Vec<_> = waiters
            .map(|(trust, seen)| tokio::spawn(async move { trust.renewed(&seen).await.map(|new| new.made) }))
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("ends"), Some(2));
        }
        assert_eq!(fixture.made.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn broken_file_leaves_the_former_roots() {
        let fixture = Fixture::new("broken");
        let seen = fixture.trust.current();
        for count in [0, 3] {
            fixture.write(count);
            assert_eq!(fixture.renewed(&seen).await, None);
            assert_eq!(fixture.trust.current().made, 1);
            tokio::time::advance(REREAD_EVERY).await;
        }

        fixture.write(2);
        assert_eq!(fixture.renewed(&seen).await, Some(2));
    }

    #[tokio::test]
    async fn set_up_made_elsewhere_stays() {
        let trust = Trust::fixed(Roots::system(), 1);

        assert!(trust.renewed(&trust.current()).await.is_none());
    }

    fn futures_poll<F: Future + ?Sized>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
