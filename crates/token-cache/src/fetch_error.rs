//! Why a fetch returned no value.

use std::{error::Error, fmt, time::Duration};

/// Explains why a fetch returned no value; every caller that waited for it gets the same error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError<E> {
    /// The source returned a value that had expired this long ago; one of the two clocks may be
    /// wrong.
    Expired(Duration),
    /// The source returned an error, which is also the [`source`](Error::source) where its type
    /// allows that.
    Failed(E),
    /// The clock panicked when it was asked to wait, as a runtime's timer does outside that
    /// runtime.
    NoTimer,
    /// The source returned a value that expires no later than the unexpired one.
    NotExtended,
    /// The source panicked.
    Panicked,
    /// The source did not answer within this time.
    TimedOut(Duration),
}

impl<E> fmt::Display for FetchError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(ago) => {
                write!(f, "fetched value expired {ago:?} ago: check the clock and the source")
            }
            Self::Failed(_) => f.write_str("fetch failed"),
            Self::NoTimer => {
                f.write_str("the clock cannot wait here: call within a runtime that has its timer enabled")
            }
            Self::NotExtended => f.write_str("fetched value expires no later than the one it was to renew"),
            Self::Panicked => f.write_str("fetch panicked"),
            Self::TimedOut(limit) => write!(f, "fetch timed out after {limit:?}"),
        }
    }
}

impl<E: Error + 'static> Error for FetchError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}
