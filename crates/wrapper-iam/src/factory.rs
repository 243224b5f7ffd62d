//! The `iam` plugin by its code and parameters.

use std::{sync::Arc, time::Duration};

use host_pattern::{Endpoint, ErrorKind as HostErrorKind, Region};
use wrapper_core::{
    BuildContext, Cause, ConnectRequest, Engine, Error, ErrorKind, Factory, Options, Parameter,
    ParameterKind, ParameterValue, Plugin, Result, Value,
};

use iam_token_provider::IamTokenProvider;

use crate::{
    ASSUME_ROLE_ARN, ASSUME_ROLE_DURATION_SEC, ASSUME_ROLE_EXTERNAL_ID, ASSUME_ROLE_SESSION_NAME,
    AWS_PROFILE, IamPlugin, IamSettings, diagnosis::plugin_missing, explain_tls, family, request,
    token_provider,
};

/// The parameters of the plugin `iam`.
pub const IAM_PARAMETERS: &[Parameter] = &[
    IAM_HOST.untyped(),
    IAM_DEFAULT_PORT.untyped(),
    IAM_REGION.untyped(),
    IAM_TOKEN_EXPIRATION.untyped(),
    IAM_LOGIN_RETRY_TIMEOUT_MS.untyped(),
    AWS_PROFILE,
    ASSUME_ROLE_ARN,
    ASSUME_ROLE_SESSION_NAME,
    ASSUME_ROLE_EXTERNAL_ID,
    ASSUME_ROLE_DURATION_SEC,
];

const IAM_HOST: Parameter<SignedHost> = Parameter::typed(
    "iamHost",
    ParameterKind::Text,
    "the configured host",
    "The RDS, Aurora or DSQL endpoint that the token is signed for; needed when the host is an IP \
         address, a custom domain or a tunnel.",
)
.aliases(&["iam_host", "iamHostname"]);

const IAM_DEFAULT_PORT: Parameter<u16> = Parameter::typed(
    "iamDefaultPort",
    ParameterKind::Integer { min: 1, max: 65_535 },
    "the port connected to",
    "The port that the token is signed for, where a tunnel listens on another one.",
)
.aliases(&["iam_default_port", "iamPort"]);

const IAM_REGION: Parameter<Region> = Parameter::typed(
    "iamRegion",
    ParameterKind::Text,
    "parsed from the name that is signed for",
    "The region that the token is signed for; needed for a global writer endpoint.",
)
.aliases(&["iam_region", "region"]);

const IAM_TOKEN_EXPIRATION: Parameter<u64> = Parameter::typed(
    "iamTokenExpiration",
    ParameterKind::Integer { min: 0, max: 900 },
    "`900`",
    "Seconds that a token is reused at most; its real life may end sooner. `0` signs for every connect.",
)
.aliases(&["iamExpiration", "iamExpirationSec", "iam_expiration", "tokenDurationSecs"]);

const IAM_LOGIN_RETRY_TIMEOUT_MS: Parameter<u64> = Parameter::typed(
    "iamLoginRetryTimeoutMs",
    ParameterKind::Integer { min: 0, max: 600_000 },
    "`0`",
    "Milliseconds for which a refused login is repeated, every 0.2 to 2 s at random, where a new token \
         may mend it; for deploys that run into the server's limit, which shows as a plain refusal.",
)
.aliases(&["iam_login_retry_timeout_ms", "iamLoginRetryTimeout"]);

/// A name that a token can be signed for.
struct SignedHost(Endpoint);

impl ParameterValue for SignedHost {
    fn parse(name: &str, value: &Value) -> Result<Self> {
        let host = value.single(name)?;
        request::endpoint(&host).map(Self).map_err(|error| {
            let is_port = Endpoint::parse(&host).is_err_and(|wrong| wrong.kind() == HostErrorKind::Port);
            let place = if is_port { " as `iamDefaultPort`" } else { "" };
            let message = format!("`{name}` must be an RDS, Aurora or DSQL endpoint: {error}{place}");
            error.with_message(message)
        })
    }
}

