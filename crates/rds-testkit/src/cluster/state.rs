//! The state shared by the nodes of a cluster, and one node's view of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::view::{Instance, Lie, View};
use super::{Deployment, sql};
use crate::rows::Rows;
use crate::server_error::ServerError;
use crate::token_policy::TokenPolicy;

#[derive(Debug)]
pub(crate) struct State {
    pub(super) deployment: Deployment,
    pub(super) domain: String,
    pub(super) endpoint: String,
    pub(super) reader_endpoint: Option<String>,
    pub(super) token_policy: TokenPolicy,
    members: Mutex<Members>,
}

#[derive(Debug)]
pub(super) struct Members {
    pub(super) list: Vec<Member>,
    pub(super) writer: usize,
    pub(super) dns_held: bool,
    /// The targets of the endpoints, as indices.
    published_writer: usize,
    published_readers: Vec<usize>,
    /// How often the reader endpoint was resolved.
    turns: usize,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) addr: SocketAddr,
    pub(super) down_since: Option<SystemTime>,
    pub(super) promoted: bool,
    pub(super) view: Option<View>,
    pub(super) lies: Vec<Lie>,
}

/// The cluster as one of its nodes sees it.
#[derive(Clone, Debug)]
pub(crate) struct NodeView {
    state: Arc<State>,
    at: usize,
}

impl State {
    /// Creates the state of a cluster with the first member as the writer.
    pub(super) fn new(
        deployment: Deployment,
        name: &str,
        domain: String,
        members: Vec<(String, SocketAddr)>,
        token_policy: TokenPolicy,
    ) -> Self {
        let endpoint = |kind: &str| format!("{name}.{kind}-{domain}");
        let (writer, reader) = match deployment.has_endpoints() {
            true => (endpoint("cluster"), Some(endpoint("cluster-ro"))),
            false => (format!("{}.{domain}", members[0].0), None),
        };
        let member =
            |(id, addr)| Member { id, addr, down_since: None, promoted: false, view: None, lies: Vec::new() };
        let list = members.into_iter().map(member).collect::<Vec<_>>();
        let members = Members {
            published_readers: (1..list.len()).collect(),
            list,
            writer: 0,
            dns_held: false,
            published_writer: 0,
            turns: 0,
        };
        Self {
            deployment,
            domain,
            endpoint: writer,
            reader_endpoint: reader,
            token_policy,
            members: Mutex::new(members),
        }
    }

    pub(super) fn members(&self) -> MutexGuard<'_, Members> {
        // Lock order: the members, then the clock of the policy.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Updates the endpoints to the writer and the live readers, unless they are held.
    pub(super) fn publish(&self) {
        self.members().publish();
    }

    pub(super) fn resolve(&self, host: &str) -> Option<IpAddr> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let mut members = self.members();
        if host.eq_ignore_ascii_case(&self.endpoint) {
            return Some(members.list[members.published_writer].addr.ip());
        }
        if self.reader_endpoint.as_ref().is_some_and(|name| host.eq_ignore_ascii_case(name)) {
            members.turns += 1;
            let readers = &members.published_readers;
            // Without readers the reader endpoint points to the writer.
            let at = match readers.len() {
                0 => members.published_writer,
                count => readers[members.turns % count],
            };
            return Some(members.list[at].addr.ip());
        }
        let is_named =
            |member: &&Member| host.eq_ignore_ascii_case(&format!("{}.{}", member.id, self.domain));
        members.list.iter().find(is_named).map(|member| member.addr.ip())
    }
}

impl Members {
    /// As [`State::publish`], under a lock that is held already.
    pub(super) fn publish(&mut self) {
        if !self.dns_held {
            let is_reader = |at: &usize| *at != self.writer && self.list[*at].down_since.is_none();
            self.published_readers = (0..self.list.len()).filter(is_reader).collect();
            self.published_writer = self.writer;
        }
    }
}

impl NodeView {
    pub(super) fn new(state: Arc<State>, at: usize) -> Self {
        Self { state, at }
    }

    /// Answers a statement about the cluster, in its canonical form.
    pub(crate) fn answer(&self, canonical: &str) -> Option<Result<Rows, ServerError>> {
        sql::answer(canonical, &self.topology())
    }

    pub(crate) fn lie_of_role(&self) -> Option<bool> {
        self.lie(|lie| match lie {
            Lie::ReadOnly(read_only) => Some(*read_only),
            _ => None,
        })
    }

    pub(crate) fn lie_of_standby(&self) -> Option<bool> {
        self.lie(|lie| match lie {
            Lie::Standby(standby) => Some(*standby),
            _ => None,
        })
    }

    fn lie<T>(&self, pick: impl FnMut(&Lie) -> Option<T>) -> Option<T> {
        self.state.members().list[self.at].lies.iter().rev().find_map(pick)
    }

    /// Returns what this node reports at this moment.
    fn topology(&self) -> sql::Topology {
        let members = self.state.members();
        let (own, now) = (&members.list[self.at], self.state.token_policy.now());
        // A promoted node believes in itself; all others keep the cluster's writer.
        let writer = if own.promoted { self.at } else { members.writer };
        let age = |since: SystemTime| now.duration_since(since).unwrap_or_default();
        let rows = members.list.iter().enumerate().map(|(at, member)| {
            let id = member.id.clone();
            let instance = if at == writer { Instance::writer(id) } else { Instance::reader(id) };
            instance.age(member.down_since.map(age).unwrap_or_default())
        });
        // The latest lie of a kind counts.
        let lies = || own.lies.iter().rev();
        let id = lies().find_map(|lie| match lie {
            Lie::Id(id) => Some(id.clone()),
            _ => None,
        });
        sql::Topology {
            deployment: self.state.deployment,
            domain: self.state.domain.clone(),
            port: own.addr.port(),
            id: id.unwrap_or_else(|| own.id.clone()),
            claims_writer: lies().find_map(|lie| match lie {
                Lie::Writer(writer) => Some(*writer),
                _ => None,
            }),
            reports_read_only: lies().find_map(|lie| match lie {
                Lie::ReadOnly(read_only) => Some(*read_only),
                _ => None,
            }),
            is_read_only: !own.promoted && members.writer != self.at,
            instances: own.view.as_ref().map_or_else(|| rows.collect(), |view| view.instances.clone()),
            now,
        }
    }
}
