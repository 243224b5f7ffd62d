//! The description of a cluster to start.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::bind::bind;
use super::node::{Node, Server};
use super::state::{NodeView, State};
use super::{Cluster, Deployment};
use crate::access_key::AccessKey;
use crate::answers::Answers;
use crate::clock::{self, Clock};
use crate::error::{Error, Result};
use crate::mysql::{MysqlServer, MysqlServerBuilder};
use crate::postgres::{PostgresServer, PostgresServerBuilder};
use crate::rows::Rows;
use crate::server::{Description, Engine, Membership};
use crate::tls::CertificateAuthority;
use crate::token_policy::{Rules, TokenPolicy};

/// Above the size of any RDS cluster.
const MOST_NODES: usize = 32;

/// Describes a [`Cluster`]; see [`Cluster::builder`].
#[derive(Default)]
#[must_use = "a cluster runs once it is started"]
pub struct ClusterBuilder {
    deployment: Deployment,
    name: Option<String>,
    domain_id: Option<String>,
    region: Option<String>,
    writer: Option<String>,
    readers: Vec<String>,
    users: Vec<String>,
    password_users: Vec<(String, String)>,
    access_keys: Vec<AccessKey>,
    ca: Option<CertificateAuthority>,
    clock: Option<Box<dyn Fn() -> SystemTime + Send + Sync>>,
    answers: Answers,
    one_address: bool,
    certificate_addresses: bool,
}

impl ClusterBuilder {
    /// Sets the kind of deployment; default [`Deployment::AuroraPostgres`].
    pub fn deployment(mut self, deployment: Deployment) -> Self {
        self.deployment = deployment;
        self
    }

    /// Names the instance that is the writer at first.
    pub fn writer(mut self, id: impl Into<String>) -> Self {
        self.writer = Some(id.into());
        self
    }

    /// Names the instances that are readers at first; repeatable.
    pub fn readers<I: Into<String>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        self.readers.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Sets the name of the cluster, the first label of its endpoints; default `app`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the part of all names that stands for the account and region; default `abc123`.
    pub fn domain_id(mut self, domain_id: impl Into<String>) -> Self {
        self.domain_id = Some(domain_id.into());
        self
    }

