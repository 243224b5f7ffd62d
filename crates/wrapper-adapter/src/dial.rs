//! Dials the addresses of one host in turn.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, timeout};

use wrapper_core::{BoxFuture, ConnectRequest, Error, ErrorKind, Result, adapter::Phase};

use crate::{Resolver, attempt_errors::AttemptErrors};

/// Bounds one whole connect where `wrapperConnectTimeout` is not given.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Tries the addresses of a host for a driver adapter.
#[derive(Clone, Debug)]
pub struct Dialer {
    resolver: Arc<dyn Resolver>,
    shuffles: bool,
}

impl Dialer {
    /// Creates a dialer with a resolver; `shuffles` tries the addresses in random order.
    pub fn new(resolver: Arc<dyn Resolver>, shuffles: bool) -> Self {
        Self { resolver, shuffles }
    }

    /// Opens a connection to the first address of the request's host that accepts one.
    ///
    /// Each of several addresses gets an equal share of the remaining time, and one without a
    /// deadline 30 seconds. The only address of a request with a deadline has no limit of its own:
    /// the chain ends the connect at its deadline, and a caller outside of a chain has to do the
    /// same. A server's refusal ends the attempt on this host, because its other addresses lead to
    /// the same answer; so does a credentials error.
    ///
    /// # Errors
    ///
    /// A server's refusal; else, with several addresses, one error that lists theirs.
    pub async fn dial<'a, C>(
        &self,
        request: &'a ConnectRequest,
        open: impl Fn(SocketAddr) -> BoxFuture<'a, Result<C>>,
    ) -> Result<C> {
        let addresses = self.addresses(request).await?;
        request.progress().found(&addresses);
        let mut failures = AttemptErrors::default();
        for (index, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, request.port());
            // Before the attempt begins, so that its timeout names this address and not the one
            // before.
            request.progress().dial(address);
            // The deadline of the connect bounds its only address as well, and a timer costs a
            // write to the runtime's waker.
            if addresses.len() == 1 && request.deadline().is_some() {
                return open(address).await;
            }
            // Shared anew each time: what a refused address leaves goes to the others.
            let share = share(request, addresses.len() - index);
            match timeout(share, open(address)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) if is_final(&error) => return Err(error),
                Ok(Err(error)) => failures.add(address.to_string(), error),
                Err(_) => failures.add(address.to_string(), request.timed_out(share)),
            }
        }
        Err(failures.into_error("addresses").unwrap_or_else(|| no_address(request)))
    }

    /// Returns the addresses that a driver's configuration has to contain, if the driver by itself
    /// would resolve the certificate's name and find others.
    ///
    /// # Errors
    ///
    /// A resolve error if the host has none.
    pub async fn addresses_to_tell(&self, request: &ConnectRequest) -> Result<Vec<IpAddr>> {
        let finds_them = request.addresses().is_empty() && self.resolver.is_system();
        if finds_them && request.tls_name() == request.host() {
            return Ok(Vec::new());
        }
        self.addresses(request).await
    }

    async fn addresses(&self, request: &ConnectRequest) -> Result<Vec<IpAddr>> {
        if !request.addresses().is_empty() {
            return Ok(request.addresses().to_vec());
        }
        let host = request.host();
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        request.progress().enter(Phase::Resolve);
        let mut addresses = self.resolver.resolve(host).await.map_err(|error| {
            let message = format!("cannot resolve host `{host}`: check its spelling, and DNS");
            Error::new(ErrorKind::Resolve, message).with_source(error)
        })?;
        if addresses.is_empty() {
            return Err(no_address(request));
        }
        if self.shuffles {
            shuffle(&mut addresses);
        }
        Ok(addresses)
    }
}

/// Shuffles items, for load balancing.
pub(crate) fn shuffle<T>(items: &mut Vec<T>) {
    // The standard library's only source of randomness; load balancing needs no better one.
    let random = RandomState::new();
    let mut keyed: Vec<_> = items.drain(..).enumerate().collect();
    keyed.sort_by_key(|(index, _)| random.hash_one(index));
    items.extend(keyed.into_iter().map(|(_, item)| item));
}

/// Returns one address's share of the time that is left.
fn share(request: &ConnectRequest, addresses_left: usize) -> Duration {
    let left = request.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let left = left.unwrap_or(DEFAULT_TIMEOUT);
    // With many addresses the least share may exceed the deadline, which ends the connect all the
    // same.
    (left / u32::try_from(addresses_left).unwrap_or(u32::MAX)).max(ConnectRequest::LEAST_SHARE)
}

fn no_address(request: &ConnectRequest) -> Error {
    Error::new(ErrorKind::Resolve, format!("host `{}` has no address", request.host()))
}

/// Returns whether no other address of the host would change the error: the server is reached and
/// has decided, and would only count one more failed login, or nothing was dialled.
fn is_final(error: &Error) -> bool {
    error.server().is_some() || error.is_of_credentials() || error.kind() == ErrorKind::Configuration
}

#[cfg(test)]
mod tests;
