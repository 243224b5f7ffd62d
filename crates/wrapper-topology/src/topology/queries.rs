//! The queries of a topology on a connection.

use std::sync::Arc;

use wrapper_core::{Engine, Result, Session};

use super::{Kind, Topology};
use crate::{
    Dialect,
    answer::{self, Answer},
};

impl Topology {
    /// Returns the dialect of this cluster, detected on the first connection; `None` if there is no
    /// cluster.
    pub(crate) async fn dialect(&self, session: &mut dyn Session) -> Result<Option<Dialect>> {
        // The guard lives until the end of this match; it must not be held across the await below.
        match &self.state().kind {
            Kind::Known(dialect) => return Ok(Some(dialect.clone())),
            Kind::None => return Ok(None),
            Kind::Unknown => {}
        }
        let mut missing = None;
        let found = answer::detect(session, &mut missing).await?;
        let mut state = self.state();
        state.missing_grants = missing.filter(|_| found.is_none());
        // Concurrent connects may both detect; the first result stays.
        if matches!(state.kind, Kind::Unknown) {
            state.kind = found.clone().map_or(Kind::None, Kind::Known);
            match &found {
                Some(dialect) => tracing::debug!(deployment = dialect.name(), "topology found"),
                None => tracing::warn!(
                    "the server does not belong to a known kind of cluster: connects go to the configured \
                     host"
                ),
            }
        }
        Ok(found)
    }

    pub(crate) fn known_dialect(&self, engine: Engine) -> Dialect {
        match &self.state().kind {
            Kind::Known(dialect) if dialect.engine() == engine => dialect.clone(),
            _ => Dialect::single(engine),
        }
    }

    /// Returns whether the server rejects writes, without a round trip if the server reported it.
    pub(crate) async fn is_read_only(&self, session: &mut dyn Session) -> Result<bool> {
        // PostgreSQL 14 and later report this parameter at the login and when it changes.
        let reported = session.parameter("in_hot_standby").map(|reported| reported == "on");
        if let Some(reported) = self.0.standby.trusted(reported) {
            return Ok(reported);
        }
        let dialect = self.known_dialect(session.engine());
        let is_read_only = answer::is_read_only(session, &dialect).await?;
        self.0.standby.compare(reported, is_read_only);
        Ok(is_read_only)
    }

    /// Runs all queries on a connection; `None` if its server belongs to no cluster.
    pub(crate) async fn ask(
        &self,
        session: &mut dyn Session,
        dialled: Option<&Arc<str>>,
    ) -> Result<Option<Answer>> {
        let dialect = match self.is_fixed() {
            true => Dialect::single(session.engine()),
            false => match self.dialect(session).await? {
                Some(dialect) => dialect,
                None => return Ok(None),
            },
        };
        // A promotion before the query answers ends the trust for good, which costs round trips
        // only.
        let reported = session.parameter("in_hot_standby").map(|reported| reported == "on");
        let answer = answer::ask(session, &dialect, dialled).await?;
        self.0.standby.compare(reported, answer.is_read_only);
        Ok(Some(answer))
    }
}