    /// Sets the region; default `us-east-2`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Adds a user that logs in by token; repeatable, the first is [`Cluster::user`]. Default
    /// `jane`.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.users.push(user.into());
        self
    }

    /// Adds a user with a password; repeatable.
    pub fn password_user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.password_users.push((user.into(), password.into()));
        self
    }

    /// Adds a key with valid tokens; repeatable, the first is [`Cluster::access_key`]. Default a
    /// new one.
    pub fn access_key(mut self, key: AccessKey) -> Self {
        self.access_keys.push(key);
        self
    }

    /// Lets this certificate authority issue the certificates; default a new one.
    pub fn ca(mut self, ca: &CertificateAuthority) -> Self {
        self.ca = Some(ca.clone());
        self
    }

    /// Sets the source of the time for tokens and for the ages in the topology; default the
    /// system's clock.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }

    /// Answers a statement on all nodes, a statement that writes on the writer only; repeatable.
    pub fn answer(self, statement: &str, rows: Rows) -> Self {
        self.answers.set(statement, rows);
        self
    }

    /// Gives each node its own port on 127.0.0.1, as on a system with one loopback address; default
    /// off.
    pub fn one_address(mut self, one_address: bool) -> Self {
        self.one_address = one_address;
        self
    }

    /// Adds the address of each node to its certificate, for clients that verify what they dial and
    /// resolve names by themselves, such as sqlx; default off.
    pub fn certificate_addresses(mut self, certificate_addresses: bool) -> Self {
        self.certificate_addresses = certificate_addresses;
        self
    }

    /// Starts all nodes, in the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails without a writer, for an instance named twice or by what is not a label of a DNS name,
    /// for more than 32 instances, and if the system gives no ports, files or random bytes.
    pub async fn start(mut self) -> Result<Cluster> {
        let ids = self.ids()?;
        let region = self.region.take().unwrap_or_else(|| "us-east-2".to_owned());
        let domain_id = self.domain_id.take().unwrap_or_else(|| "abc123".to_owned());
        let domain = format!("{domain_id}.{region}.rds.amazonaws.com");
        let no_random = |error| Error::io("no access key could be made", error);
        if self.access_keys.is_empty() {
            self.access_keys.push(AccessKey::generate().map_err(no_random)?);
        }
        if self.users.is_empty() {
            self.users.push("jane".to_owned());
        }
        let ca = self.ca.take().map_or_else(CertificateAuthority::generate, Ok)?;
        let clock = self.clock.take().map_or_else(|| Clock::new(clock::system), Clock::new);
        let rules = Rules::new(
            self.access_keys.clone(),
            self.users.clone(),
            std::mem::take(&mut self.password_users),
        );
        let token_policy = TokenPolicy::new(rules, clock);

        let no_port = |error| Error::io("no ports on the loopback addresses", error);
        let listeners = bind(ids.len(), self.one_address).await.map_err(no_port)?;
        let mut members = Vec::with_capacity(ids.len());
        for (id, listener) in ids.iter().zip(&listeners) {
            members.push((id.clone(), listener.local_addr().map_err(no_port)?));
        }
        let name = self.name.take().unwrap_or_else(|| "app".to_owned());
        let state = Arc::new(State::new(self.deployment, &name, domain, members, token_policy.clone()));

        let mut nodes = Vec::with_capacity(ids.len());
        for (at, (id, listener)) in ids.into_iter().zip(listeners).enumerate() {
            let own = format!("{id}.{}", state.domain);
            let mut hosts = vec![own];
            let shared = [Some(state.endpoint.clone()), state.reader_endpoint.clone()];
            hosts.extend(shared.into_iter().flatten().filter(|host| *host != hosts[0]).collect::<Vec<_>>());
            let address = listener.local_addr().map_err(no_port)?.ip();
            let description = Description {
                hosts,
                names: self.certificate_addresses.then(|| address.to_string()).into_iter().collect(),
                region: Some(region.clone()),
                users: self.users.clone(),
                access_keys: self.access_keys.clone(),
                ca: Some(ca.clone()),
                read_only: at != 0,
                answers: self.answers.clone(),
                node: Some(Membership {
                    listener,
                    token_policy: token_policy.clone(),
                    view: NodeView::new(state.clone(), at),
                }),
                ..Description::default()
            };
            let server = match self.deployment.engine() {
                Engine::Mysql => {
                    Server::Mysql(MysqlServerBuilder { description, ..MysqlServer::builder() }.start().await?)
                }
                Engine::Postgres => {
                    let builder = PostgresServerBuilder { description, ..PostgresServer::builder() };
                    Server::Postgres(builder.start().await?)
                }
            };
            nodes.push(Node::new(state.clone(), at, id, server));
        }
        Ok(Cluster { state, nodes })
    }

    /// Returns the instances, the writer first.
    fn ids(&mut self) -> Result<Vec<String>> {
        let writer = self.writer.take().ok_or_else(|| Error::configuration("the cluster has no writer"))?;
        let mut ids = vec![writer];
        ids.append(&mut self.readers);
        let is_label = |id: &str| {
            !id.is_empty()
                && id.len() <= 63
                && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if let Some(id) = ids.iter().find(|id| !is_label(id)) {
            return Err(Error::configuration(format!("{id:?} is no instance id in lower case")));
        }
        if let Some((at, id)) = ids.iter().enumerate().find(|(at, id)| ids[..*at].contains(id)) {
            return Err(Error::configuration(format!("instance {id:?} is named again as number {}", at + 1)));
        }
        if ids.len() > MOST_NODES {
            return Err(Error::configuration(format!("{} instances, at most {MOST_NODES}", ids.len())));
        }
        Ok(ids)
    }
}

impl fmt::Debug for ClusterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterBuilder")
            .field("deployment", &self.deployment)
            .field("writer", &self.writer)
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}
