//! The `iam` plugin by its code and parameters.

use std::{sync::Arc, time::Duration};

use host_pattern::{Endpoint, ErrorKind as HostErrorKind, Region};
use wrapper_core::{
    BuildContext, Cause, ConnectRequest, Engine, Error, ErrorKind, Factory, Options, PASSWORD_IN_CLEAR,
    PASSWORD_MISSING, PASSWORD_REFUSED, Parameter, ParameterKind, Plugin, Result,
};

use iam_token_provider::IamTokenProvider;

use crate::{
    ASSUME_ROLE_ARN, ASSUME_ROLE_DURATION_SEC, ASSUME_ROLE_EXTERNAL_ID, ASSUME_ROLE_SESSION_NAME,
    AWS_PROFILE, IamPlugin, IamSettings, diagnosis::plugin_missing, request, token_provider,
};

/// The parameters of the plugin `iam`.
pub const IAM_PARAMETERS: &[Parameter] = &[
    Parameter::new(
        "iamHost",
        ParameterKind::Text,
        "the configured host",
        "The RDS, Aurora or DSQL endpoint that the token is signed for; needed when the host is an IP address, a custom domain or a tunnel.",
    )
    .aliases(&["iam_host", "iamHostname"]),
    Parameter::new(
        "iamDefaultPort",
        ParameterKind::Integer { min: 1, max: 65_535 },
        "the port connected to",
        "The port that the token is signed for, where a tunnel listens on another one.",
    )
    .aliases(&["iam_default_port", "iamPort"]),
    Parameter::new(
        "iamRegion",
        ParameterKind::Text,
        "parsed from the name that is signed for",
        "The region that the token is signed for; needed for a global writer endpoint.",
    )
    .aliases(&["iam_region", "region"]),
    Parameter::new(
        "iamTokenExpiration",
        ParameterKind::Integer { min: 0, max: 900 },
        "`900`",
        "Seconds that a token is reused at most; its real life may end sooner. `0` signs for every connect.",
    )
    .aliases(&["iamExpiration", "iamExpirationSec", "iam_expiration"]),
    Parameter::new(
        "iamLoginRetryTimeoutMs",
        ParameterKind::Integer { min: 0, max: 600_000 },
        "`0`",
        "Milliseconds for which a refused login is repeated, every 0.2 to 2 s at random, where a new token may mend it; for deploys that run into the server's limit, which shows as a plain refusal.",
    )
    .aliases(&["iam_login_retry_timeout_ms", "iamLoginRetryTimeout"]),
    AWS_PROFILE,
    ASSUME_ROLE_ARN,
    ASSUME_ROLE_SESSION_NAME,
    ASSUME_ROLE_EXTERNAL_ID,
    ASSUME_ROLE_DURATION_SEC,
];

/// Makes the plugin `iam`.
///
/// The default takes credentials from the AWS default chain, with a cache of its own for every
/// connector; with tokens of your own all connectors share theirs.
#[derive(Clone, Debug, Default)]
pub struct IamFactory {
    tokens: Option<IamTokenProvider>,
    trusted: Vec<(String, Region)>,
}

impl IamFactory {
    /// A factory whose plugins share the given tokens.
    pub fn new(tokens: IamTokenProvider) -> Self {
        Self { tokens: Some(tokens), ..Self::default() }
    }

    /// Has connects to this host signed for in this region, though its name is no RDS endpoint,
    /// such as an emulator's.
    ///
    /// # Security
    ///
    /// Whoever answers at that host gets a token of your credentials: no connection string can name one.
    #[must_use]
    pub fn with_trusted_host(mut self, host: impl Into<String>, region: Region) -> Self {
        self.trusted.push((host.into(), region));
        self
    }
}

impl<C: Send + 'static> Factory<C> for IamFactory {
    fn code(&self) -> &str {
        IamPlugin::CODE
    }

    fn parameters(&self) -> &[Parameter] {
        IAM_PARAMETERS
    }

    fn weight(&self) -> i32 {
        1000
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Plugin<C>>> {
        let settings = context.options();
        let mut iam = read(settings, context.requests().len())?;
        for (host, region) in &self.trusted {
            iam = iam.with_trusted_host(host, region.clone());
        }
        Ok(Arc::new(
            IamPlugin::new(token_provider(settings, self.tokens.as_ref())?, iam)
                .with_events(context.events()),
        ))
    }

    fn explain(&self, request: &ConnectRequest, error: Error) -> Error {
        if request.has_plugin(IamPlugin::CODE) {
            return error;
        }
        let code = error.diagnosis().first().map(Cause::code);
        let is_refused = code == Some(PASSWORD_REFUSED);
        let is_meant = match code {
            Some(PASSWORD_IN_CLEAR) => true,
            Some(PASSWORD_MISSING | PASSWORD_REFUSED) => request::endpoint(request.host()).is_ok(),
            _ => false,
        };
        if !is_meant {
            return error;
        }
        let engine = request.engine().unwrap_or(Engine::Postgres);
        error.with_diagnosis([plugin_missing(request.host(), request.user(), engine, is_refused)])
    }
}

fn read(settings: &Options, hosts: usize) -> Result<IamSettings> {
    let mut iam = IamSettings::default();
    if let Some(host) = settings.text("iamHost") {
        if hosts > 1 {
            return Err(configuration(
                "`iamHost` is one name, and several hosts are configured: name the hosts by their own endpoints",
            ));
        }
        let endpoint = request::endpoint(host).map_err(|error| {
            let is_port = Endpoint::parse(host).is_err_and(|wrong| wrong.kind() == HostErrorKind::Port);
            let place = if is_port { " as `iamDefaultPort`" } else { "" };
            let message = format!("`iamHost` must be an RDS, Aurora or DSQL endpoint: {error}{place}");
            error.with_message(message)
        })?;
        iam = iam.with_host(endpoint);
    }
    if let Some(port) = settings.integer("iamDefaultPort").and_then(|port| u16::try_from(port).ok()) {
        iam = iam.with_port(port);
    }
    if let Some(region) = settings.text("iamRegion") {
        let region = Region::parse(region).map_err(|error| {
            Error::new(ErrorKind::Region, format!("`iamRegion` does not fit: {error}")).with_source(error)
        })?;
        iam = iam.with_region(region);
    }
    if let Some(seconds) = settings.integer("iamTokenExpiration").and_then(|s| u64::try_from(s).ok()) {
        iam = iam.with_token_expiration(Duration::from_secs(seconds));
    }
    if let Some(millis) = settings.integer("iamLoginRetryTimeoutMs").and_then(|ms| u64::try_from(ms).ok()) {
        iam = iam.with_login_retry_timeout(Duration::from_millis(millis));
    }
    Ok(iam)
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
