//! Tokens for RDS and Aurora, and for RDS Proxy.

use std::time::SystemTime;

use aws_credential_types::Credentials;

use crate::{
    AuthToken, Error, Presign, Signer,
    recipe::{FIFTEEN_MINUTES, Recipe, check_user},
};

/// The recipe of the password for an RDS or Aurora database user, or for an RDS Proxy.
///
/// The token is for one host, port and user and works for 15 minutes; a connection that is open by then stays open.
/// Source: <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html>.
///
/// The port is signed whatever it is, 443 and 80 included, as the JavaScript signer does.
#[derive(Clone, Debug)]
pub struct RdsToken {
    recipe: Recipe,
}

impl RdsToken {
    /// Creates the recipe for `user` at the endpoint `host` and `port`.
    ///
    /// The host is the endpoint's own name, not an alias or a tunnel's address: it is lower-cased and loses one
    /// trailing dot. The user is taken as plain text, whatever characters it has.
    ///
    /// # Errors
    ///
    /// [`InvalidHost`](crate::ErrorKind::InvalidHost) for anything but a bare name or IP address,
    /// [`InvalidPort`](crate::ErrorKind::InvalidPort) for port 0,
    /// [`InvalidUser`](crate::ErrorKind::InvalidUser) for an empty user.
    pub fn new(host: &str, port: u16, user: &str) -> Result<Self, Error> {
        check_user(user)?;
        let request = Presign::https(host)
            .without_scheme()
            .port(port)
            .query("Action", "connect")
            .query("DBUser", user)
            .service("rds-db")
            .lifetime(FIFTEEN_MINUTES);
        Ok(Self { recipe: Recipe::new(request)? })
    }

    /// Sets the region to sign for: the region of the database, not of the client. There is no default.
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
