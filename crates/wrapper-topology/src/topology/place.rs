//! Where a host without a topology was last: another address is another server.

use std::{iter, net::IpAddr, time::Duration};

use tokio::time::Instant;
use wrapper_core::Established;

/// The addresses of a host, and since when it has them.
#[derive(Clone, Debug)]
pub(super) struct Place {
    addresses: Vec<IpAddr>,
    /// What was open before leads elsewhere.
    since: Instant,
    /// When the latest login was open.
    latest: Instant,
}

/// What a login tells of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// It is where it was.
    No,
    /// It is at another place; what was open before leads elsewhere.
    Here(Instant),
    /// It was at another place already when the login was told; what was open before leads
    /// elsewhere, the login included.
    Away(Instant),
}

impl Place {
    /// Notes the first login; `None` where its adapter tells no address.
    pub(super) fn of(established: &Established) -> Option<Self> {
        let at = established.at();
        Some(Self { addresses: addresses(established)?, since: at, latest: at })
    }

    /// Takes in a login; of logins side by side the one that was open last counts, in whatever
    /// order they are told.
    pub(super) fn logged_in(&mut self, established: &Established) -> Moved {
        let Some(mut addresses) = addresses(established) else { return Moved::No };
        let at = established.at();
        if self.is_at(&addresses) {
            if at >= self.latest {
                let others = self.addresses.iter().filter(|known| !has_family_of(&addresses, known));
                let others: Vec<_> = others.copied().collect();
                addresses.extend(others);
                (self.addresses, self.latest) = (addresses, at);
            }
            return if at < self.since { Moved::Away(self.since) } else { Moved::No };
        }
        if at < self.latest {
            self.since = self.since.max(at + Duration::from_nanos(1));
            return Moved::Away(self.since);
        }
        *self = Self { addresses, since: at, latest: at };
        Moved::Here(at)
    }

    /// Returns whether a connection leads to where the host was before.
    pub(super) fn is_left_by(&self, established: &Established) -> bool {
        established.at() < self.since
    }

    /// Returns whether one of the addresses is known, or none of their family is: both families may
    /// lead to one server.
    fn is_at(&self, addresses: &[IpAddr]) -> bool {
        addresses.iter().any(|address| self.addresses.contains(address))
            || !addresses.iter().any(|address| has_family_of(&self.addresses, address))
    }
}

/// Returns the address that was dialled, and those that the host had beside it: RDS Proxy has
/// several and leads to one after the other.
fn addresses(established: &Established) -> Option<Vec<IpAddr>> {
    let dialled = established.address()?.ip();
    let others = established.addresses().iter().copied().filter(|address| *address != dialled);
    Some(iter::once(dialled).chain(others).collect())
}

fn has_family_of(addresses: &[IpAddr], address: &IpAddr) -> bool {
    addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4())
}
