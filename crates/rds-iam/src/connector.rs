//! The connector that a program would build of the same string.

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
use crate::{cli::Engine, target::cut};

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

/// Returns the topology of whichever plugin leads connects.
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
    /// Builds what the program itself would build of the string, with the plugin where it is left
    /// out.
    pub(crate) fn build(text: &str) -> Result<Self> {
        let added = cut(text).map_or(Vec::new(), |(_, ours)| plugin_of(&ours).into_iter().collect());
        let factories = (IamFactory::default(), SecretsFactory::default());
        Recipe { text, added, factories, resolver: None }.build()
    }

    /// Builds the same to log in with credentials, and a secret, that were loaded before: asking
    /// their source again could ask a person for a second code.
    pub(crate) fn with_credentials(
        text: &str,
        credentials: Credentials,
        secret: Option<SecretProvider>,
        resolver: Option<Arc<dyn Resolver>>,
    ) -> Result<Self> {
        let provider = token_provider(credentials)?;
        let (rest, mut added) = cut(text)?;
        added.extend(plugin_of(&added));
        added.retain(|(name, _)| !OF_CREDENTIALS.contains(&name.as_str()));
        let secrets = secret.map_or_else(SecretsFactory::default, SecretsFactory::new);
        Recipe { text: &rest, added, factories: (IamFactory::new(provider), secrets), resolver }.build()
    }

    /// Returns what is known of the cluster, if a plugin leads connects to its instances.
    pub(crate) fn topology(&self) -> Option<&Topology> {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(connector) => topology_of!(connector),
            Self::Postgres(connector) => topology_of!(connector),
        }
    }

    /// Returns whether the hosts tell how instances are named, so that connects can be led there.
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
                drop(client);
                let _ = connection.await;
            }
        }
        Ok(())
    }
}

/// Returns a provider on credentials that were loaded.
pub(crate) fn token_provider(credentials: Credentials) -> Result<IamTokenProvider> {
    let credentials = SharedCredentialsProvider::new(credentials);
    let provider = IamTokenProvider::builder().credentials_provider(credentials).build();
    provider.map_err(|error| connect_error(&error))
}

/// Returns the plugin that the parameters are for, where they do not name one.
fn plugin_of(parameters: &[(String, String)]) -> Option<(String, String)> {
    let is_given = |wanted: &str| parameters.iter().any(|(name, _)| name == wanted);
    let code = if is_given("secretId") { SecretsPlugin::CODE } else { IamPlugin::CODE };
    (!is_given("plugins")).then(|| ("plugins".to_owned(), code.to_owned()))
}

/// What a connector is built of.
struct Recipe<'a> {
    text: &'a str,
    added: Vec<(String, String)>,
    factories: (IamFactory, SecretsFactory),
    resolver: Option<Arc<dyn Resolver>>,
}

/// Returns the plugins that a program may name.
pub(crate) fn registry<C: Send + 'static>((iam, secrets): (IamFactory, SecretsFactory)) -> Registry<C> {
    let registry = Registry::new().with(iam).with(secrets);
    registry.with(InitialConnectionFactory::default()).with(FailoverFactory::default())
}

impl Recipe<'_> {
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
