//! The routing of connects, shared by both plugins.

use std::{
    sync::{Arc, Once},
    time::Duration,
};

use host_pattern::{Endpoint, EndpointKind};
use tokio::time::Instant;
use wrapper_core::{ConnectRequest, Connected, Error, ErrorKind, Events, Next, Result, Role, Session};

use crate::{
    Topology,
    knowledge::{Evidence, Target},
    parameters::{RequestedRole, RouteOptions},
};

mod attempt;
mod search;

use search::Search;

/// Routes the connects of one connector.
#[derive(Debug)]
pub(crate) struct Router {
    topology: Topology,
    options: RouteOptions,
    /// The configured hosts with the role that their kind implies.
    hosts: Vec<(Arc<str>, RequestedRole)>,
    /// Whether a monitor searches for the writer in the background.
    has_monitor: bool,
    /// Keeps the connector's listeners registered with the topology.
    _listeners: Arc<Events>,
    cover: Cover,
}

/// Whether `failover2` does the work of this router's plugin in the same connector.
#[derive(Debug)]
pub(crate) enum Cover {
    None,
    Whole,
    /// The application gave the plugin a topology, and is to learn once if that is not the one of
    /// `failover2`.
    OfGiven(Once),
}

/// Returns the role that a host's kind implies; `None` if the host has no roles to choose from.
pub(crate) fn wanted_at(host: &str, has_pattern: bool) -> Option<RequestedRole> {
    let kind = Endpoint::parse(host).ok()?.kind();
    match kind {
        EndpointKind::WriterCluster => Some(RequestedRole::Writer),
        EndpointKind::ReaderCluster => Some(RequestedRole::Reader { or_writer: true }),
        EndpointKind::CustomCluster | EndpointKind::Instance => Some(RequestedRole::Any),
        // An address or custom name in front of a cluster with a known instance pattern.
        EndpointKind::Custom | EndpointKind::Ip if has_pattern => Some(RequestedRole::Writer),
        _ => None,
    }
}

/// Returns whether a host leads to one server at a time, as single instances and RDS Proxy do.
/// There only a login at another address reveals a failover.
pub(crate) fn leads_to_one_server(host: &str) -> bool {
    Endpoint::parse(host).is_ok_and(|endpoint| {
        matches!(endpoint.kind(), EndpointKind::Instance | EndpointKind::Proxy | EndpointKind::ProxyEndpoint)
    })
}

impl Router {
    pub(crate) fn new(
        topology: Topology,
        options: RouteOptions,
        hosts: Vec<(Arc<str>, RequestedRole)>,
        has_monitor: bool,
        listeners: Arc<Events>,
    ) -> Self {
        Self { topology, options, hosts, has_monitor, _listeners: listeners, cover: Cover::None }
    }

    pub(crate) fn covered(self, cover: Cover) -> Self {
        Self { cover, ..self }
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Reports a suspicion, unless `failover2` does.
    pub(crate) fn suspect(&self) {
        if matches!(self.cover, Cover::None) {
            self.topology.suspect();
        }
    }

    /// Warns once of a given topology that learns nothing, since `failover2` has another one.
    ///
    /// At a connect: while the chain is built, `failover2` may not have its topology yet.
    pub(crate) fn warn_of_separate_topology(&self) {
        if let Cover::OfGiven(once) = &self.cover
            && !self.topology.with_monitor(|monitor| monitor.schedule.has_monitor())
        {
            once.call_once(|| {
                tracing::warn!(
                    "the topology given to `initialConnection` learns nothing: `failover2` covers that \
                     plugin and has another topology: give both factories the same one"
                );
            });
        }
    }

    /// Returns whether connects for this request are routed to instances, which needs a monitor.
    pub(crate) fn leads(&self, request: &ConnectRequest) -> bool {
        self.wanted(request) != RequestedRole::Any && !self.topology.is_off()
    }

    /// Returns the role for a request: its own, the configured one, or that of the endpoint's kind.
    fn wanted(&self, request: &ConnectRequest) -> RequestedRole {
        // Routed elsewhere already, or to one instance.
        if !request.is_configured_host() || request.instance().is_some() {
            return RequestedRole::Any;
        }
        let Some((_, by_kind)) = self.hosts.iter().find(|(host, _)| **host == *request.host()) else {
            return RequestedRole::Any;
        };
        match request.role() {
            Some(Role::Writer) => RequestedRole::Writer,
            Some(Role::Reader) => RequestedRole::Reader { or_writer: !self.options.is_strict_reader },
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
        if wanted == RequestedRole::Any || self.topology.is_off() {
            let host: Arc<str> = request.host().into();
            let connected = next.run(request).await?;
            if leads_to_one_server(&host) {
                self.topology.logged_in_at(&host, &connected.established);
            }
            return Ok(connected);
        }
        Search::new(self, request, wanted).run(next).await
    }

    /// Returns whether connects to at least one host are routed to instances.
    pub(crate) fn leads_any(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// Verifies a pooled connection, without a query unless there is a suspicion.
    pub(crate) async fn verify(&self, request: &ConnectRequest, session: &mut dyn Session) -> Result<()> {
        if self.topology.is_off() {
            return Ok(());
        }
        if self.wanted(request) != RequestedRole::Writer || !self.topology.is_doubted() {
            return Ok(());
        }
        // Taken before the query: its answer refutes only suspicions that are older than this.
        let asked = Instant::now();
        if self.topology.is_read_only(session).await? {
            return Err(wrong("the connection leads to an instance that is no longer the writer"));
        }
        // With a fixed list the connection does not reveal which instance it leads to, only that it
        // accepts writes.
        if self.topology.is_fixed() {
            self.topology.took_writes(asked);
            return Ok(());
        }
        // A full answer of the writer ends the suspicion, so that further connections need no
        // query.
        let asked = Instant::now();
        if let Some(answer) = self.topology.ask(session, None).await? {
            let answered = Instant::now();
            let dialled = Target::Endpoint;
            self.topology.answered(&Evidence { dialled, asked, answered, answer });
        }
        Ok(())
    }
}

/// How long a connect to one instance may take before another target is tried.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Returns what is left of a connect's time so that it ends by itself, with an error that says more
/// than that it is late.
fn end_of(deadline: Option<Instant>, now: Instant, limit: Option<Duration>) -> Instant {
    const DEFAULT: Duration = Duration::from_secs(30);
    let deadline = deadline.unwrap_or(now + DEFAULT);
    let left = deadline.saturating_duration_since(now);
    let until = deadline - Duration::from_millis(100).min(left / 10);
    limit.map_or(until, |limit| until.min(now + limit))
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::WrongInstance, message)
}
