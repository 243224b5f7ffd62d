#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use wrapper_adapter::{ClientCertificate, LastError};
pub use wrapper_core::{
    Cause, Error, ErrorKind, Event, Registry, Result, Role, Value, adapter::Suspicion, events, stats,
    stats::Stats,
};
pub use wrapper_iam::{IamFactory, IamTokenProvider};
#[cfg(feature = "secrets")]
pub use wrapper_secrets::{SecretProvider, SecretsFactory};
#[cfg(feature = "topology")]
pub use wrapper_topology::Topology;

/// The adapter for mysql_async.
#[cfg(any(feature = "mysql", feature = "mysql-rustls"))]
pub use wrapper_mysql as mysql;

/// The adapter for tokio-postgres.
#[cfg(feature = "postgres")]
pub use wrapper_pg as pg;

/// Types for authors of driver adapters, in addition to those of [`plugin`].
pub mod adapter {
    pub use wrapper_adapter::*;
    pub use wrapper_core::text::*;
}

/// Names of endpoints, and how they are resolved.
pub mod host {
    pub use host_pattern::{Endpoint, EndpointKind, InstancePattern, Partition, Region};
    pub use wrapper_adapter::{Resolver, SystemResolver, resolver_fn};
}

/// The plugin `iam` and its tokens.
pub mod iam {
    pub use iam_token::AuthToken;
    #[cfg(feature = "test-util")]
    pub use wrapper_iam::ManualClock;
    pub use wrapper_iam::{
        AfterRefusal, Clock, CredentialsSource, IAM_PARAMETERS, IamFactory, IamPlugin, IamSettings, IamToken,
        IamTokenProvider, IamTokenProviderBuilder, Stats, SystemClock, TokenRequest,
    };
    #[cfg(feature = "default-chain")]
    pub use wrapper_iam::{AssumeRole, DefaultChain, DefaultChainBuilder};
}

/// Types for authors of plugins; see the [guide](mod@guide::plugins).
pub mod plugin {
    pub use wrapper_core::{
        AbortHandle, Background, BoxFuture, BuildContext, ConnectRequest, Connected, Engine, Established,
        Events, Factory, Next, Opener, Opening, Options, Parameter, ParameterKind, ParameterValue, Password,
        Plugin, Requirements, ServerError, ServerName, Session, adapter::Phase, plugin_fn,
    };
}

#[cfg(feature = "topology")]
/// The plugins `initialConnection` and `failover2`, and the topology of a cluster.
pub mod topology {
    pub use wrapper_topology::{
        Dialect, FAILOVER_PARAMETERS, FailoverFactory, FailoverPlugin, INITIAL_CONNECTION_PARAMETERS,
        InitialConnectionFactory, InitialConnectionPlugin, Instance, Snapshot, Topology, TopologyBuilder,
        TopologyStats,
    };
}

/// Returns every built-in plugin, for connections of whichever driver.
///
/// The `iam` plugin takes credentials from the AWS default chain; for credentials of your own
/// replace it: `plugins().with(IamFactory::new(tokens))`. With the feature `secrets` there is
/// `awsSecretsManager` too, and `plugins().with(SecretsFactory::new(secrets))` shares a secret.
pub fn plugins<C: Send + 'static>() -> Registry<C> {
    let registry = Registry::new().with(IamFactory::default());
    #[cfg(feature = "secrets")]
    let registry = registry.with(SecretsFactory::default());
    #[cfg(feature = "topology")]
    let registry = registry
        .with(topology::InitialConnectionFactory::default())
        .with(topology::FailoverFactory::default());
    registry
}

#[cfg(feature = "secrets")]
#[doc = include_str!("../SECRETS.md")]
pub mod secrets {
    pub use wrapper_secrets::{
        AfterRefusal, DatabaseSecret, SECRETS_PARAMETERS, SecretProvider, SecretProviderBuilder, SecretStats,
        SecretsFactory, SecretsPlugin,
    };
}

#[cfg(all(feature = "postgres", feature = "topology"))]
#[doc = include_str!("../FAILOVER.md")]
pub mod failover {}

#[doc = include_str!("../TROUBLESHOOTING.md")]
pub mod troubleshooting {}

/// Guides, by task.
///
/// - [`getting_started`](guide::getting_started), [the side of AWS](guide::aws)
/// - [`parameters`](guide::parameters), [custom domains, addresses and tunnels](guide::network),
///   [the CA bundle](guide::ca_bundle)
/// - [`pools`](guide::pools), [`deployments`](guide::deployments), [several
///   accounts](guide::accounts), [`capacity`](guide::capacity), [`metrics`](guide::metrics)
/// - [`testing`](guide::testing), [`plugins`](mod@guide::plugins), [`security`](guide::security)
/// - [`migration`](guide::migration)
pub mod guide;
