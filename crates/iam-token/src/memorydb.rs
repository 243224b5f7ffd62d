//! Tokens for MemoryDB.

use std::time::SystemTime;

use aws_credential_types::Credentials;

use crate::{
    AuthToken, Error, Presign, Signer,
    recipe::{FIFTEEN_MINUTES, Recipe, check_user},
};

/// The recipe of the password for a MemoryDB user.
///
/// Source: <https://docs.aws.amazon.com/memorydb/latest/devguide/auth-iam.html>.
#[derive(Clone, Debug)]
pub struct MemoryDbToken {
    recipe: Recipe,
}

impl MemoryDbToken {
    /// Creates the recipe for `user` at the cluster named `cluster`, which is lower-cased.
    ///
    /// The name is the cluster's own, not the address of its endpoint.
    ///
    /// # Errors
    ///
    /// [`InvalidHost`](crate::ErrorKind::InvalidHost) for what no host name can be,
    /// [`InvalidUser`](crate::ErrorKind::InvalidUser) for an empty user.
    pub fn new(cluster: &str, user: &str) -> Result<Self, Error> {
        check_user(user)?;
        let request = Presign::http(cluster)
            .without_scheme()
            .query("Action", "connect")
            .query("User", user)
            .service("memorydb")
            .lifetime(FIFTEEN_MINUTES);
        Ok(Self { recipe: Recipe::new(request)? })
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
    /// `MissingRegion`, `InvalidRegion`, `InvalidCredentials`, `ExpiredCredentials` or `InvalidTime` of
    /// [`ErrorKind`](crate::ErrorKind).
    pub fn sign_with(&self, signer: &Signer, now: SystemTime) -> Result<AuthToken, Error> {
        self.recipe.sign_with(signer, now)
    }
}
