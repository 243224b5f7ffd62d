//! The database and the parameters that a connection string names.

use std::{net::IpAddr, ops::Deref, time::Duration};

use host_pattern::{Endpoint, EndpointKind};
use wrapper_adapter::{Roots, StringForm, split_key_value, split_url};
use wrapper_core::{Error, ErrorKind, Result};
use wrapper_iam::{
    AssumeRole, IamFactory, IamPlugin, TokenRequest, diagnosis::Facts, explain_tls, token_request,
};
use wrapper_secrets::{SecretsFactory, SecretsPlugin};

use crate::{
    cli::Engine, connector::registry, credentials::CredentialOptions, doctor::Aliases, server::Server,
};

/// One host with everything that a login there needs.
#[derive(Debug)]
pub(crate) struct Target {
    server: Server,
    pub(crate) roots: Roots,
    /// The aliases of the host, once DNS was asked.
    pub(crate) aliases: Option<Aliases>,
    /// The secret that holds user and password, where that takes the place of a token.
    pub(crate) secret: Option<String>,
    parameters: Vec<(String, String)>,
}

impl Deref for Target {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Target {
    /// Reads a connection string; `address` is dialled instead of resolving the host.
    pub(crate) fn read(text: &str, address: Option<IpAddr>) -> Result<Self> {
        let (rest, parameters) = split_parameters(text)?;
        let mut server = match Engine::of(text)? {
            Engine::Mysql => Server::of_mysql(&rest)?,
            Engine::Postgres => Server::of_postgres(&rest)?,
        };
        server.address = address.or(server.address);
        // Part of a password with a raw `@` can end up here; this error shows nothing of it.
        Endpoint::parse(&server.host)
            .map_err(|error| configuration("invalid host name").with_source(error))?;
        let given = |wanted: &str| {
            let found = parameters.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let names = |codes: &[&str]| {
            given("plugins").map(|plugins| plugins.split(',').any(|code| codes.contains(&code.trim())))
        };
        let secret = given("secretId").map(str::to_owned);
        // Without `plugins` each parameter stands for its plugin.
        let secret = secret.filter(|_| names(&[SecretsPlugin::CODE, "secretsManager"]).unwrap_or(true));
        if secret.is_none() && names(&[IamPlugin::CODE]) == Some(false) {
            return Err(configuration(
                "`plugins` names neither `iam` nor `awsSecretsManager`, one of which provides the \
                 password: add one",
            ));
        }
        let roots = given("sslrootcert").map_or(Ok(Roots::system()), Roots::read);
        let roots = roots.map_err(|error| explain_tls(error, &server.host))?;
        Ok(Self { server, roots, aliases: None, secret, parameters })
    }

    /// Sets the user that a secret names.
    pub(crate) fn set_user(&mut self, user: &str) {
        user.clone_into(&mut self.server.user);
    }

    /// Returns a parameter of the wrapper, if the string has it.
    pub(crate) fn parameter(&self, wanted: &str) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    /// Returns the name that the token is signed for.
    pub(crate) fn signed_host(&self) -> &str {
        self.parameter("iamHost").unwrap_or(&self.host)
    }

    /// Returns the endpoint that the token is signed for, if it is one.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        Endpoint::parse(self.signed_host()).ok()
    }

    /// Returns the endpoint that a connection reaches, which may differ from the signed one.
    pub(crate) fn reached_endpoint(&self) -> Option<Endpoint> {
        let dialled = || Endpoint::parse(&self.host).ok().filter(|_| self.dials_endpoint());
        self.mismatched_endpoint().or_else(dialled).or_else(|| self.endpoint())
    }

    /// Returns the port that the token is signed for.
    pub(crate) fn signed_port(&self) -> u16 {
        self.parameter("iamDefaultPort").and_then(|port| port.trim().parse().ok()).unwrap_or(self.port)
    }

    /// Returns the host, port, user and region that the token is signed for.
    pub(crate) fn token_request(&self) -> Result<TokenRequest> {
        token_request(self.signed_host(), self.signed_port(), &self.user, self.parameter("iamRegion"))
    }

