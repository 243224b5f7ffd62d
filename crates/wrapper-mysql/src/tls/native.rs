//! TLS by the platform's library.

use native_tls::Certificate;
use wrapper_core::{Result, Roots};

/// Makes sure that every bundle can be read: the driver takes one that it cannot read for an empty one.
pub(super) fn check(roots: &Roots) -> Result<()> {
    for bundle in roots.bundles() {
        Certificate::stack_from_pem(bundle.pem().as_bytes()).map_err(|error| bundle.bad(error))?;
    }
    Ok(())
}
