//! The connector that a program would build of the same string.

use host_pattern::{Endpoint, EndpointKind};
use wrapper_adapter::{StringForm, split_key_value, split_url};
use wrapper_core::{Error, ErrorKind, Registry, Result};
use wrapper_iam::IamFactory;
use wrapper_pg::TlsStack;

use super::dns::DnsServer;
use crate::cli::Engine;

/// Opens a connection as a program does.
#[derive(Debug)]
pub(super) enum Connector {
    #[cfg(feature = "mysql")]
    Mysql(wrapper_mysql::Connector),
    Postgres(wrapper_pg::Connector),
}

impl Connector {
    /// Builds what the program itself would build of the string, with `plugins=iam` where it is left out.
    pub(super) fn build(text: &str, server: Option<&DnsServer>) -> Result<Self> {
        match Engine::of(text)? {
            Engine::Mysql => mysql(text, server),
            Engine::Postgres => postgres(text, server).map(Self::Postgres),
        }
    }

    /// Logs in and takes leave.
    pub(super) async fn log_in(&self) -> Result<()> {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(connector) => {
                // What comes after the login is no matter of it.
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

impl Engine {
    /// The engine that a connection string is for; without a scheme it is a `key=value` string of PostgreSQL.
    pub(super) fn of(text: &str) -> Result<Self> {
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("mysql") || lower.starts_with("mariadb") {
            // The connector says what is wrong with it.
            return Ok(Self::Mysql);
        }
        // Any word parses as a custom domain, a password too.
        if let Ok(endpoint) = Endpoint::parse(text)
            && !matches!(endpoint.kind(), EndpointKind::Custom | EndpointKind::Ip)
        {
            return Err(configuration(format!(
                "this is a host name alone: write postgres://user@{endpoint}/database, or mysql://…"
            )));
        }
        const FORM: StringForm = StringForm::new("PostgreSQL", &["postgres", "postgresql"], true);
        match FORM.read(text) {
            Ok(_) => Ok(Self::Postgres),
            Err(error) => {
                let message = format!("{error}, or mysql://…");
                Err(error.with_message(message))
            }
        }
    }
}

fn postgres(text: &str, server: Option<&DnsServer>) -> Result<wrapper_pg::Connector> {
    let registry = Registry::new().with(IamFactory::default());
    let mut builder =
        wrapper_pg::Connector::builder(registry).connection_string(text).tls_stack(TlsStack::Rustls);
    if names_no_plugins(text) {
        builder = builder.parameter("plugins", "iam");
    }
    if let Some(server) = server {
        builder = builder.resolver(server.clone());
    }
    builder.build()
}

#[cfg(feature = "mysql")]
fn mysql(text: &str, server: Option<&DnsServer>) -> Result<Connector> {
    let registry = Registry::new().with(IamFactory::default());
    let mut builder = wrapper_mysql::Connector::builder(registry).url(text);
    if names_no_plugins(text) {
        builder = builder.parameter("plugins", "iam");
    }
    if let Some(server) = server {
        builder = builder.resolver(server.clone());
    }
    builder.build().map(Connector::Mysql)
}

#[cfg(not(feature = "mysql"))]
fn mysql(_text: &str, _server: Option<&DnsServer>) -> Result<Connector> {
    Err(configuration(
        "this rds-iam was built without the feature `mysql`: install it with `cargo install rds-iam --features mysql`",
    ))
}

/// What cannot be cut the connector refuses in its own words.
fn names_no_plugins(text: &str) -> bool {
    cut(text).is_ok_and(|(_, ours)| !ours.iter().any(|(name, _)| name == "plugins"))
}

/// The driver's part of a string, and ours.
pub(super) fn cut(text: &str) -> Result<(String, Vec<(String, String)>)> {
    // The parameters of the chain and of `iam` do not depend on the driver.
    let registry = Registry::<()>::new().with(IamFactory::default());
    let is_ours = |name: &str| registry.declares(name);
    let is_url = ["postgres://", "postgresql://", "mysql://"].iter().any(|scheme| text.starts_with(scheme));
    let cut = if is_url { split_url(text, is_ours)? } else { split_key_value(text, is_ours)? };
    Ok((cut.rest, cut.pairs))
}

pub(super) fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
