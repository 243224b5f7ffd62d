//! Tokens for MSK, the managed Kafka.

use std::time::SystemTime;

use aws_credential_types::Credentials;

use crate::{
    AuthToken, Error, Presign, Signer,
    recipe::FIFTEEN_MINUTES,
    region::{self, dns_suffix},
};

/// The recipe of the OAuth bearer token for an MSK cluster with IAM access control (SASL/OAUTHBEARER).
///
/// It is for a whole region, not for one cluster; what it may do is the policy's matter. Kafka clients want its end in
/// milliseconds: [`AuthToken::expires_at_millis`]. Source: the signers of
/// <https://docs.aws.amazon.com/msk/latest/developerguide/configure-clients-for-iam-access-control.html>.
#[derive(Clone, Debug)]
pub struct MskToken {
    region: String,
    host: Option<String>,
    user_agent: String,
}

impl MskToken {
    /// Creates the recipe.
    pub fn new() -> Self {
        let user_agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned();
        Self { region: String::new(), host: None, user_agent }
    }

    /// Sets what the brokers log as the client, unsigned. Default: this crate's name and version.
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        user_agent.clone_into(&mut self.user_agent);
        self
    }

    /// Sets the host to sign for. Default: `kafka.REGION.` and the suffix of the region's partition.
    ///
    /// The Python and Go signers of AWS write `amazonaws.com` in every partition.
    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Sets the region to sign for: the region of the cluster, not of the client. There is no default.
    pub fn region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    fn presign(&self) -> Result<Presign, Error> {
        region::check(&self.region)?;
        let regional = || format!("kafka.{}.{}", self.region, dns_suffix(&self.region));
        Presign::https(&self.host.clone().unwrap_or_else(regional))
            .query("Action", "kafka-cluster:Connect")
            .unsigned_query("User-Agent", &self.user_agent)
            .service("kafka-cluster")
            .region(&self.region)
            .lifetime(FIFTEEN_MINUTES)
            .build()
    }

    /// Signs a token at `now`, cut to its second. A [`Signer`] makes many tokens cheaper.
    ///
    /// # Errors
    ///
    /// As [`sign_with`](Self::sign_with).
    pub fn sign(&self, credentials: &Credentials, now: SystemTime) -> Result<AuthToken, Error> {
        self.sign_with(&Signer::new(credentials.clone()), now)
    }

    /// Signs a token at `now`, cut to its second, with the signer's kept key.
    ///
    /// # Errors
    ///
    /// `MissingRegion`, `InvalidRegion`, `InvalidHost`, `InvalidCredentials`, `ExpiredCredentials` or `InvalidTime` of
    /// [`ErrorKind`](crate::ErrorKind).
    pub fn sign_with(&self, signer: &Signer, now: SystemTime) -> Result<AuthToken, Error> {
        Ok(self.presign()?.sign_with(signer, now)?.into_base64url(""))
    }
}

impl Default for MskToken {
    fn default() -> Self {
        Self::new()
    }
}
