//! Tokens for EKS, the managed Kubernetes.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;

use crate::{
    AuthToken, Error, ErrorKind, Presign, Signer,
    region::{self, dns_suffix, shown},
};

const LIFETIME: Duration = Duration::from_secs(60);

/// The recipe of the bearer token for the API server of an EKS cluster.
///
/// The token is a request to STS that the API server sends in the caller's name. It is signed for 60 seconds, as
/// `aws eks get-token` does, and that is what [`AuthToken::expires_at`] says; the cluster is known to take it for about
/// 15 minutes. Source: <https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster>.
#[derive(Clone, Debug)]
pub struct EksToken {
    cluster: String,
    region: String,
}

impl EksToken {
    /// Creates the recipe for the cluster of that name, or of that id with local clusters on Outposts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidCluster`] for a name that is empty or has other than visible ASCII characters.
    pub fn new(cluster: &str) -> Result<Self, Error> {
        if cluster.is_empty() || !cluster.bytes().all(|b| b.is_ascii_graphic()) {
            let message =
                format!("cluster {} is empty or malformed: give the name of the cluster", shown(cluster));
            return Err(Error::new(ErrorKind::InvalidCluster, message));
        }
        Ok(Self { cluster: cluster.to_owned(), region: String::new() })
    }

    /// Sets the region to sign for: the region of the cluster, not of the client. There is no default.
    pub fn region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    fn presign(&self) -> Result<Presign, Error> {
        region::check(&self.region)?;
        Presign::https(&format!("sts.{}.{}", self.region, dns_suffix(&self.region)))
            .query("Action", "GetCallerIdentity")
            .query("Version", "2011-06-15")
            .header("x-k8s-aws-id", &self.cluster)
            .service("sts")
            .region(&self.region)
            .lifetime(LIFETIME)
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
    /// `MissingRegion`, `InvalidRegion`, `InvalidCredentials`, `ExpiredCredentials` or `InvalidTime` of
    /// [`ErrorKind`].
    pub fn sign_with(&self, signer: &Signer, now: SystemTime) -> Result<AuthToken, Error> {
        Ok(self.presign()?.sign_with(signer, now)?.into_base64url("k8s-aws-v1."))
    }
}
