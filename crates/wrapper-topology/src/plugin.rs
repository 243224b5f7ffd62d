//! The plugins `initialConnection` and `failover2`.

use wrapper_core::{
    BoxFuture, ConnectRequest, Established, Next, Opening, Plugin, Result, Session, adapter::Suspicion,
};

use crate::{Topology, router::Router, task};

/// Routes each connect to an instance of the role that its endpoint stands for, and verifies the
/// role there.
///
/// It runs no task: its knowledge comes from connects.
#[derive(Debug)]
pub struct InitialConnectionPlugin(pub(crate) Router);

/// Does what `initialConnection` does, and searches for a new writer in the background.
///
/// It runs one task per [`Topology`], shared by its connectors: it starts at the first connect and
/// ends with the last connector.
#[derive(Debug)]
pub struct FailoverPlugin(pub(crate) Router);

impl InitialConnectionPlugin {
    /// The code of the plugin in the parameter `plugins`.
    pub const CODE: &str = "initialConnection";

    /// Returns the topology of the plugin.
    pub fn topology(&self) -> &Topology {
        self.0.topology()
    }
}

impl FailoverPlugin {
    /// The code of the plugin in the parameter `plugins`.
    pub const CODE: &str = "failover2";

    /// Returns the topology of the plugin.
    pub fn topology(&self) -> &Topology {
        self.0.topology()
    }
}

impl<C: Send + 'static> Plugin<C> for InitialConnectionPlugin {
    fn code(&self) -> &str {
        Self::CODE
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        // `failover2` implies this plugin: if both are named, that one does the work.
        if request.has_plugin(FailoverPlugin::CODE) {
            self.0.warn_of_separate_topology();
            return next.run(request);
        }
        Box::pin(self.0.connect(request, next))
    }

    fn verify<'a>(
        &'a self,
        request: &'a ConnectRequest,
        session: &'a mut dyn Session,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.0.verify(request, session))
    }

    fn is_outdated(&self, established: &Established) -> bool {
        self.topology().is_outdated(established)
    }

    fn leads_to_roles(&self) -> bool {
        self.0.leads_any()
    }

    fn suspect(&self, _: Suspicion) {
        self.0.suspect();
    }
}

impl<C: Send + 'static> Plugin<C> for FailoverPlugin {
    fn code(&self) -> &str {
        Self::CODE
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        if self.0.leads(&request) {
            task::ensure(self.topology(), next, &request);
        }
        Box::pin(self.0.connect(request, next))
    }

    fn verify<'a>(
        &'a self,
        request: &'a ConnectRequest,
        session: &'a mut dyn Session,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.0.verify(request, session))
    }

    fn is_outdated(&self, established: &Established) -> bool {
        self.topology().is_outdated(established)
    }

    fn leads_to_roles(&self) -> bool {
        self.0.leads_any()
    }

    fn suspect(&self, _: Suspicion) {
        self.0.suspect();
    }
}
