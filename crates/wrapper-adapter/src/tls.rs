//! TLS for all driver adapters: the roots to trust, and errors for failed handshakes.

mod client_certificate;
mod failure;
mod mode;
mod path;
mod roots;
mod trust;
#[cfg(feature = "rustls")]
mod with_rustls;

pub use client_certificate::ClientCertificate;
pub use failure::{TlsFailure, explain_tls_failure};
pub use mode::TlsMode;
pub use roots::{Bundle, Roots};
pub use trust::{Trust, Trusted};
