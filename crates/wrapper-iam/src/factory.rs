//! The `iam` plugin by its code and parameters.

use std::{sync::Arc, time::Duration};

use host_pattern::Region;
use wrapper_core::{
    BuildContext, Cause, ConnectRequest, Engine, Error, ErrorKind, Factory, PASSWORD_IN_CLEAR,
    PASSWORD_MISSING, PASSWORD_REFUSED, Parameter, ParameterKind, Plugin, Result, Settings,
};

use crate::{IamPlugin, IamSettings, IamTokens, diagnosis::plugin_missing, target};

/// The parameters of the plugin `iam`.
pub const IAM_PARAMETERS: &[Parameter] = &[
    Parameter::new(
        "iamHost",
        ParameterKind::Text,
        "the configured host",
        "The RDS, Aurora or DSQL endpoint that the token is signed for; needed when the host is an IP address, a custom domain or a tunnel.",
    )
    .known_elsewhere_as(&["iam_host", "iamHostname"]),
    Parameter::new(
        "iamDefaultPort",
        ParameterKind::Integer { min: 1, max: 65_535 },
        "the port connected to",
        "The port that the token is signed for, where a tunnel listens on another one.",
    )
    .known_elsewhere_as(&["iam_default_port", "iamPort"]),
    Parameter::new(
        "iamRegion",
        ParameterKind::Text,
        "parsed from the name that is signed for",
        "The region that the token is signed for; needed for a global writer endpoint.",
    )
    .known_elsewhere_as(&["iam_region", "region"]),
    Parameter::new(
        "iamTokenExpiration",
        ParameterKind::Integer { min: 0, max: 900 },
        "`900`",
        "Seconds that a token is reused at most; its real life may end sooner. `0` signs for every connect.",
    )
    .known_elsewhere_as(&["iamExpiration", "iamExpirationSec", "iam_expiration"]),
    Parameter::new(
        "awsProfile",
        ParameterKind::Text,
        "none",
        "The profile to take AWS credentials from, whatever keys the environment holds; without it the AWS default chain decides.",
    )
    .known_elsewhere_as(&["aws_profile", "profile"]),
];

/// Makes the plugin `iam`.
///
/// The default takes credentials from the AWS default chain, with a cache of its own for every connector; with tokens
/// of your own all connectors share theirs.
#[derive(Clone, Debug, Default)]
pub struct IamFactory {
    tokens: Option<IamTokens>,
}

impl IamFactory {
    /// A factory whose plugins share the given tokens.
    pub fn new(tokens: IamTokens) -> Self {
        Self { tokens: Some(tokens) }
    }

    fn tokens(&self, settings: &Settings) -> Result<IamTokens> {
        match (&self.tokens, settings.text("awsProfile")) {
            (Some(_), Some(_)) => Err(configuration(
                "`awsProfile` belongs to the aws default chain, and the program gives credentials of its own: leave it out",
            )),
            (Some(tokens), None) => Ok(tokens.clone()),
            (None, Some(profile)) => IamTokens::builder().profile(profile).build(),
            (None, None) => IamTokens::builder().build(),
        }
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
        let settings = context.settings();
        let plugin = IamPlugin::new(self.tokens(settings)?, read(settings, context.hosts())?);
        Ok(Arc::new(plugin))
    }

    fn explain(&self, request: &ConnectRequest, error: Error) -> Error {
        if request.has_plugin(IamPlugin::CODE) {
            return error;
        }
        let code = error.diagnosis().first().map(Cause::code);
        let is_refused = code == Some(PASSWORD_REFUSED);
        let is_meant = match code {
            Some(PASSWORD_IN_CLEAR) => true,
            Some(PASSWORD_MISSING | PASSWORD_REFUSED) => target::endpoint(request.host()).is_ok(),
            _ => false,
        };
        if !is_meant {
            return error;
        }
        let engine = request.engine().unwrap_or(Engine::Postgres);
        error.with_diagnosis([plugin_missing(request.host(), request.user(), engine, is_refused)])
    }
}

fn read(settings: &Settings, hosts: usize) -> Result<IamSettings> {
    let mut iam = IamSettings::default();
    if let Some(host) = settings.text("iamHost") {
        if hosts > 1 {
            return Err(configuration(
                "`iamHost` is one name, and several hosts are configured: name the hosts by their own endpoints",
            ));
        }
        let endpoint = target::endpoint(host).map_err(|error| {
            let message = format!("`iamHost` must be an RDS, Aurora or DSQL endpoint: {error}");
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
    Ok(iam)
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
