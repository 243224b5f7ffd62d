//! The SDK's providers of a chain or profile, and a role on top of it.

use std::time::SystemTime;

use aws_config::{
    BehaviorVersion, Region, SdkConfig,
    environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain,
    profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider},
    provider_config::ProviderConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};

use super::{diagnosis::Failure, known_end, role::AssumeRole};

pub(super) struct SdkChain {
    base: Option<SharedCredentialsProvider>,
    profile: Option<String>,
    role: Option<Role>,
}

struct Role {
    role: AssumeRole,
    config: SdkConfig,
    region: Option<Region>,
}

impl SdkChain {
    /// Builds the chain. `region` is the target's; it serves where neither environment nor profile
    /// name one.
    ///
    /// # Panics
    ///
    /// The SDK's HTTP client panics on a machine without any trusted roots.
    pub(super) async fn new(
        profile: Option<&str>,
        role: Option<&AssumeRole>,
        region: Option<Region>,
    ) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        // Without any, the SDK goes on to ask the instance's metadata.
        if let Some(region) = configured_region(profile).await.or_else(|| region.clone()) {
            loader = loader.region(region);
        }
        let config = loader.load().await;
        let base = match profile {
            // In the chain, the environment's keys would take precedence over an explicitly named
            // profile.
            Some(profile) => {
                let provider_config = ProviderConfig::without_region().with_region(config.region().cloned());
                let provider = ProfileFileCredentialsProvider::builder()
                    .configure(&provider_config)
                    .profile_name(profile);
                Some(SharedCredentialsProvider::new(provider.build()))
            }
            None => config.credentials_provider(),
        };
        let role = role.cloned().map(|role| Role { role, config, region });
        Self { base, profile: profile.map(str::to_owned), role }
    }

    pub(super) async fn provide(&self, now: SystemTime) -> Result<Credentials, Failure> {
        let Some(base) = &self.base else {
            return Err(Failure::Base(CredentialsError::not_loaded(
                "the chain has no source of credentials",
            )));
        };
        let base = base.provide_credentials().await.map_err(Failure::Base)?;
        let base = known_end::apply(base, self.profile.as_deref(), now).await?;
        match &self.role {
            None => Ok(base),
            Some(Role { role, config, region }) => {
                let assumed = role.assume(base, config, region.clone()).await;
                assumed.map_err(|error| Failure::Role(role.to_string(), error))
            }
        }
    }
}

/// Returns the region that the environment or the profile names.
async fn configured_region(profile: Option<&str>) -> Option<Region> {
    let mut file = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile {
        file = file.profile_name(profile);
    }
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(file.build())
        .region()
        .await
}
