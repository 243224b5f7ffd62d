//! Resolution of host names.

use std::{fmt, fmt::Debug, io, net::IpAddr, sync::Arc};

use wrapper_core::BoxFuture;

/// Resolves host names; the default asks the operating system.
pub trait Resolver: Debug + Send + Sync + 'static {
    /// Returns a host's addresses in the order to try them.
    ///
    /// # Errors
    ///
    /// The reason of the failure; an empty list counts as a host without addresses.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;

    /// Returns whether it finds the same addresses as the operating system, so that a driver may
    /// resolve by itself.
    fn is_system(&self) -> bool {
        false
    }
}

/// Asks the operating system (`getaddrinfo`, on tokio's blocking pool).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in tokio::net::lookup_host((host, 0)).await? {
                // An address that is listed twice would get two shares of the time.
                if !addresses.contains(&address.ip()) {
                    addresses.push(address.ip());
                }
            }
            Ok(addresses)
        })
    }

    fn is_system(&self) -> bool {
        true
    }
}

impl<R: Resolver + ?Sized> Resolver for Arc<R> {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        (**self).resolve(host)
    }

    fn is_system(&self) -> bool {
        (**self).is_system()
    }
}

/// Creates a resolver from a synchronous closure: fixed addresses, a table, a test.
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr};
/// use wrapper_adapter::resolver_fn;
///
/// let resolver = resolver_fn(|_host| Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST)]));
/// # let _: &dyn wrapper_adapter::Resolver = &resolver;
/// ```
pub fn resolver_fn<F>(resolve: F) -> impl Resolver
where
    F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
{
    ResolverFn(resolve)
}

struct ResolverFn<F>(F);

impl<F> Debug for ResolverFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResolverFn")
    }
}

impl<F> Resolver for ResolverFn<F>
where
    F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
{
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let addresses = (self.0)(host);
        Box::pin(async move { addresses })
    }
}
