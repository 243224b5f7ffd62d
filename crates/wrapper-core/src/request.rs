//! One connect to one host.

use std::{
    borrow::Cow,
    fmt, mem,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    AbortHandle, Engine, Error, ErrorKind, Established, Password, Result, Role, ServerName,
    adapter::{AbortRegistration, Progress},
    connected::Facts,
    progress::Position,
};

/// Describes one connect to one host, passed by value from plugin to plugin to the driver.
///
/// A plugin changes its own copy and hands that on; clones are cheap and share nothing that changes
/// but the [`Progress`] of the attempt, of which each connect to a host then keeps its own branch.
///
/// It is one pointer, because every plugin moves it into a future of its own.
#[derive(Clone)]
pub struct ConnectRequest(Arc<Fields>);

/// The fields of a request; copied by the first change to a clone.
#[derive(Clone, Debug)]
struct Fields {
    host: Arc<str>,
    configured_host: Arc<str>,
    port: u16,
    addresses: Arc<[IpAddr]>,
    instance: Option<Arc<str>>,
    role: Option<Role>,
    user: Arc<str>,
    configured_user: Arc<str>,
    database: Option<Arc<str>>,
    password: Option<Password>,
    /// Former and configured passwords, to be blanked out of a server's text.
    further_secrets: Arc<[Password]>,
    server_name: Option<ServerName>,
    deadline: Option<Instant>,
    last_deadline: Option<Instant>,
    progress: Progress,
    abort: AbortRegistration,
    engine: Option<Engine>,
    plugins: Option<Arc<str>>,
}

impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl ConnectRequest {
    /// Creates a request for a configured host.
    pub fn new(host: &str, port: u16, user: &str) -> Self {
        let (host, user): (Arc<str>, Arc<str>) = (host.into(), user.into());
        Self(Arc::new(Fields {
            configured_host: Arc::clone(&host),
            host,
            port,
            addresses: Arc::new([]),
            instance: None,
            role: None,
            configured_user: Arc::clone(&user),
            user,
            database: None,
            password: None,
            further_secrets: Arc::new([]),
            server_name: None,
            deadline: None,
            last_deadline: None,
            progress: Progress::default(),
            abort: AbortRegistration::default(),
            engine: None,
            plugins: None,
        }))
    }

    /// Returns the fields to change: its own, or a copy where a clone shares them.
    fn fields(&mut self) -> &mut Fields {
        Arc::make_mut(&mut self.0)
    }

    /// Returns the host to connect to: a DNS name, an IP address, or the folder of a unix socket.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// Returns whether the host is still the configured one, so that its settings apply.
    pub fn is_configured_host(&self) -> bool {
        // By value: a plugin that leads back to the configured host counts as one that never left.
        self.0.host == self.0.configured_host
    }

    /// The host of the configuration.
    pub(crate) fn configured_host(&self) -> &Arc<str> {
        &self.0.configured_host
    }

    /// Sets another host, whose progress is tracked separately; clears the addresses, the instance
    /// and the server name of the former one.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        let fields = self.fields();
        // Security: a name that was chosen for one host must not vouch for another.
        if !fields.host.eq_ignore_ascii_case(host) {
            fields.server_name = None;
        }
        fields.host = host.into();
        // Taken out of the fields, so that `moved_to` may find itself the only owner.
        fields.progress = mem::take(&mut fields.progress).moved_to(&fields.host);
        fields.addresses = Arc::new([]);
        fields.instance = None;
        self
    }

    /// Returns the TCP port.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Sets the TCP port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.fields().port = port;
        self
    }

    /// Returns the addresses to dial; empty to resolve the host.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.0.addresses
    }

    /// Sets the addresses to dial in place of resolving the host.
    #[must_use]
    pub fn with_addresses(mut self, addresses: impl Into<Arc<[IpAddr]>>) -> Self {
        self.fields().addresses = addresses.into();
        self
    }

    /// Returns the instance of a cluster, if the request is for one.
    pub fn instance(&self) -> Option<&str> {
        self.0.instance.as_deref()
    }

    /// Sets the instance of a cluster that the host belongs to.
    #[must_use]
    pub fn with_instance(mut self, instance: &str) -> Self {
        self.fields().instance = Some(instance.into());
        self
    }

    /// Returns the wanted role, if the request asks for one.
    pub fn role(&self) -> Option<Role> {
        self.0.role
    }

    /// Asks for a role; a plugin has to find an instance that has it.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.fields().role = Some(role);
        self
    }

    /// Returns the database user.
    pub fn user(&self) -> &str {
        &self.0.user
    }

    /// The host and the user, for those that keep them.
    pub(crate) fn shared_names(&self) -> (&Arc<str>, &Arc<str>) {
        (&self.0.host, &self.0.user)
    }

    /// Returns whether the user is still the configured one, so that a configured password is
    /// theirs.
    pub fn is_configured_user(&self) -> bool {
        self.0.user == self.0.configured_user
    }

    /// Sets another user, for plugins that supply it with the password; clears the password of the
    /// former one.
    ///
    /// # Errors
    ///
    /// A configuration error for a name that is empty or contains a control character, as in a
    /// configuration.
    pub fn with_user(mut self, user: &str) -> Result<Self> {
        if user.is_empty() {
            return Err(Error::new(ErrorKind::Configuration, "a plugin supplied an empty database user"));
        }
        if user.contains(char::is_control) {
            let message = format!("user `{}` contains a control character", user.escape_debug());
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        self.fields().user = user.into();
        Ok(match self.fields().password.take() {
            Some(former) => self.with_secret(former),
            None => self,
        })
    }

    /// Returns the database, if one is named.
    pub fn database(&self) -> Option<&str> {
        self.0.database.as_deref()
    }

    /// Sets the database.
    #[must_use]
    pub fn with_database(mut self, database: &str) -> Self {
        self.fields().database = Some(database.into());
        self
    }

    /// Returns the password, if a plugin or the configuration supplied one.
    pub fn password(&self) -> Option<&Password> {
        self.0.password.as_ref()
    }

    /// Sets the password.
    #[must_use]
    pub fn with_password(mut self, password: Password) -> Self {
        match self.fields().password.replace(password) {
            // It is not sent any more, but a server that saw it may still repeat it.
            Some(former) => self.with_secret(former),
            None => self,
        }
    }

    /// Adds a text that a server may repeat, such as the driver's own password, so that it is
    /// blanked out of messages.
    #[must_use]
    pub fn with_secret(mut self, secret: Password) -> Self {
        self.fields().further_secrets = self.0.further_secrets.iter().cloned().chain([secret]).collect();
        self
    }

    /// Returns every password that a server may repeat, for
    /// [`ServerError::new`](crate::ServerError::new) and
    /// [`sanitize_server_text`](crate::text::sanitize_server_text).
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.password.iter().chain(self.0.further_secrets.iter()).map(Password::as_secret)
    }

    /// Returns the name to verify the server's certificate against; by default the host.
    pub fn server_name(&self) -> Option<&ServerName> {
        self.0.server_name.as_ref()
    }

    /// Sets the name to verify the server's certificate against.
    #[must_use]
    pub fn with_server_name(mut self, name: ServerName) -> Self {
        self.fields().server_name = Some(name);
        self
    }

    /// Returns the name that the server's certificate has to carry: the server name if one is set,
    /// else the host.
    pub fn tls_name(&self) -> &str {
        self.0.server_name.as_ref().map_or(&self.0.host, |name| name.as_str())
    }

    /// Returns the host with the address that is dialled, or the port, for messages.
    pub fn address_label(&self) -> String {
        match self.0.progress.address() {
            Some(address) if address.ip().to_string() != *self.0.host => {
                format!("`{}` ({address})", self.0.host)
            }
            _ => format!("`{}`", self.host_and_port()),
        }
    }

    /// Returns the deadline of the connect to all hosts, of which this one has a share.
    pub fn last_deadline(&self) -> Option<Instant> {
        self.0.last_deadline
    }

    /// Sets the deadline of the connect to all hosts.
    #[must_use]
    pub fn ends_at(mut self, last_deadline: Instant) -> Self {
        self.fields().last_deadline = Some(last_deadline);
        self
    }

    /// Returns the engine of the driver; `None` before the request has entered a chain.
    pub fn engine(&self) -> Option<Engine> {
        self.0.engine
    }

    /// Returns whether the chain of this request contains a plugin with this code.
    pub fn has_plugin(&self, code: &str) -> bool {
        self.0.plugins.as_deref().is_some_and(|codes| codes.split(',').any(|known| known == code))
    }

    /// Notes the chain that the request enters, by the codes of its plugins.
    #[must_use]
    pub(crate) fn enter(mut self, engine: Engine, plugins: &Arc<str>) -> Self {
        let fields = self.fields();
        (fields.engine, fields.plugins) = (Some(engine), Some(Arc::clone(plugins)));
        self
    }

    /// Returns host and port as in a URL.
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", bracketed(&self.0.host), self.0.port)
    }

    /// Returns the deadline of this connect, of which an adapter gives each address a share.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// Returns whether a pause of this length ends before the deadline of this connect.
    pub fn has_time_for(&self, pause: Duration) -> bool {
        self.0.deadline.is_none_or(|deadline| deadline.saturating_duration_since(Instant::now()) > pause)
    }

    /// Begins an attempt: sets its deadline, and tracks its progress separately from earlier ones.
    #[must_use]
    pub fn begin(mut self, deadline: Instant) -> Self {
        let fields = self.fields();
        (fields.deadline, fields.progress) = (Some(deadline), Progress::default());
        self
    }

    /// Begins one connect of the driver, so that concurrent attempts share nothing. No plugin holds
    /// this registration: [`AbortHandle::is_held`] then means that the stream does.
    pub(crate) fn attempt(mut self) -> Self {
        let fields = self.fields();
        fields.progress = fields.progress.fork_for(&fields.user);
        fields.abort = AbortRegistration::default();
        self
    }

    /// Describes a connection that was opened for this request.
    pub(crate) fn established(&self, abort: AbortHandle) -> Established {
        let Position { address, addresses, .. } = self.0.progress.position();
        Established::new(Facts {
            configured_host: Arc::clone(self.configured_host()),
            host: Arc::clone(&self.0.host),
            port: self.0.port,
            address,
            addresses,
            instance: self.0.instance.clone(),
            role: None,
            abort,
            at: Instant::now(),
        })
    }

    /// Returns the registration that an adapter puts into its driver's stream, so that the
    /// connection can be ended from elsewhere.
    pub fn abort_registration(&self) -> &AbortRegistration {
        &self.0.abort
    }

    /// Begins an attempt that is part of this one, whose refusals are not reported for the next.
    #[must_use]
    pub fn fork(mut self) -> Self {
        let fields = self.fields();
        fields.progress = fields.progress.fork();
        self
    }

    /// Returns the progress of the attempt; shared by all clones.
    pub fn progress(&self) -> &Progress {
        &self.0.progress
    }
}

impl Established {
    /// Returns whether the connection was opened for this request, or for a clone of it, wherever
    /// plugins led the connect to.
    pub fn is_for(&self, request: &ConnectRequest) -> bool {
        // By pointer: two entries of a configuration may name the same host.
        Arc::ptr_eq(self.configured_host(), request.configured_host())
    }
}

/// Formats a host for a URL: an IPv6 address in brackets.
pub fn bracketed(host: &str) -> Cow<'_, str> {
    match host.parse::<Ipv6Addr>() {
        Ok(_) => Cow::Owned(format!("[{host}]")),
        Err(_) => Cow::Borrowed(host),
    }
}

#[cfg(test)]
mod tests;
