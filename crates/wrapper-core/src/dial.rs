//! One host, address after address.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, timeout};

use crate::{
    BoxFuture, ConnectRequest, CredentialsFailure, Error, ErrorKind, Failures, Phase, Resolver, Result,
    progress::Position,
};

/// Bounds one whole connect where `wrapperConnectTimeout` is not given.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A host or an address is given this long at least, however many wait behind it.
pub(crate) const LEAST_SHARE: Duration = Duration::from_secs(2);

/// Tries the addresses of a host for a driver adapter.
#[derive(Clone, Debug)]
pub struct Dialer {
    resolver: Arc<dyn Resolver>,
    shuffles: bool,
}

impl Dialer {
    /// A dialer that resolves host names so; `shuffles` tries their addresses at random.
    pub fn new(resolver: Arc<dyn Resolver>, shuffles: bool) -> Self {
        Self { resolver, shuffles }
    }

    /// Opens a connection to the first address of the request's host that lets us in.
    ///
    /// Each address gets its share of the time that is left. A server that answers no ends the attempt on this host: its
    /// other addresses would only repeat it. So does an error of the credentials.
    ///
    /// # Errors
    ///
    /// The answer of a server; else, with several addresses, what [`Failures`] makes of theirs.
    pub async fn dial<'a, C>(
        &self,
        request: &'a ConnectRequest,
        open: impl Fn(SocketAddr) -> BoxFuture<'a, Result<C>>,
    ) -> Result<C> {
        let addresses = self.addresses(request).await?;
        let mut failures = Failures::default();
        for (index, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, request.port());
            request.progress().dial(address);
            let share = share(request, addresses.len() - index);
            match timeout(share, open(address)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) if error.server().is_some() || error.is_of_credentials() => return Err(error),
                Ok(Err(error)) => failures.add(address.to_string(), error),
                Err(_) => failures.add(address.to_string(), timed_out(request, share)),
            }
        }
        Err(failures.into_error("addresses").unwrap_or_else(|| no_address(request)))
    }

    /// The addresses that a driver has to be told, where by itself it would dial the name on the certificate and find others.
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
            let message = format!("cannot resolve host `{host}`: check its spelling, and dns");
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

/// Brings items into a random order, for load balancing.
pub fn shuffle<T>(items: &mut Vec<T>) {
    // The standard library's only source of randomness; load balancing needs no better one.
    let random = RandomState::new();
    let mut keyed: Vec<_> = items.drain(..).enumerate().collect();
    keyed.sort_by_key(|(index, _)| random.hash_one(index));
    items.extend(keyed.into_iter().map(|(_, item)| item));
}

/// One address's share of the time that is left.
fn share(request: &ConnectRequest, addresses_left: usize) -> Duration {
    let left = request.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let left = left.unwrap_or(DEFAULT_TIMEOUT);
    (left / u32::try_from(addresses_left).unwrap_or(u32::MAX)).max(LEAST_SHARE)
}

/// The error of an attempt whose time is over: the phase, the host and the address that it was at.
pub(crate) fn timed_out(request: &ConnectRequest, after: Duration) -> Error {
    let (host, place) = (request.host(), request.host_and_port());
    let Position { host: moved, phase, address, .. } = request.progress().position();
    let address = address.map(|address| format!(" ({address})")).unwrap_or_default();
    // A plugin may have led the attempt to another host than the one that was asked for.
    let (at, there) = match moved.filter(|moved| **moved != *host) {
        Some(moved) => (String::new(), format!(" at `{moved}`{address}")),
        None => (address, String::new()),
    };
    let hint = match phase {
        Phase::Dial => ": a firewall or a security group may drop the packets",
        Phase::Credentials | Phase::Plugins => ": a source of credentials may be slow or out of reach",
        Phase::Open | Phase::Tls => ": check that the port is the database's own",
        _ => "",
    };
    let message = format!("no connection to `{place}`{at} within {after:.1?}, still {phase}{there}{hint}");
    let kind = match phase {
        Phase::Credentials => ErrorKind::Credentials(CredentialsFailure::TimedOut),
        _ => ErrorKind::Timeout,
    };
    Error::new(kind, message)
}

fn no_address(request: &ConnectRequest) -> Error {
    Error::new(ErrorKind::Resolve, format!("host `{}` has no address", request.host()))
}

#[cfg(test)]
mod tests;
