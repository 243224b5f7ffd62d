#![doc = include_str!("../README.md")]

mod abort;
mod chain;
mod connected;
mod dial;
mod driver;
mod error;
mod failures;
mod hosts;
#[cfg(feature = "test-util")]
mod mock;
mod parameters;
mod plugin;
mod progress;
mod registry;
mod request;
mod resolver;
mod secret;
mod text;
mod tls;

pub use abort::{AbortHandle, AbortRegistration};
pub use chain::{Next, Wrapper, needs};
pub use connected::{Connected, Established, Role};
pub use dial::{Dialer, shuffle};
pub use driver::{BoxFuture, Driver};
pub use error::{CredentialsFailure, Error, ErrorKind, Result, ServerError};
pub use failures::Failures;
pub use hosts::{Hosts, read_roots};
#[cfg(feature = "test-util")]
pub use mock::MockDriver;
pub use parameters::{
    Cut, Parameter, ParameterKind, Parameters, Settings, Value, WRAPPER_PARAMETERS, cut_key_value, cut_url,
};
pub use plugin::{Needs, Opening, Plugin, PluginFn, plugin_fn};
pub use progress::{Phase, Progress};
pub use registry::{BuildContext, Factory, Registry};
pub use request::{ConnectRequest, ServerName};
pub use resolver::{Resolver, ResolverFn, SystemResolver, resolver_fn};
pub use secret::{Password, Transport};
pub use text::{legible, nearest, percent_decoded, percent_encoded, printable};
pub use tls::{Bundle, Roots, TlsFailure, TlsMode, explain_tls_failure};
