//! Which token is asked for, and signing it.

use std::time::Duration;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use host_pattern::{Endpoint, EndpointKind, Region};
use iam_token::{AuthToken, Presign, eks, elasticache, elasticache_serverless, memorydb, msk};
use token_cache::Clock;
use wrapper_iam::{IamTokenProvider, SystemClock, TokenRequest, connect_error, token_request};

use crate::{
    cli::{Service, TokenArguments},
    credentials::{self, Settings},
    failure::Failure,
};

/// How long credentials may take: a process that gives them may ask the person for a code.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a token is for, checked before any credentials are asked for.
#[derive(Debug)]
pub(crate) enum Purpose {
    Database(TokenRequest),
    Cache(Presign, Region),
    Bearer(Presign, Region),
}

impl Purpose {
    /// Reads the arguments of `token`; those that the service has no use for are errors.
    pub(crate) fn of(arguments: &TokenArguments) -> Result<Self, Failure> {
        let TokenArguments { service, host, name, user, port, region, serverless, .. } = arguments;
        let service = *service;
        let by_host = matches!(service, Service::Rds | Service::Dsql);
        let by_name = matches!(service, Service::Elasticache | Service::Memorydb | Service::Eks);
        let has_user = !matches!(service, Service::Eks | Service::Msk);
        superfluous("--host", host.is_some() && !by_host, service)?;
        superfluous("--name", name.is_some() && !by_name, service)?;
        superfluous("--user", user.is_some() && !has_user, service)?;
        superfluous("--port", port.is_some() && service != Service::Rds, service)?;
        superfluous("--serverless", *serverless && service != Service::Elasticache, service)?;

        let given = |option: &str, value: &Option<String>| {
            value.clone().ok_or_else(|| Failure::usage(format!("{} needs {option}", shown(service))))
        };
        if by_host {
            let port = port.unwrap_or(arguments.engine.default_port());
            let (host, user) = (given("--host", host)?, given("--user", user)?);
            return database(service, &host, port, &user, region.as_deref()).map(Self::Database);
        }
        let region = Region::parse(&given("--region", region)?)
            .map_err(|error| Failure::usage(format!("--region does not fit: {error}")))?;
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
        let request = recipe.build()?;
        Ok(match service {
            Service::Elasticache | Service::Memorydb => Self::Cache(request, region),
            Service::Eks | Service::Msk | Service::Rds | Service::Dsql => Self::Bearer(request, region),
        })
    }

    /// Loads credentials and signs.
    pub(crate) async fn sign(&self, profile: Option<&str>) -> Result<AuthToken, Failure> {
        let now = SystemClock.now();
        let region = match self {
            Self::Database(target) => target.region(),
            Self::Cache(_, region) | Self::Bearer(_, region) => region.as_str(),
        };
        let settings = Settings { profile, region: Some(region), role: None };
        let credentials = credentials::load(settings, now, PATIENCE).await?;
        Ok(match self {
            Self::Database(target) => database_token(target, credentials).await?,
            Self::Cache(request, _) | Self::Bearer(request, _) => request.sign(&credentials, now)?,
        })
    }
}

/// The target of a token for a database, with the region of its name unless another is given.
pub(crate) fn database(
    service: Service,
    host: &str,
    port: u16,
    user: &str,
    region: Option<&str>,
) -> Result<TokenRequest, Failure> {
    if let (Service::Dsql, Ok(endpoint)) = (service, Endpoint::parse(host))
        && endpoint.kind() != EndpointKind::Dsql
    {
        return Err(Failure::new(format!(
            "`{endpoint}` is no DSQL cluster ({}): leave out --service",
            endpoint.kind()
        )));
    }
    token_request(host, port, user, region).map_err(|error| {
        let hint = match error.kind() {
            wrapper_core::ErrorKind::Region if region.is_none() => " (--region)",
            wrapper_core::ErrorKind::Host => "; pass the endpoint's own name as --host",
            _ => "",
        };
        let message = format!("{error}{hint}");
        Failure::from(error.with_message(message))
    })
}

async fn database_token(target: &TokenRequest, credentials: Credentials) -> Result<AuthToken, Failure> {
    let provider = SharedCredentialsProvider::new(credentials);
    let sign =
        async { IamTokenProvider::builder().credentials_provider(provider).build()?.token(target).await };
    let token = sign.await.map_err(|error| connect_error(&error))?;
    Ok((*token).clone())
}

fn superfluous(option: &str, is_given: bool, service: Service) -> Result<(), Failure> {
    if is_given {
        return Err(Failure::usage(format!("{} has no use for {option}: leave it out", shown(service))));
    }
    Ok(())
}

fn shown(service: Service) -> String {
    format!("--service {service:?}").to_lowercase()
}
