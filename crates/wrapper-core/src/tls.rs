//! What the driver adapters share about TLS: the roots to trust, and words for a handshake that failed.

mod failure;
mod mode;
mod roots;

pub use failure::{TlsFailure, explain_tls_failure};
pub use mode::TlsMode;
pub use roots::{Bundle, Roots};
