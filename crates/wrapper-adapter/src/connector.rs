//! The methods that the connectors of all drivers share.

/// Writes the methods that the connectors of all drivers share.
///
/// The connector is a struct with the fields `hosts`, a [`HostList`](crate::HostList), and `rules`,
/// its [`PoolRules`](crate::PoolRules), and a function `new` that takes the host list; its builder
/// has a function `new` that takes the registry.
#[macro_export]
macro_rules! connector_methods {
    (
        connection: $connection:ty,
        builder: $builder:ident,
        driver_config: $driver_config:ty,
        error: $error:ty,
        suspicion: $suspicion:path $(,)?
    ) => {
        /// Starts to build a connector from the plugins that may be named.
        pub fn builder(registry: wrapper_core::Registry<$connection>) -> $builder {
            $builder::new(registry)
        }

        /// Builds a connector from a URL, such as `SCHEME://jane@db.example/app?plugins=iam` with
        /// the driver's scheme.
        ///
        /// # Errors
        ///
        #[doc = concat!("A configuration error, as [`", stringify!($builder), "::build`].")]
        pub fn from_url(
            url: &str,
            registry: wrapper_core::Registry<$connection>,
        ) -> wrapper_core::Result<Self> {
            Self::builder(registry).connection_string(url).build()
        }

        /// Builds a connector from a map, such as a `BTreeMap<String, Value>` that `serde_json` has
        /// read.
        ///
        /// # Errors
        ///
        #[doc = concat!("A configuration error, as [`", stringify!($builder), "::build`].")]
        pub fn from_map<K, V>(
            map: impl IntoIterator<Item = (K, V)>,
            registry: wrapper_core::Registry<$connection>,
        ) -> wrapper_core::Result<Self>
        where
            K: Into<String>,
            V: Into<wrapper_core::Value>,
        {
            Self::builder(registry).map(map).build()
        }

        /// Opens one connection, trying the configured hosts in the driver's order.
        ///
        /// # Errors
        ///
        /// With one host its error; with several the first refused login, else the first
        /// configuration or TLS failure, else the last error, with each host and its reason in the
        /// text.
        ///
        /// # Cancel safety
        ///
        /// Dropping the future closes the connection that was being opened; a driver that has to
        /// complete its handshake first does so within five seconds.
        pub async fn connect(&self) -> wrapper_core::Result<$connection> {
            self.hosts.connect().await.map(|connected| connected.connection)
        }

        /// Opens one connection and returns the facts about it as well: host, address, instance,
        /// verified role.
        ///
        /// # Errors
        ///
        /// As [`connect`](Self::connect).
        ///
        /// # Cancel safety
        ///
        /// As [`connect`](Self::connect).
        pub async fn connect_established(
            &self,
        ) -> wrapper_core::Result<wrapper_core::Connected<$connection>> {
            self.hosts.connect().await
        }

        /// Lets the plugins prepare, such as by loading credentials and signing a token, without
        /// connecting: for start-up and readiness checks.
        ///
        /// # Errors
        ///
        /// The first plugin's error.
        pub async fn warm_up(&self) -> wrapper_core::Result<()> {
            self.hosts.warm_up().await
        }

        /// Reports an error of a connection in use to the plugins, so that they check its server;
        /// returns the suspicion that it raised.
        pub fn report(&self, error: &$error) -> Option<$crate::Suspicion> {
            let suspicion = $suspicion(error)?;
            self.hosts.suspect(suspicion);
            Some(suspicion)
        }

        /// Lets the plugins verify a connection that was in use before, within five seconds;
        /// without such a plugin it returns at once.
        ///
        /// The connection's host is unknown then: it suffices that it passes for one of several
        /// configured hosts. [`check_established`](Self::check_established) verifies it for its
        /// own.
        ///
        /// # Errors
        ///
        /// The first plugin's error; the connection must not be used then.
        pub async fn check(&self, session: &mut dyn wrapper_core::Session) -> wrapper_core::Result<()> {
            self.hosts.check(session, None).await
        }

        /// Lets the plugins verify a connection that was in use before, for its own configured
        /// host, which is known from [`connect_established`](Self::connect_established).
        ///
        /// # Errors
        ///
        /// As [`check`](Self::check).
        pub async fn check_established(
            &self,
            session: &mut dyn wrapper_core::Session,
            established: &wrapper_core::Established,
        ) -> wrapper_core::Result<()> {
            self.hosts.check(session, Some(established)).await
        }

        /// Returns a connector for another database of the same hosts, which shares the TLS and the
        /// plugins of this one.
        ///
        /// # Errors
        ///
        /// A configuration error for a name that is empty or contains a control character.
        pub fn with_database(&self, database: &str) -> wrapper_core::Result<Self> {
            self.hosts.with_database(database).map(Self::new)
        }

        /// Returns a connector to the cluster's writer, regardless of the endpoint; it shares
        /// plugins and topology with this one.
        ///
        /// # Errors
        ///
        /// A configuration error if no enabled plugin selects instances by role.
        pub fn writer(&self) -> wrapper_core::Result<Self> {
            self.hosts.with_role(wrapper_core::Role::Writer).map(Self::new)
        }

        /// Returns a connector to the cluster's readers, or to the writer if it has no readers.
        ///
        /// # Errors
        ///
        /// As [`writer`](Self::writer).
        pub fn reader(&self) -> wrapper_core::Result<Self> {
            self.hosts.with_role(wrapper_core::Role::Reader).map(Self::new)
        }

        /// Returns a connector to one instance of the cluster, whose endpoint is derived from
        /// `clusterInstanceHostPattern` or the configured host.
        ///
        /// # Errors
        ///
        /// A configuration error if no pattern is known, a host error for an invalid instance name.
        pub fn instance(&self, id: &str) -> wrapper_core::Result<Self> {
            self.hosts.instance(id).map(Self::new)
        }

        /// Returns the driver's own configuration, with verified TLS and a fresh password, for a
        /// program that connects by itself.
        ///
        /// # Errors
        ///
        /// A configuration error if several hosts are configured, because a token is for one; a
        /// plugin's error.
        pub async fn driver_config(&self) -> wrapper_core::Result<$driver_config> {
            let request = self.hosts.prepare().await?;
            self.hosts.driver().driver_config(&request).await
        }

        /// Returns the outermost plugin of this type, for its statistics and other methods.
        pub fn plugin<P: wrapper_core::Plugin<$connection>>(&self) -> Option<&P> {
            self.hosts.plugin()
        }

        /// Returns the counters so far, in total and by host and user: tokens signed and found in
        /// the cache, logins accepted, refused, throttled and retried.
        pub fn stats(&self) -> wrapper_core::stats::Stats {
            self.hosts.stats()
        }

        /// Returns the reason why the pools of this connector have no connection, for pools that do
        /// not report it.
        pub fn last_error(&self) -> $crate::LastError {
            self.rules.last_error().clone()
        }

        /// Returns the configured hosts and ports.
        pub fn hosts(&self) -> impl Iterator<Item = (&str, u16)> {
            self.hosts.requests().iter().map(|request| (request.host(), request.port()))
        }

        /// Returns the database user.
        pub fn user(&self) -> &str {
            self.hosts.requests()[0].user()
        }
    };
}
