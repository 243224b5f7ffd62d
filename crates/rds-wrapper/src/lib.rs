#![doc = include_str!("../README.md")]

pub use wrapper_core::{
    BoxFuture, ConnectRequest, CredentialsFailure, Driver, Error, ErrorKind, Factory, Needs, Next, Plugin,
    Registry, Resolver, Result, ServerError, SystemResolver, Value, Wrapper, plugin_fn, resolver_fn,
};
pub use wrapper_iam::{IamFactory, IamTokens, IamTokensBuilder, Stats, TokenTarget};

/// The adapter for tokio-postgres.
#[cfg(feature = "postgres")]
pub use wrapper_pg as pg;

/// Every built-in plugin, for connections of whichever driver.
///
/// The `iam` plugin takes credentials from the AWS default chain; for credentials of your own replace it:
/// `plugins().with(IamFactory::new(tokens))`.
pub fn plugins<C: Send + 'static>() -> Registry<C> {
    Registry::new().with(IamFactory::default())
}