/// Makes the plugin `iam`.
///
/// By default each connector takes credentials from the AWS default chain and has its own cache;
/// connectors of a factory with a given provider share that one.
#[derive(Clone, Debug, Default)]
pub struct IamFactory {
    tokens: Option<IamTokenProvider>,
    trusted: Vec<(String, Region)>,
}

impl IamFactory {
    /// Creates a factory of plugins that share the given provider.
    pub fn new(tokens: IamTokenProvider) -> Self {
        Self { tokens: Some(tokens), ..Self::default() }
    }

    /// Signs tokens for this host in this region although its name is not an RDS endpoint, such as
    /// that of an emulator.
    ///
    /// # Security
    ///
    /// The server at that host receives a token of your credentials, so no connection string can
    /// set it.
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

    fn absence(&self, code: &str) -> Option<String> {
        family::absence(code)
    }

    fn owner_elsewhere(&self, parameter: &str) -> Option<&'static str> {
        family::owner(parameter)
    }

    fn without_effect(&self, parameter: &str) -> Option<&'static str> {
        family::without_effect(parameter)
    }

    fn weight(&self) -> i32 {
        1000
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Plugin<C>>> {
        let options = context.options();
        let mut iam = IamSettings::from_options(options, context.requests().len())?;
        for (host, region) in &self.trusted {
            iam = iam.with_trusted_host(host, region.clone());
        }
        Ok(Arc::new(
            IamPlugin::new(token_provider(options, self.tokens.as_ref())?, iam).with_events(context.events()),
        ))
    }

    fn explain(&self, request: &ConnectRequest, error: Error) -> Error {
        let has_plugin = request.has_plugin(IamPlugin::CODE);
        // The plugin has judged a wrong name by the host that it signed for; this request's own may
        // be a tunnel's.
        let is_judged = error.diagnosis().first().is_some_and(|cause| cause.code() == Cause::WRONG_NAME);
        if has_plugin && is_judged {
            return error;
        }
        let error = explain_tls(error, request.tls_name());
        if has_plugin {
            return error;
        }
        let code = error.diagnosis().first().map(Cause::code);
        let is_refused = code == Some(Cause::PASSWORD_REFUSED);
        // A request for clear text means a token; the other codes are any server's, so the host
        // decides.
        let is_meant = match code {
            Some(Cause::PASSWORD_IN_CLEAR) => true,
            Some(Cause::PASSWORD_MISSING | Cause::PASSWORD_REFUSED) => {
                request::endpoint(request.host()).is_ok()
            }
            _ => false,
        };
        if !is_meant {
            return error;
        }
        let engine = request.engine().unwrap_or(Engine::Postgres);
        error.with_diagnosis([plugin_missing(request.host(), request.user(), engine, is_refused)])
    }
}

impl IamSettings {
    /// Reads the settings of a connector with this many hosts.
    ///
    /// # Errors
    ///
    /// A configuration error if one name is given for several hosts.
    pub fn from_options(options: &Options, hosts: usize) -> Result<Self> {
        let mut iam = Self::default();
        if let Some(SignedHost(host)) = options.get(&IAM_HOST) {
            if hosts > 1 {
                return Err(Error::new(
                    ErrorKind::Configuration,
                    "`iamHost` is one name, and several hosts are configured: name the hosts by their own \
                     endpoints",
                ));
            }
            iam = iam.with_host(host.clone());
        }
        if let Some(port) = options.get(&IAM_DEFAULT_PORT) {
            iam = iam.with_port(*port);
        }
        if let Some(region) = options.get(&IAM_REGION) {
            iam = iam.with_region(region.clone());
        }
        if let Some(seconds) = options.get(&IAM_TOKEN_EXPIRATION) {
            iam = iam.with_token_expiration(Duration::from_secs(*seconds));
        }
        if let Some(millis) = options.get(&IAM_LOGIN_RETRY_TIMEOUT_MS) {
            iam = iam.with_login_retry_timeout(Duration::from_millis(*millis));
        }
        Ok(iam)
    }
}
