#![doc = include_str!("../README.md")]

mod abort;
mod answers;
mod chain;
mod connected;
mod diagnosis;
mod dial;
mod driver;
mod engine;
mod error;
mod event;
mod failures;
mod hosts;
mod last_error;
#[cfg(feature = "test-util")]
mod mock;
mod opener;
mod pace;
mod parameters;
mod plugin;
mod pool_rules;
mod progress;
mod registry;
mod report;
mod request;
mod resolver;
mod runtime;
mod secret;
mod session;
mod stranger;
mod suspicion;
mod text;
mod tls;

pub use abort::{AbortHandle, AbortRegistration};
pub use answers::{AnswerRow, LoginAnswer, MYSQL_ANSWERS, POSTGRES_ANSWERS};
pub use chain::{Next, Wrapper, needs};
pub use connected::{Connected, Established, Role};
pub use diagnosis::{Cause, PASSWORD_IN_CLEAR, PASSWORD_MISSING, PASSWORD_REFUSED};
pub use dial::{Dialer, shuffle};
pub use driver::{BoxFuture, Driver};
pub use engine::Engine;
pub use error::{CredentialsFailure, Error, ErrorKind, Result, ServerError};
pub use event::{ConnectFinished, CredentialsFailed, CredentialsLoaded, Event, Events, Outcome};
pub use failures::Failures;
pub use hosts::{Hosts, check_host, read_roots, user_with_colon};
pub use last_error::LastError;
#[cfg(feature = "test-util")]
pub use mock::MockDriver;
pub use opener::{Background, Opener};
pub use parameters::{
    ConnectionText, Cut, Parameter, ParameterKind, Parameters, Settings, StringForm, UrlParts, UserInfoEnd,
    Value, WRAPPER_PARAMETERS, cut_key_value, cut_url, flat_entries,
};
pub use plugin::{Needs, Opening, Plugin, PluginFn, plugin_fn};
pub use pool_rules::PoolRules;
pub use progress::{Phase, Progress};
pub use registry::{BuildContext, DriverNames, Factory, Registry};
pub use request::{ConnectRequest, ServerName, bracketed};
pub use resolver::{Resolver, ResolverFn, SystemResolver, resolver_fn};
pub use runtime::{in_runtime, lacking_runtime};
pub use secret::{Password, Transport};
pub use session::{Rows, Session};
pub use stranger::stranger;
pub use suspicion::Suspicion;
pub use text::{is_name, legible, nearest, percent_decoded, percent_encoded, printable};
pub use tls::{Bundle, ClientCertificate, Roots, TlsFailure, TlsMode, Trust, Trusted, explain_tls_failure};
