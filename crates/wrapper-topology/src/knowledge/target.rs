//! The target of a query.

use std::sync::Arc;

/// The target of a connect: the configured endpoint, or one instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Endpoint,
    Instance { id: Arc<str>, host: Arc<str>, port: u16 },
}

impl Target {
    pub(crate) fn id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Endpoint => None,
            Self::Instance { id, .. } => Some(id),
        }
    }
}
