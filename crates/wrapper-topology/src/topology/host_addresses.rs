//! The addresses of a host without a topology: another address is another server.

use std::{iter, net::IpAddr, time::Duration};

use tokio::time::Instant;
use wrapper_core::Established;

/// The addresses of a host, and since when it has them.
#[derive(Clone, Debug)]
pub(super) struct HostAddresses {
    addresses: Vec<IpAddr>,
    /// Connections opened before this lead to the former server.
    since: Instant,
    /// When the latest login was established.
    latest: Instant,
}

/// The result of comparing a login's address with the known ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressChange {
    /// The address is known.
    Unchanged,
    /// The host has a new address; connections opened before this lead to the former server.
    Moved(Instant),
    /// A newer login has already reported another address; connections opened before this,
    /// including this login's, lead to the former server.
    Superseded(Instant),
}

impl HostAddresses {
    /// Records the first login; `None` if its adapter reports no address.
    pub(super) fn of(established: &Established) -> Option<Self> {
        let at = established.at();
        Some(Self { addresses: addresses(established)?, since: at, latest: at })
    }

    /// Records a login. Of concurrent logins the one established last decides, regardless of the
    /// order of the calls.
    pub(super) fn record_login(&mut self, established: &Established) -> AddressChange {
        let Some(mut addresses) = addresses(established) else { return AddressChange::Unchanged };
        let at = established.at();
        if self.is_at(&addresses) {
            // Only the latest list may replace the known one; addresses of the other family are
            // kept.
            if at >= self.latest {
                let others = self.addresses.iter().filter(|known| !has_family_of(&addresses, known));
                let others: Vec<_> = others.copied().collect();
                addresses.extend(others);
                (self.addresses, self.latest) = (addresses, at);
            }
            return if at < self.since {
                AddressChange::Superseded(self.since)
            } else {
                AddressChange::Unchanged
            };
        }
        if at < self.latest {
            // One nanosecond past this login: comparisons with `since` are strict, and it is
            // outdated too.
            self.since = self.since.max(at + Duration::from_nanos(1));
            return AddressChange::Superseded(self.since);
        }
        *self = Self { addresses, since: at, latest: at };
        AddressChange::Moved(at)
    }

    /// Returns whether a connection leads to a former address of the host.
    pub(super) fn is_outdated(&self, established: &Established) -> bool {
        established.at() < self.since
    }

    /// Returns whether one of the addresses is known, or no address of its family is: both families
    /// may lead to one server.
    fn is_at(&self, addresses: &[IpAddr]) -> bool {
        addresses.iter().any(|address| self.addresses.contains(address))
            || !addresses.iter().any(|address| has_family_of(&self.addresses, address))
    }
}

/// Returns the dialled address and the host's other ones: RDS Proxy has several and rotates them.
fn addresses(established: &Established) -> Option<Vec<IpAddr>> {
    let dialled = established.address()?.ip();
    let others = established.addresses().iter().copied().filter(|address| *address != dialled);
    Some(iter::once(dialled).chain(others).collect())
}

fn has_family_of(addresses: &[IpAddr], address: &IpAddr) -> bool {
    addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4())
}
