//! The source of a pool's passwords.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

#[cfg(feature = "secrets")]
use wrapper_core::Error;
use wrapper_core::{ConnectRequest, Events, Result};
use wrapper_iam::{
    Clock, IamSettings, IamToken, IamTokenProvider, Listening, TokenRequest, connect_error,
    tell_of_credentials,
};
#[cfg(feature = "secrets")]
use wrapper_secrets::{DatabaseSecret, ListenerGuard, SecretProvider};

use crate::engine::{DriverOptions, Engine};

/// The age at which a token is replaced: its remaining ten minutes bridge an outage of the source
/// of credentials.
const RENEW_AFTER: Duration = Duration::from_secs(5 * 60);

/// The source of the passwords of a pool.
#[derive(Debug)]
pub(crate) enum PasswordSource {
    #[cfg(feature = "secrets")]
    Secret { secrets: SecretProvider, server: ConnectRequest, _listeners: Option<ListenerGuard> },
    Tokens {
        tokens: IamTokenProvider,
        iam: Box<IamSettings>,
        target: TokenRequest,
        max_age: Duration,
        _listening: Option<[Listening; 2]>,
    },
}

/// The credentials that a pool logs in with.
#[derive(Clone)]
pub(crate) enum Login {
    #[cfg(feature = "secrets")]
    Secret {
        secret: DatabaseSecret,
        renew_after: Duration,
    },
    Token(IamToken),
}

impl PasswordSource {
    /// Creates a source of a secret's user and password, and notifies these listeners of its loads.
    #[cfg(feature = "secrets")]
    pub(crate) fn secret(secrets: SecretProvider, server: &ConnectRequest, events: &Events) -> Self {
        let _listeners = secrets.add_listeners(events);
        Self::Secret { secrets, server: server.clone(), _listeners }
    }

    /// Creates a source of tokens, and notifies these listeners of loaded credentials.
    pub(crate) fn tokens(
        tokens: IamTokenProvider,
        iam: IamSettings,
        target: TokenRequest,
        events: &Events,
    ) -> Self {
        // The pool cannot ask for a token when it connects, so that its token has to stay young.
        let max_age = iam.token_expiration().min(RENEW_AFTER);
        let _listening = tell_of_credentials(&tokens, events);
        Self::Tokens { tokens, iam: Box::new(iam), target, max_age, _listening }
    }

    /// Returns the credentials for the instance that the pool connects to.
    pub(crate) async fn login(&self, instance: Option<&ConnectRequest>) -> Result<Login> {
        match self {
            #[cfg(feature = "secrets")]
            Self::Secret { secrets, server, .. } => {
                let secret = secrets.secret().await?;
                secrets.check_user(server.user(), &secret)?;
                Ok(Login::Secret { secret, renew_after: secrets.renew_after() })
            }
            Self::Tokens { tokens, iam, target, max_age, .. } => {
                // A token is signed for one host, so that another instance needs another one.
                let elsewhere = instance.map(|instance| iam.target(instance)).transpose()?;
                let token = tokens.token_within(elsewhere.as_ref().unwrap_or(target), *max_age).await;
                token.map(Login::Token).map_err(|error| connect_error(&error))
            }
        }
    }

    /// Adds the facts about the secret to a refused login.
    #[cfg(feature = "secrets")]
    pub(crate) fn refused_secret(
        &self,
        refused: Error,
        secret: &DatabaseSecret,
        request: &ConnectRequest,
    ) -> Error {
        match self {
            Self::Secret { secrets, .. } if refused.is_login() => secrets.explain(&refused, secret, request),
            _ => refused,
        }
    }

    /// Returns the host that is connected to, for events.
    pub(crate) fn host(&self) -> &str {
        match self {
            #[cfg(feature = "secrets")]
            Self::Secret { server, .. } => server.host(),
            Self::Tokens { target, .. } => target.host(),
        }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        match self {
            #[cfg(feature = "secrets")]
            Self::Secret { secrets, .. } => secrets.clock(),
            Self::Tokens { tokens, .. } => tokens.clock(),
        }
    }
}

impl Login {
    /// Returns whether it has the same user and password as another.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            #[cfg(feature = "secrets")]
            (Self::Secret { secret, .. }, Self::Secret { secret: other, .. }) => {
                // By content: a secret that is reloaded is mostly unchanged.
                (secret.user(), secret.expose_password()) == (other.user(), other.expose_password())
            }
            (Self::Token(token), Self::Token(other)) => token.expose() == other.expose(),
            #[cfg(feature = "secrets")]
            _ => false,
        }
    }

    pub(crate) fn set<D: Engine>(&self, options: DriverOptions<D>) -> DriverOptions<D> {
        match self {
            #[cfg(feature = "secrets")]
            Self::Secret { secret, .. } => D::with_user(options, secret.user(), secret.expose_password()),
            Self::Token(token) => D::with_password(options, token.expose()),
        }
    }

    /// Returns the password, to blank it out of texts.
    pub(crate) fn password(&self) -> &str {
        match self {
            #[cfg(feature = "secrets")]
            Self::Secret { secret, .. } => secret.expose_password(),
            Self::Token(token) => token.expose(),
        }
    }

    /// Returns the request with the user that logs in.
    pub(crate) fn request<'a>(&self, configured: &'a ConnectRequest) -> Cow<'a, ConnectRequest> {
        match self {
            #[cfg(feature = "secrets")]
            Self::Secret { secret, .. } => match configured.clone().with_user(secret.user()) {
                Ok(request) => Cow::Owned(request),
                // For messages only: where a request refuses the user, they name the configured
                // one.
                Err(_) => Cow::Borrowed(configured),
            },
            Self::Token(_) => Cow::Borrowed(configured),
        }
    }

    pub(crate) fn issued_at(&self) -> SystemTime {
        match self {
            #[cfg(feature = "secrets")]
            Self::Secret { secret, .. } => secret.loaded_at(),
            Self::Token(token) => token.signed_at(),
        }
    }

    /// Returns the expiry; a secret does not expire and is reloaded then.
    pub(crate) fn expires_at(&self) -> SystemTime {
        match self {
            #[cfg(feature = "secrets")]
            Self::Secret { secret, renew_after } => secret.loaded_at() + *renew_after,
            Self::Token(token) => token.expires_at(),
        }
    }
}
