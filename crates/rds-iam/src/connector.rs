//! The connector that a program would build of the same string.

use std::sync::Arc;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use wrapper_adapter::Resolver;
use wrapper_core::{Registry, Result};
use wrapper_iam::{IamFactory, IamTokenProvider, connect_error};
use wrapper_pg::TlsStack;

#[cfg(not(feature = "mysql"))]
use crate::target::configuration;
use crate::{cli::Engine, target::cut};

/// The parameters that choose credentials.
const OF_CREDENTIALS: [&str; 5] =
    ["awsProfile", "assumeRoleArn", "assumeRoleSessionName", "assumeRoleExternalId", "assumeRoleDurationSec"];

/// Opens a connection as a program does.
#[derive(Debug)]
pub(crate) enum Connector {
    #[cfg(feature = "mysql")]
    Mysql(wrapper_mysql::Connector),
    Postgres(wrapper_pg::Connector),
}

impl Connector {
    /// Builds what the program itself would build of the string, with `plugins=iam` where it is left out.
    pub(crate) fn build(text: &str) -> Result<Self> {
        let is_named = cut(text).is_ok_and(|(_, ours)| ours.iter().any(|(name, _)| name == "plugins"));
        let added = if is_named { Vec::new() } else { vec![iam()] };
        Recipe { text, added, factory: IamFactory::default(), resolver: None }.build()
    }

    /// Builds the same to log in with credentials that were loaded before: asking their source
    /// again could ask a person for a second code.
    pub(crate) fn with_credentials(
        text: &str,
        credentials: Credentials,
        resolver: Option<Arc<dyn Resolver>>,
    ) -> Result<Self> {
        let provider = IamTokenProvider::builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
            .map_err(|error| connect_error(&error))?;
        let (rest, mut added) = cut(text)?;
        added.retain(|(name, _)| !OF_CREDENTIALS.contains(&name.as_str()));
        if !added.iter().any(|(name, _)| name == "plugins") {
            added.push(iam());
        }
        Recipe { text: &rest, added, factory: IamFactory::new(provider), resolver }.build()
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

fn iam() -> (String, String) {
    ("plugins".to_owned(), "iam".to_owned())
}

/// What a connector is built of.
struct Recipe<'a> {
    text: &'a str,
    added: Vec<(String, String)>,
    factory: IamFactory,
    resolver: Option<Arc<dyn Resolver>>,
}

impl Recipe<'_> {
    fn build(self) -> Result<Connector> {
        match Engine::of(self.text)? {
            Engine::Mysql => self.mysql(),
            Engine::Postgres => self.postgres(),
        }
    }

    fn postgres(self) -> Result<Connector> {
        let mut builder = wrapper_pg::Connector::builder(Registry::new().with(self.factory))
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
            wrapper_mysql::Connector::builder(Registry::new().with(self.factory)).url(self.text);
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
            "this rds-iam was built without the feature `mysql`: install it with `cargo install rds-iam --features mysql`",
        ))
    }
}
