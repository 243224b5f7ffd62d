//! The part of a connector builder that is the same for all drivers.

use std::{fmt, mem, sync::Arc};

use wrapper_core::{
    ConnectRequest, Error, ErrorKind, Events, Options, Plugin, Registry, Requirements, Result, Value,
    adapter::{Driver, RawParameters, Wrapper},
};

use crate::{HostList, Resolver, Roots, SystemResolver, given_in_code, read_roots};

/// The source of a configuration; `T` is the driver's own type.
#[derive(Clone, Debug)]
pub enum ConfigSource<T> {
    /// The driver's own type.
    Driver(T),
    /// A map, such as one read by serde.
    Map(Vec<(String, Value)>),
    /// A connection string.
    Text(String),
}

/// Collects the settings of a connector builder, and builds the parts that do not depend on the
/// driver; [`builder_methods`](crate::builder_methods) writes the methods around it.
pub struct Setup<C, T> {
    /// The plugins that may be named.
    pub registry: Registry<C>,
    /// Where the configuration comes from.
    pub source: ConfigSource<T>,
    /// The parameters that are set in code.
    pub parameters: Vec<(String, Value)>,
    /// The plugins added in code, without a code in the registry.
    pub plugins: Vec<Arc<dyn Plugin<C>>>,
    /// The resolver of host names.
    pub resolver: Arc<dyn Resolver>,
    /// The listeners.
    pub events: Events,
    /// Roots to trust, PEM text.
    pub pem: Vec<String>,
}

/// The plugins of a connector and the options they were built from.
pub struct Chain<C> {
    /// The plugins, the outermost first.
    pub plugins: Vec<Arc<dyn Plugin<C>>>,
    /// The wrapper's parameters, checked.
    pub options: Options,
    /// The combined requirements of the plugins.
    pub needs: Requirements,
}

impl<C: 'static, T> Setup<C, T> {
    /// Creates a set-up with the plugins that may be named and an empty connection string.
    pub fn new(registry: Registry<C>) -> Self {
        Self {
            registry,
            source: ConfigSource::Text(String::new()),
            parameters: Vec::new(),
            plugins: Vec::new(),
            resolver: Arc::new(SystemResolver),
            events: Events::none(),
            pem: Vec::new(),
        }
    }

    /// Takes out the source of the configuration, and the parameters set in code.
    ///
    /// # Errors
    ///
    /// As [`given_in_code`].
    pub fn take_source(&mut self) -> Result<(ConfigSource<T>, RawParameters)> {
        let given = given_in_code(&self.registry, mem::take(&mut self.parameters))?;
        Ok((mem::replace(&mut self.source, ConfigSource::Text(String::new())), given))
    }

    /// Builds the plugins for the configured hosts: those added in code are outside of the named
    /// ones. `example` is a connection string for messages.
    ///
    /// # Errors
    ///
    /// A configuration error for an invalid parameter or plugin, or a missing user.
    pub fn chain(
        &mut self,
        given: &RawParameters,
        requests: &[ConnectRequest],
        example: &str,
    ) -> Result<Chain<C>> {
        let (named, options) = self.registry.build_with_events(given, requests, &self.events)?;
        // The named ones are sorted by weight; those added in code keep their order, outside of
        // them.
        let plugins: Vec<_> = mem::take(&mut self.plugins).into_iter().chain(named).collect();
        let needs = Requirements::of(&plugins);
        if !needs.supplies_user && requests.iter().any(|request| request.user().is_empty()) {
            return Err(configuration(format!("missing user: name the database user, as in {example}")));
        }
        Ok(Chain { plugins, options, needs })
    }

    /// Returns the roots to trust for connections of a request.
    ///
    /// # Errors
    ///
    /// As [`read_roots`], explained by the factories.
    pub fn roots(&self, options: &Options, request: &ConnectRequest) -> Result<Roots> {
        read_roots(options, &self.pem).map_err(|error| self.registry.explain(request, error))
    }

    /// Puts the plugins in front of the driver and the hosts in front of both.
    ///
    /// # Errors
    ///
    /// As [`HostList::new`].
    pub fn finish<D>(
        self,
        driver: D,
        chain: Chain<C>,
        requests: Vec<ConnectRequest>,
        shuffles: bool,
    ) -> Result<HostList<D>>
    where
        D: Driver<Connection = C>,
    {
        let wrapper = Wrapper::new(driver, chain.plugins).with_events(self.events);
        HostList::new(wrapper.explained_by(self.registry), requests, shuffles, &chain.options)
    }
}

