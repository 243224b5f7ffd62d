//! What the recipes share: a request that gets its region last.

use std::time::{Duration, SystemTime};

use crate::{AuthToken, Error, ErrorKind, Presign, PresignBuilder, Signer};

/// How long RDS, ElastiCache, MemoryDB and MSK accept a token, and DSQL's default.
pub(crate) const FIFTEEN_MINUTES: Duration = Duration::from_secs(900);

/// A request and its rendered form, or what that form still lacks.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    builder: PresignBuilder,
    presign: Result<Presign, Error>,
}

impl Recipe {
    /// Checks everything but the region, which is still to come.
    pub(crate) fn new(builder: PresignBuilder) -> Result<Self, Error> {
        match builder.build() {
            Err(error) if error.kind() != ErrorKind::MissingRegion => Err(error),
            presign => Ok(Self { builder, presign }),
        }
    }

    /// Changes the request; [`sign_with`](Self::sign_with) reports what became wrong.
    pub(crate) fn map(self, change: impl FnOnce(PresignBuilder) -> PresignBuilder) -> Self {
        let builder = change(self.builder);
        let presign = builder.build();
        Self { builder, presign }
    }

    pub(crate) fn sign_with(&self, signer: &Signer, now: SystemTime) -> Result<AuthToken, Error> {
        match &self.presign {
            Ok(presign) => presign.sign_with(signer, now),
            Err(error) => Err(error.clone()),
        }
    }
}

pub(crate) fn check_user(user: &str) -> Result<(), Error> {
    if user.is_empty() {
        return Err(Error::new(ErrorKind::InvalidUser, "user is empty: give the name to log in with"));
    }
    Ok(())
}
