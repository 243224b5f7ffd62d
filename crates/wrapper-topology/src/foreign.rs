//! Calls of foreign code: listeners, wakers and the values that they hold.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs code whose panic must not keep what follows from being done; `None` if it has panicked.
pub(crate) fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    // Forgotten, because the value of a panic may panic again when it is dropped.
    catch_unwind(AssertUnwindSafe(run)).map_err(mem::forget).ok()
}
