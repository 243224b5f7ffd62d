//! TLS by the platform's library.

use native_tls::Certificate;
use wrapper_core::{Result, Roots};

/// Whether what the driver calls its built-in roots are the platform's.
pub(super) const HAS_PLATFORM_ROOTS: bool = true;

/// None: the library finds the platform's roots by itself.
pub(super) fn platform_roots() -> Vec<Vec<u8>> {
    Vec::new()
}

/// Makes sure that every bundle can be read: the driver takes one that it cannot read for an empty one.
pub(super) fn check(roots: &Roots) -> Result<()> {
    for bundle in roots.bundles() {
        Certificate::stack_from_pem(bundle.pem().as_bytes()).map_err(|error| bundle.bad(error))?;
    }
    Ok(())
}
