//! Tokens for Aurora DSQL.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;

use crate::{
    AuthToken, Error, Presign, Signer,
    recipe::{FIFTEEN_MINUTES, Recipe},
};

/// The recipe of the password for an Aurora DSQL cluster.
///
/// The token names no user: the action says whether the `admin` role logs in or another.
/// Source: <https://docs.aws.amazon.com/aurora-dsql/latest/userguide/SECTION_authentication-token.html>.
#[derive(Clone, Debug)]
pub struct DsqlToken {
    recipe: Recipe,
}

impl DsqlToken {
    /// Creates the recipe for a custom database role (`DbConnect`).
    ///
    /// # Errors
    ///
    /// [`InvalidHost`](crate::ErrorKind::InvalidHost) for anything but a bare name or IP address.
    pub fn connect(host: &str) -> Result<Self, Error> {
        Self::new(host, "DbConnect")
    }

    /// Creates the recipe for the `admin` role (`DbConnectAdmin`).
    ///
    /// # Errors
    ///
    /// [`InvalidHost`](crate::ErrorKind::InvalidHost) for anything but a bare name or IP address.
    pub fn connect_admin(host: &str) -> Result<Self, Error> {
        Self::new(host, "DbConnectAdmin")
    }

    fn new(host: &str, action: &str) -> Result<Self, Error> {
        let request = Presign::https(host)
            .without_scheme()
            .query("Action", action)
            .service("dsql")
            .lifetime(FIFTEEN_MINUTES);
        Ok(Self { recipe: Recipe::new(request)? })
    }

    /// Sets how long the token can open connections: whole seconds, 1 second to 7 days. Default: 15 minutes.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { recipe: self.recipe.map(|request| request.lifetime(lifetime)) }
    }

    /// Sets the region to sign for: the region of the cluster, not of the client. There is no default.
    pub fn region(self, region: &str) -> Self {
        Self { recipe: self.recipe.map(|request| request.region(region)) }
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
    /// `MissingRegion`, `InvalidRegion`, `InvalidLifetime`, `InvalidCredentials`, `ExpiredCredentials` or `InvalidTime` of
    /// [`ErrorKind`](crate::ErrorKind).
    pub fn sign_with(&self, signer: &Signer, now: SystemTime) -> Result<AuthToken, Error> {
        self.recipe.sign_with(signer, now)
    }
}
