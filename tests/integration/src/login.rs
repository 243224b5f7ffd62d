//! Parameters and credentials of a login.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_credential_types::provider::SharedCredentialsProvider;
use rds_wrapper::{
    IamTokenProvider, SecretProvider, Topology,
    host::{Resolver, resolver_fn},
    iam::{Clock, SystemClock},
};
use token_cache::ManualClock;

use crate::{
    Result,
    connector::{Connector, not_built, seen},
    environment::{Engine, Environment, HOST, Observation},
    key::{Key, Source},
};

/// The client side: a source of credentials, a clock and the tokens made of both.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) source: Source,
    pub(crate) clock: ManualClock,
    pub(crate) tokens: IamTokenProvider,
}

impl Signer {
    /// Signs with a key, by a stopped clock with the right time.
    pub(crate) fn new(key: &Key) -> Result<Self> {
        Self::at(key, SystemClock.now())
    }

    /// Signs with a key by a clock that is behind.
    pub(crate) fn behind(key: &Key, seconds: u64) -> Result<Self> {
        Self::at(key, SystemClock.now() - Duration::from_secs(seconds))
    }

    /// Signs with a key by a clock that is ahead.
    pub(crate) fn ahead(key: &Key, seconds: u64) -> Result<Self> {
        Self::at(key, SystemClock.now() + Duration::from_secs(seconds))
    }

    fn at(key: &Key, now: SystemTime) -> Result<Self> {
        let (source, clock) = (Source::new(key.clone()), ManualClock::at(now));
        let tokens = IamTokenProvider::builder()
            .credentials_provider(SharedCredentialsProvider::new(source.clone()))
            .clock(Arc::new(clock.clone()))
            .build()?;
        Ok(Self { source, clock, tokens })
    }
}

/// The parameters of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    engine: Engine,
    parameters: Vec<(String, String)>,
}

impl Login {
    /// Returns a login with no parameters.
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, parameters: Vec::new() }
    }

    /// Returns a login by token under the server's own name.
    pub(crate) fn by_token(environment: &Environment, user: &str) -> Self {
        Self::to(environment, user).with("plugins", "iam")
    }

    /// Returns a login with a given password, for texts that an adapter would never send.
    pub(crate) fn by_password(environment: &Environment, user: &str, password: &str) -> Self {
        Self::to(environment, user).with_text(password)
    }

    fn to(environment: &Environment, user: &str) -> Self {
        let login = Self::new(environment.engine)
            .with("host", HOST)
            .with("port", environment.port.to_string())
            .with("user", user)
            .with("sslrootcert", path(environment.authority()));
        match environment.engine {
            Engine::Mariadb | Engine::Mysql => login,
            Engine::Postgres => login.with("database", "postgres"),
        }
    }

    /// Sets a parameter, in place of one set before.
    pub(crate) fn with(self, name: &str, value: impl Into<String>) -> Self {
        let mut login = self.without(name);
        login.parameters.push((name.to_owned(), value.into()));
        login
    }

    /// Removes a parameter.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        self
    }

    /// Sends this text as the password, without the plugin.
    pub(crate) fn with_text(self, text: &str) -> Self {
        let login = self.without("plugins").with("password", text).with("sslmode", "verify-full");
        // The plugin `iam` would allow `mysql_clear_password` itself; without it a client must opt
        // in.
        match login.engine {
            Engine::Mariadb | Engine::Mysql => login.with("enable_cleartext_plugin", "true"),
            Engine::Postgres => login,
        }
    }

    /// Trusts only an authority that did not issue the server's certificate.
    pub(crate) fn trusting_another(self, environment: &Environment) -> Self {
        self.with("sslrootcert", path(environment.other_authority()))
    }

    /// Returns the value of a parameter.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Builds a connector that resolves every name to this machine.
    pub(crate) fn connector(&self, signer: &Signer) -> rds_wrapper::Result<Connector> {
        let here = resolver_fn(|_| Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST)]));
        self.build(&signer.tokens, here)
    }

    /// Builds a connector that takes user and password from a secret, and resolves every name to
    /// this machine.
    pub(crate) fn with_secret(&self, secret: SecretProvider) -> rds_wrapper::Result<Connector> {
        let here = resolver_fn(|_| Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST)]));
        let parameters = self.clone().without("user").with("plugins", "awsSecretsManager").parameters;
        Connector::with_secret(self.engine, parameters, secret, here)
    }

    /// Builds a connector whose plugins share this topology.
    pub(crate) fn with_topology(
        &self,
        topology: &Topology,
        resolver: impl Resolver,
    ) -> rds_wrapper::Result<Connector> {
        Connector::with_topology(self.engine, self.parameters.clone(), topology, resolver)
    }

    /// Builds a connector.
    pub(crate) fn build(
        &self,
        tokens: &IamTokenProvider,
        resolver: impl Resolver,
    ) -> rds_wrapper::Result<Connector> {
        Connector::build(self.engine, self.parameters.clone(), tokens, resolver)
    }

    /// Builds a connector and logs in once.
    pub(crate) async fn run(&self, environment: &Environment, signer: &Signer) -> Result<Observation> {
        let login = async {
            match self.connector(signer) {
                Ok(connector) => seen(connector.log_in().await),
                Err(error) => not_built(&error),
            }
        };
        environment.observe(login).await
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
