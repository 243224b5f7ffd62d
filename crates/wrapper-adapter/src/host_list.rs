//! The configured hosts, tried in turn: the part of a connector that is the same for every driver.

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use host_pattern::{Endpoint, InstancePattern};
use tokio::time::{Instant, timeout_at};

use wrapper_core::{
    Cause, ConnectRequest, Connected, Error, ErrorKind, Established, Options, Plugin, Result, Role,
    ServerName, Session,
    adapter::{Driver, Suspicion, Wrapper},
    stats::Stats,
};

use crate::{
    LastError, PoolRules, Roots, attempt_errors::AttemptErrors, dial::DEFAULT_TIMEOUT, dial::shuffle,
    runtime::in_runtime,
};

/// Opens connections to the first configured host that accepts one; clones share everything.
pub struct HostList<D: Driver> {
    wrapper: Wrapper<D>,
    plan: Arc<Plan>,
}

/// The requests of a connect, host by host.
#[derive(Debug)]
struct Plan {
    requests: Vec<ConnectRequest>,
    shuffles: bool,
    pattern: Option<InstancePattern>,
    timeout: Duration,
}

impl<D: Driver> HostList<D> {
    /// Applies the parameters that every connector has to the requests, one for each host, and lets
    /// the plugins check them.
    ///
    /// # Errors
    ///
    /// A configuration error for a missing host or an invalid parameter; a plugin's error.
    pub fn new(
        wrapper: Wrapper<D>,
        requests: Vec<ConnectRequest>,
        shuffles: bool,
        settings: &Options,
    ) -> Result<Self> {
        if requests.is_empty() {
            return Err(configuration("no host is configured".to_owned()));
        }
        let server_name = server_name(settings)?;
        if server_name.is_some() && requests.len() > 1 {
            return Err(configuration(
                "`tlsServerName` is one name, and several hosts are configured: name the hosts as their \
                 certificates do"
                    .to_owned(),
            ));
        }
        // Set before the plugins check the requests: they may refuse a name that is not trusted.
        let named = |request: ConnectRequest| match &server_name {
            Some(name) => request.with_server_name(name.clone()),
            None => request,
        };
        let requests: Vec<_> = requests.into_iter().map(named).collect();
        requests.iter().try_for_each(|request| wrapper.check(request))?;
        let timeout = settings.get(&Options::WRAPPER_CONNECT_TIMEOUT);
        let plan = Plan {
            requests,
            shuffles,
            pattern: settings.get(&Options::CLUSTER_INSTANCE_HOST_PATTERN).cloned(),
            timeout: timeout.map_or(DEFAULT_TIMEOUT, |millis| Duration::from_millis(*millis)),
        };
        Ok(Self { wrapper, plan: Arc::new(plan) })
    }

    /// Returns the same hosts behind another driver; see [`Wrapper::with_driver`].
    #[must_use]
    pub fn with_driver(&self, driver: D) -> Self {
        Self { wrapper: self.wrapper.with_driver(driver), plan: Arc::clone(&self.plan) }
    }

    /// Returns the driver adapter.
    pub fn driver(&self) -> &D {
        self.wrapper.driver()
    }

    /// Returns how long one connect may take, over all hosts.
    pub fn timeout(&self) -> Duration {
        self.plan.timeout
    }

    /// Returns the rules for pools of these connections.
    pub fn pool_rules(&self) -> PoolRules {
        let places: Vec<_> = self.plan.requests.iter().map(ConnectRequest::address_label).collect();
        PoolRules::new(&places.join(", "))
    }

    /// Returns the plugin of a type, for its statistics and methods of its own.
    pub fn plugin<P: Plugin<D::Connection>>(&self) -> Option<&P> {
        self.wrapper.plugin()
    }

    /// Lets the plugins prepare for connects to every configured host.
    ///
    /// # Errors
    ///
    /// The first plugin's error.
    pub async fn warm_up(&self) -> Result<()> {
        for request in &self.plan.requests {
            self.wrapper.warm_up(request).await?;
        }
        Ok(())
    }

    /// Closes the connector, all made from it and the one it was made from; see [`Wrapper::close`].
    pub async fn close(&self) {
        self.wrapper.close().await;
    }

    /// Returns what was counted so far, in total and by host and user.
    pub fn stats(&self) -> Stats {
        self.wrapper.stats()
    }

    /// Passes a suspicion that an error of a connection in use raised on to the plugins.
    pub fn suspect(&self, suspicion: Suspicion) {
        self.wrapper.suspect(suspicion);
    }

    /// Returns whether a plugin rules out a connection because of events since it was opened; runs
    /// no query.
    pub fn is_outdated(&self, established: &Established) -> bool {
        self.wrapper.is_outdated(established)
    }

