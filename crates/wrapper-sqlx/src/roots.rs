//! The roots to trust, as sqlx takes them.

use wrapper_adapter::Roots;
use wrapper_core::Result;

/// Puts all bundles together, once each of their certificates has been read.
pub(crate) fn pem(roots: &Roots) -> Result<Vec<u8>> {
    roots.certificates()?;
    let mut pem = Vec::new();
    for bundle in roots.bundles() {
        pem.extend_from_slice(bundle.pem());
        pem.push(b'\n');
    }
    Ok(pem)
}
