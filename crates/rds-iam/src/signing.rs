//! Reads which token is wanted, and signs it.

use std::time::Duration;

use host_pattern::{Endpoint, EndpointKind, Region};
use iam_token::{AuthToken, Presign, eks, elasticache, elasticache_serverless, memorydb, msk};
use token_cache::Clock;
use wrapper_core::ErrorKind;
use wrapper_iam::{SystemClock, TokenRequest, connect_error};

use crate::{
    cli::{Engine, Service, TokenArguments},
    connection::{ConnectionArguments, Input},
    connector::{Connector, token_provider},
    credentials::{self, CredentialOptions},
    failure::{Failure, USAGE},
    target::Target,
};

/// How long loading credentials may take: a `credential_process` may ask for an MFA code.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// What a token is for, checked before credentials are loaded.
#[derive(Debug)]
pub(crate) enum Purpose {
    Database(Box<Target>, TokenRequest),
    Cache(Presign, Region),
    Bearer(Presign, Region),
}

impl Purpose {
    /// Reads the arguments of `token`; options that the service does not take are errors.
    pub(crate) fn of(arguments: &TokenArguments) -> Result<Self, Failure> {
        let TokenArguments { service, connection, name, serverless, .. } = arguments;
        let ConnectionArguments { host, user, port, region, .. } = connection;
        let service = *service;
        let by_host = matches!(service, Service::Rds | Service::Dsql);
        let by_name = matches!(service, Service::Elasticache | Service::Memorydb | Service::Eks);
        let has_user = !matches!(service, Service::Eks | Service::Msk);
        for (option, is_given) in connection.database_options() {
            reject_unused(option, is_given && !by_host, service)?;
        }
        reject_unused("--name", name.is_some() && !by_name, service)?;
        reject_unused("--user", user.is_some() && !has_user, service)?;
        reject_unused("--port", port.is_some() && service != Service::Rds, service)?;
        reject_unused("--serverless", *serverless && service != Service::Elasticache, service)?;
        let is_mysql = connection.engine == Some(Engine::Mysql);
        reject_unused("--engine mysql", is_mysql && service != Service::Rds, service)?;

        let given = |option: &str, value: &Option<String>| {
            value.clone().ok_or_else(|| Failure::usage(format!("{} needs {option}", shown(service))))
        };
        if by_host {
            if host.is_some() {
                given("--user", user)?;
            }
            let text = connection.text(Engine::Postgres, Input::Own)?;
            let text = text.ok_or_else(|| {
                Failure::usage(format!("{} needs --host, or a connection string", shown(service)))
            })?;
            let (target, request) = target(&text, connection)?;
            if service == Service::Dsql {
                only_dsql(request.host())?;
            }
            return Ok(Self::Database(Box::new(target), request));
        }
        let region = Region::parse(&given("--region", region)?)
            .map_err(|error| Failure::usage(format!("invalid --region: {error}")))?;
        let recipe = match service {
            Service::Elasticache if *serverless => {
                elasticache_serverless(&given("--name", name)?, &given("--user", user)?)
                    .region(region.as_str())
            }
            Service::Elasticache => {
                elasticache(&given("--name", name)?, &given("--user", user)?).region(region.as_str())
            }
            Service::Memorydb => {
                memorydb(&given("--name", name)?, &given("--user", user)?).region(region.as_str())
            }
            Service::Eks => eks(&given("--name", name)?, region.as_str()),
            Service::Msk | Service::Rds | Service::Dsql => msk(region.as_str()),
        };
        let request = recipe.build().map_err(|error| Failure::from(error).with_exit_code(USAGE))?;
        Ok(match service {
            Service::Elasticache | Service::Memorydb => Self::Cache(request, region),
            Service::Eks | Service::Msk | Service::Rds | Service::Dsql => Self::Bearer(request, region),
        })
    }

    /// Loads credentials and signs.
    pub(crate) async fn sign(&self, arguments: &ConnectionArguments) -> Result<AuthToken, Failure> {
        let (request, region) = match self {
            Self::Database(target, request) => return sign(request, target).await,
            Self::Cache(request, region) | Self::Bearer(request, region) => (request, region),
        };
        let now = SystemClock.now();
        let settings = CredentialOptions {
            profile: arguments.profile.as_deref(),
            region: Some(region.as_str()),
            role: arguments.role(),
        };
        let credentials = credentials::load(settings, now, TIMEOUT).await?;
        Ok(request.sign(&credentials, now)?)
    }
}

/// Reads a connection string and its token request.
///
/// Values that a program would reject are usage errors with the same message.
pub(crate) fn target(text: &str, arguments: &ConnectionArguments) -> Result<(Target, TokenRequest), Failure> {
    let target = read(text, arguments)?;
    let request = request(&target, arguments)?;
    Ok((target, request))
}

fn usage_error(error: wrapper_core::Error) -> Failure {
    Failure::from(error).with_exit_code(USAGE)
}

/// Reads a connection string, and rejects what a program would reject.
pub(crate) fn read(text: &str, arguments: &ConnectionArguments) -> Result<Target, Failure> {
    // Tokens for MySQL can be signed even where its driver is not compiled in.
    let is_known = cfg!(feature = "mysql") || !matches!(Engine::of(text), Ok(Engine::Mysql));
    if let Err(error) = Connector::build(text)
        && is_known
        && !matches!(error.kind(), ErrorKind::Host | ErrorKind::Region)
    {
        return Err(usage_error(error));
    }
    Target::read(text, arguments.hostaddr).map_err(usage_error)
}

/// Returns the token request of a target.
pub(crate) fn request(target: &Target, arguments: &ConnectionArguments) -> Result<TokenRequest, Failure> {
    if target.secret.is_some() {
        return Err(Failure::usage(
            "the connection string takes its password from Secrets Manager: use `rds-iam exec`, or remove \
             `secretId`",
        ));
    }
    target.token_request().map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::Region if arguments.region.is_none() => " (--region)",
            ErrorKind::Host => "; pass the endpoint's own name as --host, or as --iam-host",
            _ => "",
        };
        let message = format!("{error}{hint}");
        usage_error(error.with_message(message))
    })
}

/// Loads credentials and signs.
pub(crate) async fn sign(request: &TokenRequest, target: &Target) -> Result<AuthToken, Failure> {
    let settings = CredentialOptions { region: Some(request.region()), ..target.credentials() };
    let credentials = credentials::load(settings, SystemClock.now(), TIMEOUT).await?;
    let token = token_provider(credentials)?.token(request).await.map_err(|error| connect_error(&error))?;
    Ok((*token).clone())
}

fn only_dsql(host: &str) -> Result<(), Failure> {
    match Endpoint::parse(host) {
        Ok(endpoint) if endpoint.kind() != EndpointKind::Dsql => Err(Failure::usage(format!(
            "`{endpoint}` is not a DSQL cluster ({}): remove --service",
            endpoint.kind()
        ))),
        _ => Ok(()),
    }
}

fn reject_unused(option: &str, is_given: bool, service: Service) -> Result<(), Failure> {
    if is_given {
        return Err(Failure::usage(format!("{} does not take {option}: remove it", shown(service))));
    }
    Ok(())
}

fn shown(service: Service) -> String {
    format!("--service {service:?}").to_lowercase()
}
