//! Calls Secrets Manager.

use std::fmt;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_secretsmanager::{
    Client,
    config::{BehaviorVersion, Builder, IdentityCache, Region},
    error::SdkError,
    operation::get_secret_value::{GetSecretValueError, GetSecretValueOutput},
};
use iam_token_provider::{AfterRefusal, CredentialsSource};
use wrapper_core::{Error, Result};
use zeroize::Zeroizing;

use crate::{
    secret::{Content, Properties, wrong},
    secret_id::SecretId,
    service_error,
};

/// The secret, and how it is read.
pub(crate) struct Service {
    pub(crate) id: SecretId,
    pub(crate) properties: Properties,
    pub(crate) endpoint: Option<String>,
    #[cfg_attr(
        not(feature = "default-chain"),
        expect(dead_code, reason = "profiles are read where the default chain is")
    )]
    pub(crate) profile: Option<String>,
    pub(crate) credentials: CredentialsSource,
}

impl Service {
    /// Reads the current version of the secret.
    ///
    /// If the service refuses the access key, the credentials are loaded again where that is due,
    /// and the call is repeated with another key.
    pub(crate) async fn read(&self) -> Result<Content> {
        self.credentials.suggest_region(self.id.region().as_str());
        // Noted before the call: only the key that was refused may cause a reload.
        let key = self.credentials.provide_credentials().await;
        let key = key.map_err(|error| service_error::credentials(&error))?.access_key_id().to_owned();
        let client = self.client().await;
        let mut answer = self.ask(&client).await;
        if answer.as_ref().is_err_and(service_error::is_of_key)
            && let AfterRefusal::NewKey = self.credentials.after_refusal(&key).await
        {
            // The same client: it has no identity cache, so it signs with the new key.
            answer = self.ask(&client).await;
        }
        let answer = answer.map_err(|error| service_error::of(&self.id, error))?;
        self.content(answer)
    }

    async fn ask(
        &self,
        client: &Client,
    ) -> std::result::Result<GetSecretValueOutput, SdkError<GetSecretValueError>> {
        client.get_secret_value().secret_id(self.id.as_str()).send().await
    }

    fn content(&self, answer: GetSecretValueOutput) -> Result<Content> {
        let version = answer.version_id.unwrap_or_default();
        let Some(text) = answer.secret_string.map(Zeroizing::new) else {
            return Err(wrong(format!(
                "secret {} is binary: store user and password as text, a JSON object",
                self.id
            )));
        };
        Content::read(&text, &version, &self.properties, &self.id)
    }

    /// Creates a client for one load. Loads are rare, and a kept client would hold connections of a
    /// runtime that may have ended.
    async fn client(&self) -> Client {
        let mut config = self.base().await;
        // The source renews the credentials; a cache in between would only serve stale ones.
        config.set_identity_cache(IdentityCache::no_cache());
        config.set_credentials_provider(Some(SharedCredentialsProvider::new(self.credentials.clone())));
        config.set_region(Some(self.region()));
        if self.endpoint.is_some() {
            config.set_endpoint_url(self.endpoint.clone());
        }
        Client::from_conf(config.build())
    }

    fn region(&self) -> Region {
        Region::new(self.id.region().as_str().to_owned())
    }

    /// Reads endpoints, FIPS, dual stack and retries from the environment and the profile.
    #[cfg(feature = "default-chain")]
    async fn base(&self) -> Builder {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(self.region())
            .credentials_provider(self.credentials.clone());
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        Builder::from(&loader.load().await)
    }

    #[cfg(not(feature = "default-chain"))]
    async fn base(&self) -> Builder {
        Builder::new().behavior_version(BehaviorVersion::latest())
    }

    /// Returns the error of a load that failed without an answer of the service.
    pub(crate) fn fetch_error(&self, error: token_cache::FetchError<Error>) -> Error {
        service_error::of_fetch(&self.id, error)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("id", &self.id)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