    /// Returns the same hosts for connects to an instance of this role.
    ///
    /// # Errors
    ///
    /// A configuration error if no enabled plugin selects instances by role.
    pub fn with_role(&self, role: Role) -> Result<Self> {
        if !self.wrapper.leads_to_roles() {
            let error = configuration("no enabled plugin selects instances by role".to_owned());
            let cause = Cause::new(
                Cause::ROLE_PLUGIN_MISSING,
                "a plugin that knows the cluster's topology is missing",
                "add one to `plugins`, at the endpoint of a cluster",
            );
            return Err(self.wrapper.explain(&self.plan.requests[0], error.with_diagnosis([cause])));
        }
        Ok(self.with_each(|request| request.with_role(role)))
    }

    /// Lets the plugins verify a connection that was in use before, for the configured host that it
    /// was opened for. If that is unknown, it suffices that it passes for one of the hosts.
    ///
    /// # Errors
    ///
    /// The first plugin's error; the connection must not be used then.
    pub async fn check(&self, session: &mut dyn Session, established: Option<&Established>) -> Result<()> {
        let is_it = |request: &&ConnectRequest| established.is_some_and(|it| it.is_for(request));
        if let Some(request) = self.plan.requests.iter().find(is_it) {
            return self.wrapper.verify(request, session).await;
        }
        let mut refused = None;
        for request in &self.plan.requests {
            match self.wrapper.verify(request, session).await {
                Ok(()) => return Ok(()),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Returns the same hosts for another database; the driver, its TLS and the plugins are shared.
    ///
    /// # Errors
    ///
    /// A configuration error for a name that is empty or contains a control character.
    pub fn with_database(&self, database: &str) -> Result<Self> {
        if database.is_empty() || database.contains(char::is_control) {
            return Err(configuration("the database is empty or contains a control character".to_owned()));
        }
        Ok(self.with_each(|request| request.with_database(database)))
    }

    /// Returns the same plugins and the same driver for other requests.
    fn with_each(&self, change: impl Fn(ConnectRequest) -> ConnectRequest) -> Self {
        let plan = Plan {
            requests: self.plan.requests.iter().cloned().map(change).collect(),
            shuffles: self.plan.shuffles,
            pattern: self.plan.pattern.clone(),
            timeout: self.plan.timeout,
        };
        Self { wrapper: self.wrapper.clone(), plan: Arc::new(plan) }
    }

    /// Returns the requests, one for each configured host.
    pub fn requests(&self) -> &[ConnectRequest] {
        &self.plan.requests
    }

    /// Opens one connection.
    ///
    /// # Errors
    ///
    /// With one host its error; with several one error that lists theirs. A credentials error ends
    /// the attempt: another host would not change it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection that was being opened.
    pub async fn connect(&self) -> Result<Connected<D::Connection>> {
        self.connect_noted(None).await
    }

    /// As [`connect`](Self::connect), but records the running attempt for the error of a pool.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_noted(&self, last_error: Option<&LastError>) -> Result<Connected<D::Connection>> {
        // Pinned here: an async function has room for its arguments twice.
        in_runtime(pin!(self.connect_in_turn(last_error))).await
    }

    async fn connect_in_turn(&self, last_error: Option<&LastError>) -> Result<Connected<D::Connection>> {
        let deadline = Instant::now() + self.plan.timeout;
        let mut requests: Vec<_> = self.plan.requests.iter().collect();
        if self.plan.shuffles {
            shuffle(&mut requests);
        }
        let mut failures = AttemptErrors::default();
        for (index, request) in requests.iter().enumerate() {
            let now = Instant::now();
            let hosts_left = u32::try_from(requests.len() - index).unwrap_or(u32::MAX);
            // An unreachable host must not use up the time of those after it; time that a host
            // leaves is shared again.
            let share =
                (deadline.saturating_duration_since(now) / hosts_left).max(ConnectRequest::LEAST_SHARE);
            let until = deadline.min(now + share);
            let begun = (*request).clone().begin(until).ends_at(deadline);
            // Dropped with this future if the pool gives up, and then notes the phase that was
            // reached.
            let running = last_error.map(|last_error| last_error.begin(Some(begun.clone())));
            let connected = self.wrapper.connect(begun).await;
            if let Some(running) = running {
                running.end();
            }
            match connected {
                Ok(connected) => return Ok(connected),
                // All hosts log in with the same credentials.
                Err(error) if error.is_of_credentials() => return Err(error),
                Err(error) => failures.add(place(request), error),
            }
        }
        Err(failures.into_error("hosts").unwrap_or_else(|| configuration("no host is configured".to_owned())))
    }

    /// Returns the one configured host's request as the plugins hand it to the driver, for a
    /// program that connects by itself.
    ///
    /// # Errors
    ///
    /// A configuration error if several hosts are configured; a plugin's error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn prepare(&self) -> Result<ConnectRequest> {
        let [request] = &self.plan.requests[..] else {
            return Err(configuration(
                "several hosts are configured, but a driver's configuration has one password for all of \
                 them, and a token is for one: configure one host"
                    .to_owned(),
            ));
        };
        let start = Instant::now();
        let request = request.clone().begin(start + self.plan.timeout);
        let prepare = async {
            match timeout_at(start + self.plan.timeout, self.wrapper.prepare(request.clone())).await {
                Ok(prepared) => prepared,
                Err(_) => Err(request.timed_out(self.plan.timeout)),
            }
        };
        in_runtime(prepare).await
    }

    /// Returns a list of one instance of the cluster, whose endpoint is derived from
    /// `clusterInstanceHostPattern` or the first configured host.
    ///
    /// # Errors
    ///
    /// A configuration error if no pattern is known, a host error for an invalid instance name.
    pub fn instance(&self, id: &str) -> Result<Self> {
        let configured = &self.plan.requests[0];
        let derived = || Endpoint::parse(configured.host()).ok()?.instance_pattern();
        let pattern = self.plan.pattern.clone().or_else(derived).ok_or_else(|| {
            configuration(format!(
                "host `{}` does not tell how its instances are named: set `clusterInstanceHostPattern`, as \
                 in `?.my-domain.example`",
                configured.host()
            ))
        })?;
        let host = pattern
            .host(id)
            .map_err(|error| Error::new(ErrorKind::Host, format!("invalid instance name: {error}")))?;
        let port = pattern.port().unwrap_or(configured.port());
        let request = configured.clone().with_host(&host).with_port(port).with_instance(id);
        self.wrapper.check(&request)?;
        let plan = Plan {
            requests: vec![request],
            shuffles: false,
            pattern: Some(pattern),
            timeout: self.plan.timeout,
        };
        Ok(Self { wrapper: self.wrapper.clone(), plan: Arc::new(plan) })
    }
}

/// Reads the roots to trust from `sslrootcert` and adds the PEM text that code gives.
///
/// # Errors
///
/// As [`Roots::read`].
pub fn read_roots(settings: &Options, pem: &[String]) -> Result<Roots> {
    let read = |setting: &String| Roots::read(setting);
    let roots = settings.get(&Options::SSLROOTCERT).map_or(Ok(Roots::system()), read)?;
    pem.iter().try_fold(roots, |roots, pem| roots.with_pem(pem))
}

/// Reads `tlsServerName`, which is trusted only if set in code or in a map.
///
/// # Errors
///
/// A configuration error if it is not a DNS name.
pub fn server_name(settings: &Options) -> Result<Option<ServerName>> {
    let name = settings.get(&Options::TLS_SERVER_NAME);
    let is_trusted = settings.is_trusted(Options::TLS_SERVER_NAME.name());
    name.map(
        |name| if is_trusted { ServerName::from_code(name) } else { ServerName::from_configuration(name) },
    )
    .transpose()
}

/// Checks that a configured host is a DNS name or an address; an invalid one is not shown.
///
/// # Errors
///
/// A host error that names the misplaced part and its place.
pub fn check_host(host: &str) -> Result<()> {
    let wrong = match Endpoint::parse(host) {
        Ok(_) => return Ok(()),
        // The operating system resolves zone ids.
        Err(error) if error.kind() == host_pattern::ErrorKind::ZoneId => return Ok(()),
        Err(error) => error,
    };
    let socket = match wrong.kind() {
        host_pattern::ErrorKind::Path => "; the folder of a unix socket begins with `/`",
        _ => "",
    };
    Err(Error::new(ErrorKind::Host, format!("`host` must be a host name or an address: {wrong}{socket}")))
}

/// Returns an error for a user with a colon, which is more likely to be user and password than a
/// name.
pub fn user_with_colon() -> Error {
    configuration(
        "`user` contains a `:`: pass the password as `password`, or in a URL after a `:` that is not \
         percent-encoded"
            .to_owned(),
    )
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

fn place(request: &ConnectRequest) -> String {
    request.host_and_port()
}

// A derive would ask for `D: Clone`.
impl<D: Driver> Clone for HostList<D> {
    fn clone(&self) -> Self {
        Self { wrapper: self.wrapper.clone(), plan: Arc::clone(&self.plan) }
    }
}

impl<D: Driver> fmt::Debug for HostList<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.plan.requests.iter().map(place).collect();
        f.debug_struct("HostList").field("hosts", &hosts).field("wrapper", &self.wrapper).finish()
    }
}

#[cfg(test)]
mod tests;
