//! The description of a token that is not signed yet.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;

use crate::{AuthToken, Error, ErrorKind, Presign, PresignBuilder, region};

/// Describes a token: the result of [`rds`](crate::rds()) and its siblings.
///
/// Invalid values are reported by [`sign`](Self::sign) and [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "a recipe does nothing until it is signed or built"]
pub struct Recipe {
    request: Result<PresignBuilder, Error>,
    /// Set where the signed host contains the region, so that a second region would contradict it.
    host_region: Option<String>,
}

impl Recipe {
    pub(crate) fn new(request: Result<PresignBuilder, Error>) -> Self {
        Self { request, host_region: None }
    }

    /// Creates the recipe of a service that has one host per region.
    pub(crate) fn in_region(
        region: &str,
        request: impl FnOnce(&str) -> Result<PresignBuilder, Error>,
    ) -> Self {
        match region::parse(region) {
            Ok(region) => Self {
                request: request(&region).map(|request| request.region(&region)),
                host_region: Some(region),
            },
            Err(error) => Self::new(Err(error)),
        }
    }

    /// Sets the region to sign for: the region of the endpoint, not of the client. There is no
    /// default.
    ///
    /// Blanks around it are trimmed and upper case is lowered. The recipes of [`msk`](crate::msk())
    /// and [`eks`](crate::eks()) have their region already, and a second one is an error.
    pub fn region(mut self, region: &str) -> Self {
        self.request = match &self.host_region {
            Some(host_region) => self.request.and(Err(second_region(host_region))),
            None => self.request.map(|request| request.region(region)),
        };
        self
    }

    /// Sets how long the token can open connections, in whole seconds from 1 to the most that the
    /// service takes.
    ///
    /// Default: 15 minutes, which is the most everywhere but at DSQL, which takes 7 days; 60
    /// seconds for EKS.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.request = self.request.map(|request| request.lifetime(lifetime));
        self
    }

    /// Signs one token at `now`, cut to its second.
    ///
    /// Many tokens are cheaper with a [`Signer`](crate::Signer) and a request that is
    /// [built](Self::build) once.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build) and [`Presign::sign`].
    pub fn sign(&self, credentials: &Credentials, now: SystemTime) -> Result<AuthToken, Error> {
        self.build()?.sign(credentials, now)
    }

    /// Checks the recipe and renders everything that does not change between two tokens.
    ///
    /// # Errors
    ///
    /// `InvalidHost`, `InvalidPort`, `InvalidCache`, `InvalidCluster`, `InvalidUser`,
    /// `MissingRegion`, `InvalidRegion` or `InvalidLifetime` of [`ErrorKind`], each for the part of
    /// that name.
    pub fn build(&self) -> Result<Presign, Error> {
        self.request.as_ref().map_err(Error::clone)?.build()
    }
}

fn second_region(region: &str) -> Error {
    let message = format!("the host is in region {region} already: leave the second region out");
    Error::new(ErrorKind::InvalidRegion, message)
}
