//! Where connects go: what both plugins do at a connect.

use std::{sync::Arc, time::Duration};

use host_pattern::{Endpoint, EndpointKind};
use tokio::time::Instant;
use wrapper_core::{ConnectRequest, Connected, Error, ErrorKind, Next, Result, Role, Session};

use crate::{
    Topology,
    knowledge::{Evidence, Target},
    parameters::{RouteOptions, Wanted},
};

mod attempt;
mod search;

use search::Search;

/// Leads the connects of one connector.
#[derive(Debug)]
pub(crate) struct Router {
    topology: Topology,
    options: RouteOptions,
    /// The configured hosts, with what their kind says.
    hosts: Vec<(Arc<str>, Wanted)>,
    /// Whether a monitor looks for the writer beside the connects.
    has_monitor: bool,
}

/// Returns what the name of a host says of the role that is wanted; `None`: that there is no role
/// to be had.
pub(crate) fn wanted_at(host: &str, has_pattern: bool) -> Option<Wanted> {
    let kind = Endpoint::parse(host).ok()?.kind();
    match kind {
        EndpointKind::WriterCluster => Some(Wanted::Writer),
        EndpointKind::ReaderCluster => Some(Wanted::Reader { or_writer: true }),
        EndpointKind::CustomCluster | EndpointKind::Instance => Some(Wanted::Any),
        // An address or a name of one's own in front of a cluster whose instances can be named.
        EndpointKind::Custom | EndpointKind::Ip if has_pattern => Some(Wanted::Writer),
        _ => None,
    }
}

/// Returns whether a host leads to one server at a time, as single instances and RDS Proxy do: a
/// login at another address is all that tells of a failover there.
pub(crate) fn has_a_place(host: &str) -> bool {
    Endpoint::parse(host).is_ok_and(|endpoint| {
        matches!(endpoint.kind(), EndpointKind::Instance | EndpointKind::Proxy | EndpointKind::ProxyEndpoint)
    })
}

impl Router {
    pub(crate) fn new(
        topology: Topology,
        options: RouteOptions,
        hosts: Vec<(Arc<str>, Wanted)>,
        has_monitor: bool,
    ) -> Self {
        Self { topology, options, hosts, has_monitor }
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Returns whether connects are led anywhere, so that a monitor has something to do.
    pub(crate) fn leads(&self, request: &ConnectRequest) -> bool {
        self.wanted(request) != Wanted::Any && !self.topology.is_off()
    }

    /// Returns the role that a request asks for: its own, the configured one, or that of the
    /// endpoint's kind.
    fn wanted(&self, request: &ConnectRequest) -> Wanted {
        // Led elsewhere already, or to one instance.
        if !request.is_configured_host() || request.instance().is_some() {
            return Wanted::Any;
        }
        let Some((_, by_kind)) = self.hosts.iter().find(|(host, _)| **host == *request.host()) else {
            return Wanted::Any;
        };
        match request.role() {
            Some(Role::Writer) => Wanted::Writer,
            Some(Role::Reader) => Wanted::Reader { or_writer: !self.options.is_strict_reader },
            None => self.options.wanted.unwrap_or(*by_kind),
        }
    }

    /// Opens a connection to an instance of the wanted role.
    pub(crate) async fn connect<C: Send + 'static>(
        &self,
        request: ConnectRequest,
        next: Next<'_, C>,
    ) -> Result<Connected<C>> {
        let wanted = self.wanted(&request);
        if wanted == Wanted::Any || self.topology.is_off() {
            let host: Arc<str> = request.host().into();
            let connected = next.run(request).await?;
            if has_a_place(&host) {
                self.topology.logged_in_at(&host, &connected.established);
            }
            return Ok(connected);
        }
        Search::new(self, request, wanted).run(next).await
    }

    /// Returns whether connects of at least one host are led to instances.
    pub(crate) fn leads_any(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// Judges a pooled connection: without a query unless somebody suspects something.
    pub(crate) async fn verify(&self, request: &ConnectRequest, session: &mut dyn Session) -> Result<()> {
        if self.topology.is_off() {
            return Ok(());
        }
        if self.wanted(request) != Wanted::Writer || !self.topology.is_doubted() {
            return Ok(());
        }
        let asked = Instant::now();
        if self.topology.is_read_only(session).await? {
            return Err(wrong("the connection leads to an instance that is not the writer any more"));
        }
        // One of known instances is not called by its name on a connection: that it takes writes is
        // all that there is to learn.
        if self.topology.is_fixed() {
            self.topology.took_writes(asked);
            return Ok(());
        }
        // The writer's whole word ends the doubt, so that others are handed out without a question.
        let asked = Instant::now();
        if let Some(answer) = self.topology.ask(session, None).await? {
            let answered = Instant::now();
            let dialled = Target::Endpoint;
            self.topology.answered(&Evidence { dialled, asked, answered, answer });
        }
        Ok(())
    }
}

/// How long a connect to one instance may take before another way is tried.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Returns what is left of a connect's time so that it ends by itself, with an error that says more
/// than that it is late.
fn end_of(request: &ConnectRequest, now: Instant, limit: Option<Duration>) -> Instant {
    const DEFAULT: Duration = Duration::from_secs(30);
    let deadline = request.deadline().unwrap_or(now + DEFAULT);
    let left = deadline.saturating_duration_since(now);
    let until = deadline - Duration::from_millis(100).min(left / 10);
    limit.map_or(until, |limit| until.min(now + limit))
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::WrongInstance, message)
}
