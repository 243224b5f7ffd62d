//! Plugins made of closures.

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use crate::{ConnectRequest, Next, Opening, Plugin};

/// Makes a plugin of a closure, for a one-off that needs no type.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
/// use wrapper_core::plugin_fn;
///
/// let connects = Arc::new(AtomicUsize::new(0));
/// let counter = Arc::clone(&connects);
/// let plugin = plugin_fn::<(), _>("count", move |request, next| {
///     counter.fetch_add(1, Ordering::Relaxed);
///     next.run(request)
/// });
/// # wrapper_core::Plugin::<()>::code(&plugin);
/// ```
pub fn plugin_fn<C, F>(code: impl Into<Arc<str>>, connect: F) -> impl Plugin<C>
where
    F: for<'a> Fn(ConnectRequest, Next<'a, C>) -> Opening<'a, C> + Send + Sync + 'static,
{
    PluginFn { code: code.into(), connect }
}

struct PluginFn<F> {
    code: Arc<str>,
    connect: F,
}

impl<F> Debug for PluginFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginFn").field(&self.code).finish()
    }
}

impl<C, F> Plugin<C> for PluginFn<F>
where
    F: for<'a> Fn(ConnectRequest, Next<'a, C>) -> Opening<'a, C> + Send + Sync + 'static,
{
    fn code(&self) -> &str {
        &self.code
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        (self.connect)(request, next)
    }
}
