//! The connector that a program would build from the same string.

use std::sync::Arc;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use wrapper_adapter::Resolver;
use wrapper_core::{Registry, Result};
use wrapper_iam::{IamFactory, IamPlugin, IamTokenProvider, connect_error};
use wrapper_pg::TlsStack;
use wrapper_secrets::{SecretProvider, SecretsFactory, SecretsPlugin};
use wrapper_topology::{
    FailoverFactory, FailoverPlugin, InitialConnectionFactory, InitialConnectionPlugin, Topology,
};

#[cfg(not(feature = "mysql"))]
use crate::target::configuration;
use crate::{cli::Engine, target::split_parameters};

/// The parameters that choose credentials, or a secret.
const OF_CREDENTIALS: [&str; 11] = [
    "awsProfile",
    "assumeRoleArn",
    "assumeRoleSessionName",
    "assumeRoleExternalId",
    "assumeRoleDurationSec",
    "secretId",
    "secretRegion",
    "secretEndpoint",
    "secretExpirationSec",
    "secretUsernameProperty",
    "secretPasswordProperty",
];

/// Returns the topology of the plugin that redirects connects, if one does.
macro_rules! topology_of {
    ($connector:expr) => {{
        let failover = $connector.plugin::<FailoverPlugin>().map(FailoverPlugin::topology);
        let initial =
            || $connector.plugin::<InitialConnectionPlugin>().map(InitialConnectionPlugin::topology);
        failover.or_else(initial)
    }};
}

/// Opens a connection as a program does.
#[derive(Debug)]
pub(crate) enum Connector {
    #[cfg(feature = "mysql")]
    Mysql(wrapper_mysql::Connector),
    Postgres(wrapper_pg::Connector),
}

impl Connector {
    /// Builds the connector that a program would build from the string; adds the plugin if it
    /// is missing.
    pub(crate) fn build(text: &str) -> Result<Self> {
        let added =
            split_parameters(text).map_or(Vec::new(), |(_, ours)| plugin_of(&ours).into_iter().collect());
        let factories = (IamFactory::default(), SecretsFactory::default());
        ConnectorParts { text, added, factories, resolver: None }.build()
    }

    /// Builds the same with credentials, and a secret, that are already loaded: their source
    /// could ask for a second MFA code.
    pub(crate) fn with_credentials(
        text: &str,
        credentials: Credentials,
        secret: Option<SecretProvider>,
        resolver: Option<Arc<dyn Resolver>>,
    ) -> Result<Self> {
        let provider = token_provider(credentials)?;
        let (rest, mut added) = split_parameters(text)?;
        added.extend(plugin_of(&added));
        // The credentials are given in code, beside which the chain refuses these parameters.
        added.retain(|(name, _)| !OF_CREDENTIALS.contains(&name.as_str()));
        let secrets = secret.map_or_else(SecretsFactory::default, SecretsFactory::new);
        ConnectorParts { text: &rest, added, factories: (IamFactory::new(provider), secrets), resolver }
            .build()
    }

    /// Returns the topology of the cluster, if a plugin redirects connects to its instances.
    pub(crate) fn topology(&self) -> Option<&Topology> {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(connector) => topology_of!(connector),
            Self::Postgres(connector) => topology_of!(connector),
        }
    }

    /// Returns whether instance names can be derived from the hosts, as redirecting requires.
    pub(crate) fn leads_to_instances(&self) -> bool {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(connector) => connector.writer().is_ok(),
            Self::Postgres(connector) => connector.writer().is_ok(),
        }
    }

    /// Logs in and disconnects.
    pub(crate) async fn log_in(&self) -> Result<()> {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(connector) => {
                // Errors after the login are ignored.
                let _ = connector.connect().await?.disconnect().await;
            }
            Self::Postgres(connector) => {
                let (client, connection) = connector.connect().await?;
                // Without its client the connection sends Terminate and ends.
                drop(client);
                let _ = connection.await;
            }
        }
        Ok(())
    }
}

/// Returns a token provider over credentials that are already loaded.
pub(crate) fn token_provider(credentials: Credentials) -> Result<IamTokenProvider> {
    let credentials = SharedCredentialsProvider::new(credentials);
    let provider = IamTokenProvider::builder().credentials_provider(credentials).build();
    provider.map_err(|error| connect_error(&error))
}

/// Returns the plugin that the parameters imply, unless they name one.
fn plugin_of(parameters: &[(String, String)]) -> Option<(String, String)> {
    let is_given = |wanted: &str| parameters.iter().any(|(name, _)| name == wanted);
    let code = if is_given("secretId") { SecretsPlugin::CODE } else { IamPlugin::CODE };
    (!is_given("plugins")).then(|| ("plugins".to_owned(), code.to_owned()))
}

/// The parts of a connector.
struct ConnectorParts<'a> {
    text: &'a str,
    added: Vec<(String, String)>,
    factories: (IamFactory, SecretsFactory),
    resolver: Option<Arc<dyn Resolver>>,
}

/// Returns the registry of all plugins.
pub(crate) fn registry<C: Send + 'static>((iam, secrets): (IamFactory, SecretsFactory)) -> Registry<C> {
    let registry = Registry::new().with(iam).with(secrets);
    registry.with(InitialConnectionFactory::default()).with(FailoverFactory::default())
}

impl ConnectorParts<'_> {
    fn build(self) -> Result<Connector> {
        match Engine::of(self.text)? {
            Engine::Mysql => self.mysql(),
            Engine::Postgres => self.postgres(),
        }
    }

    fn postgres(self) -> Result<Connector> {
        let mut builder = wrapper_pg::Connector::builder(registry(self.factories))
            .connection_string(self.text)
            .tls_stack(TlsStack::Rustls);
        for (name, value) in self.added {
            builder = builder.parameter(name, value);
        }
        if let Some(resolver) = self.resolver {
            builder = builder.resolver(resolver);
        }
        builder.build().map(Connector::Postgres)
    }

    #[cfg(feature = "mysql")]
    fn mysql(self) -> Result<Connector> {
        let mut builder =
            wrapper_mysql::Connector::builder(registry(self.factories)).connection_string(self.text);
        for (name, value) in self.added {
            builder = builder.parameter(name, value);
        }
        if let Some(resolver) = self.resolver {
            builder = builder.resolver(resolver);
        }
        builder.build().map(Connector::Mysql)
    }

    #[cfg(not(feature = "mysql"))]
    fn mysql(self) -> Result<Connector> {
        Err(configuration(
            "this rds-iam was built without the feature `mysql`: install it with `cargo install rds-iam \
             --features mysql`",
        ))
    }
}