    /// Returns the AWS region of the token or of the secret.
    pub(crate) fn region(&self) -> Option<String> {
        let Some(secret) = &self.secret else {
            return Some(self.token_request().ok()?.region().to_owned());
        };
        // An ARN names its region in the fourth field.
        let own = || secret.split(':').nth(3);
        self.parameter("secretRegion").or_else(own).map(|region| region.trim().to_lowercase())
    }

    /// Returns the options that select the credentials.
    pub(crate) fn credentials(&self) -> CredentialOptions<'_> {
        CredentialOptions { profile: self.parameter("awsProfile"), region: None, role: self.role() }
    }

    /// Returns the role to assume; its parts are checked where it is used.
    fn role(&self) -> Option<AssumeRole> {
        let mut role = AssumeRole::new(self.parameter("assumeRoleArn")?);
        if let Some(name) = self.parameter("assumeRoleSessionName") {
            role = role.with_session_name(name);
        }
        if let Some(external_id) = self.parameter("assumeRoleExternalId") {
            role = role.with_external_id(external_id);
        }
        if let Some(seconds) = self.parameter("assumeRoleDurationSec").and_then(|text| text.parse().ok()) {
            role = role.with_duration(Duration::from_secs(seconds));
        }
        Some(role)
    }

    /// Returns the name that the server's certificate must hold.
    pub(crate) fn tls_name(&self) -> &str {
        self.parameter("tlsServerName").unwrap_or(self.signed_host())
    }

    /// Returns whether the host is an endpoint of AWS, and not an address, a tunnel or a custom
    /// domain in front of one.
    pub(crate) fn dials_endpoint(&self) -> bool {
        let kind = Endpoint::parse(&self.host).map(|endpoint| endpoint.kind());
        !matches!(kind, Ok(EndpointKind::Custom | EndpointKind::Ip) | Err(_))
    }

    /// Returns the endpoint that DNS resolves the host to, if the token is signed for another.
    pub(crate) fn mismatched_endpoint(&self) -> Option<Endpoint> {
        let aliases = self.aliases.as_ref()?;
        let (behind, signed) = (aliases.endpoint()?, self.endpoint()?);
        // A global name leads to a regional endpoint by design; only another region is wrong there.
        let is_elsewhere = match behind.region().filter(|_| signed.kind() == EndpointKind::GlobalWriter) {
            Some(region) => self.token_request().ok()?.region() != region,
            None => !aliases.hold(self.signed_host()),
        };
        is_elsewhere.then_some(behind)
    }

    /// Returns the remedy if DNS resolves to another endpoint than the token is signed for.
    pub(crate) fn alias_remedy(&self) -> Option<String> {
        let target = self.token_request().ok()?;
        let mut facts = Facts::new(&target, (&self.host, self.port), self.engine.into());
        facts.leads_to = Some(self.mismatched_endpoint()?);
        let is_global = self.endpoint()?.kind() == EndpointKind::GlobalWriter;
        let code = if is_global { "region" } else { "host-name" };
        facts.causes().iter().find(|cause| cause.code() == code).map(ToString::to_string)
    }
}

impl Engine {
    /// Returns the engine that a connection string is for; without a scheme it is a `key=value`
    /// string of PostgreSQL.
    pub(crate) fn of(text: &str) -> Result<Self> {
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("mysql") || lower.starts_with("mariadb") {
            // Errors in it are reported by the connector.
            return Ok(Self::Mysql);
        }
        // A single word, even a password, parses as a custom domain.
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

/// Splits a string into the driver's part and the wrapper's parameters.
pub(crate) fn split_parameters(text: &str) -> Result<(String, Vec<(String, String)>)> {
    // The parameters of the chain and of the plugins do not depend on the driver.
    let registry = registry::<()>((IamFactory::default(), SecretsFactory::default()));
    let is_ours = |name: &str| registry.declares(name);
    let is_url = ["postgres://", "postgresql://", "mysql://"].iter().any(|scheme| text.starts_with(scheme));
    let cut = if is_url { split_url(text, is_ours)? } else { split_key_value(text, is_ours)? };
    Ok((cut.rest, cut.pairs))
}

/// Creates a configuration error.
pub(crate) fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