impl<C, T> fmt::Debug for Setup<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The source may hold a password.
        f.debug_struct("Setup").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Chain<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("needs", &self.needs).finish_non_exhaustive()
    }
}

/// Warns that a plugin's password replaces the configured one.
pub fn warn_of_ignored_password() {
    tracing::warn!("the configured password is ignored, because a plugin supplies another");
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

/// Writes the methods by which every builder takes its configuration: `connection_string`, `map`,
/// `parameter` and `root_certificates`, over a field `setup` that is a [`Setup`].
#[macro_export]
macro_rules! source_methods {
    () => {
        /// Sets the configuration from a connection string; replaces an earlier one.
        ///
        /// The string is trusted input: its author decides where the program connects to.
        #[must_use]
        pub fn connection_string(mut self, text: impl Into<String>) -> Self {
            self.setup.source = $crate::ConfigSource::Text(text.into());
            self
        }

        /// Takes the configuration from a map, such as one read by serde, in place of one given
        /// before.
        ///
        /// Its keys are `host`, `port`, `user`, `database`, `password`, the wrapper's parameters
        /// and the driver's.
        #[must_use]
        pub fn map<K, V>(mut self, map: impl IntoIterator<Item = (K, V)>) -> Self
        where
            K: Into<String>,
            V: Into<wrapper_core::Value>,
        {
            let entries = map.into_iter().map(|(name, value)| (name.into(), value.into()));
            self.setup.source = $crate::ConfigSource::Map(entries.collect());
            self
        }

        /// Sets one of the wrapper's parameters in code; the driver's own belong in the string or
        /// map.
        #[must_use]
        pub fn parameter(mut self, name: impl Into<String>, value: impl Into<wrapper_core::Value>) -> Self {
            self.setup.parameters.push((name.into(), value.into()));
            self
        }

        /// Trusts the certificates of PEM text, in addition to those of `sslrootcert`.
        #[must_use]
        pub fn root_certificates(mut self, pem: impl Into<String>) -> Self {
            self.setup.pem.push(pem.into());
            self
        }
    };
}

/// Writes the methods that the connector builders of all drivers share, for connections of
/// a type: those of [`source_methods`](crate::source_methods), `plugin`, `resolver` and `on_event`.
#[macro_export]
macro_rules! builder_methods {
    ($connection:ty) => {
        $crate::source_methods!();

        /// Adds a plugin without a code in the registry; added plugins are outside of those named
        /// in `plugins`, the first outermost.
        #[must_use]
        pub fn plugin(mut self, plugin: impl wrapper_core::Plugin<$connection> + 'static) -> Self {
            self.setup.plugins.push(std::sync::Arc::new(plugin));
            self
        }

        /// Resolves host names through this resolver in place of the operating system.
        #[must_use]
        pub fn resolver(mut self, resolver: impl $crate::Resolver) -> Self {
            self.setup.resolver = std::sync::Arc::new(resolver);
            self
        }

        /// Calls the callback for every event: the end of each connect, and those of the plugins.
        ///
        /// It runs synchronously where the event happens, so it should be short; a panic in it
        /// affects nothing else. Several callbacks are all called.
        #[must_use]
        pub fn on_event(mut self, callback: impl Fn(&wrapper_core::Event) + Send + Sync + 'static) -> Self {
            self.setup.events = self.setup.events.with(callback);
            self
        }
    };
}
