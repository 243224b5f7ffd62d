//! What a connection string says.

use std::{ops::Deref, time::Duration};

use host_pattern::{Endpoint, EndpointKind};
use wrapper_adapter::Roots;
use wrapper_core::Result;
use wrapper_iam::{AssumeRole, TokenRequest, diagnosis::Facts, token_request};

use super::{
    connector::{configuration, cut},
    dns::Aliases,
    report::{Report, StepName},
    server::Server,
};
use crate::cli::Engine;

/// One host with all that a login there needs.
#[derive(Debug)]
pub(super) struct Subject {
    server: Server,
    pub(super) roots: Roots,
    /// What DNS says of the host, once it was asked.
    pub(super) aliases: Option<Aliases>,
    parameters: Vec<(String, String)>,
}

impl Deref for Subject {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Subject {
    pub(super) fn read(text: &str) -> Result<Self> {
        let (rest, parameters) = cut(text)?;
        let server = match Engine::of(text)? {
            Engine::Mysql => Server::of_mysql(&rest)?,
            Engine::Postgres => Server::of_postgres(&rest)?,
        };
        // A password with a raw `@` ends up here in part, and this error shows none of it.
        Endpoint::parse(&server.host)
            .map_err(|error| configuration("the host is no name").with_source(error))?;
        let given = |wanted: &str| {
            let found = parameters.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        if given("plugins").is_some_and(|plugins| !plugins.split(',').any(|code| code.trim() == "iam")) {
            return Err(configuration("`plugins` does not name iam: without it no token is sent"));
        }
        let roots = given("sslrootcert").map_or(Ok(Roots::system()), Roots::read)?;
        Ok(Self { server, roots, aliases: None, parameters })
    }

    /// A parameter of ours, where the string has it.
    pub(super) fn parameter(&self, wanted: &str) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    /// The name that the token is signed for.
    pub(super) fn signed_host(&self) -> &str {
        self.parameter("iamHost").unwrap_or(&self.host)
    }

    /// The endpoint that the token is signed for, if it is one.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        Endpoint::parse(self.signed_host()).ok()
    }

    /// The port that the token is signed for.
    pub(super) fn signed_port(&self) -> u16 {
        self.parameter("iamDefaultPort").and_then(|port| port.trim().parse().ok()).unwrap_or(self.port)
    }

    /// What the token is signed for.
    pub(super) fn target(&self) -> Result<TokenRequest> {
        token_request(self.signed_host(), self.signed_port(), &self.user, self.parameter("iamRegion"))
    }

    /// The role that the credentials are to assume; its parts are checked where it is used.
    pub(super) fn role(&self) -> Option<AssumeRole> {
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

    /// The name that the server's certificate has to carry.
    pub(super) fn tls_name(&self) -> &str {
        self.parameter("tlsServerName").unwrap_or(self.signed_host())
    }

    /// Whether the host is itself such a name, and not what leads there: an address, a tunnel, a custom domain.
    pub(super) fn dials_endpoint(&self) -> bool {
        let kind = Endpoint::parse(&self.host).map(|endpoint| endpoint.kind());
        !matches!(kind, Ok(EndpointKind::Custom | EndpointKind::Ip) | Err(_))
    }

    /// The endpoint that DNS leads to, if that is another one than the token is signed for.
    pub(super) fn leads_elsewhere(&self) -> Option<Endpoint> {
        let aliases = self.aliases.as_ref()?;
        let (behind, signed) = (aliases.endpoint()?, self.endpoint()?);
        let is_elsewhere = match behind.region().filter(|_| signed.kind() == EndpointKind::GlobalWriter) {
            Some(region) => self.target().ok()?.region() != region,
            None => !aliases.hold(self.signed_host()),
        };
        is_elsewhere.then_some(behind)
    }

    /// What to do if DNS leads to another endpoint than the token is signed for.
    pub(super) fn alias_remedy(&self) -> Option<String> {
        let target = self.target().ok()?;
        let mut facts = Facts::new(&target, (&self.host, self.port), self.engine.into());
        facts.leads_to = Some(self.leads_elsewhere()?);
        let is_global = self.endpoint()?.kind() == EndpointKind::GlobalWriter;
        let code = if is_global { "region" } else { "host-name" };
        facts.causes().iter().find(|cause| cause.code() == code).map(ToString::to_string)
    }

    pub(super) fn report(&self, report: &mut Report) {
        let user = self.user.escape_debug();
        let database = match (self.engine, self.database.as_deref()) {
            (_, Some(database)) => format!("database `{}`", database.escape_debug()),
            (Engine::Postgres, None) => format!("database `{user}`"),
            (Engine::Mysql, None) => "no database".to_owned(),
        };
        let fact = format!("user `{user}`, {database}, trusting {}", self.roots);
        let mut remarks = Vec::new();
        if self.parameter("plugins").is_none() {
            remarks.push("add plugins=iam, without which a program sends no token");
        }
        if self.has_password {
            remarks.push("leave out the password, which is ignored beside iam");
        }
        match remarks.is_empty() {
            true => report.ok(StepName::Parameters, fact),
            false => report.warning(StepName::Parameters, fact, remarks.join(", and ")),
        }
    }
}
