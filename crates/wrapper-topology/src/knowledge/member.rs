//! One instance of a cluster.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use wrapper_core::Role;

use super::Target;

/// What is known of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    /// Whether it answered as a member; else it was only listed by one.
    pub(crate) is_verified: bool,
    pub(crate) said: Option<Word>,
    /// When it could not be asked, how often in a row.
    silent: Option<(Instant, u32)>,
    /// When its own name led nowhere.
    unreachable: Option<Instant>,
    pub(crate) cpu: Option<f32>,
    pub(crate) lag: Option<Duration>,
}

/// What an instance said of itself, and when it was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    /// `None`: its two answers disagree.
    pub(crate) role: Option<Role>,
    pub(crate) asked: Instant,
    pub(crate) answered: Instant,
}

impl Member {
    pub(super) fn verified(id: Arc<str>, host: Arc<str>, port: u16) -> Self {
        Self { is_verified: true, ..Self::listed(id, host, port) }
    }

    pub(super) fn listed(id: Arc<str>, host: Arc<str>, port: u16) -> Self {
        let (said, silent, unreachable) = (None, None, None);
        Self { id, host, port, is_verified: false, said, silent, unreachable, cpu: None, lag: None }
    }

    pub(crate) fn is(&self, id: &str) -> bool {
        self.id.eq_ignore_ascii_case(id)
    }

    /// Returns whether nothing failed since it was heard last: a dead connection's word is void.
    pub(crate) fn is_answering(&self) -> bool {
        self.silent.is_none()
    }

    /// Returns how often in a row it could not be asked.
    pub(super) fn silences(&self) -> u32 {
        self.silent.map_or(0, |(_, count)| count)
    }

    /// Returns the role that it gave itself, for as long as it answers.
    pub(crate) fn role(&self) -> Option<Role> {
        self.said.filter(|_| self.is_answering()).and_then(|word| word.role)
    }

    /// Returns where to reach it: by its name, or by the endpoint if its name leads nowhere and it
    /// answered there.
    pub(crate) fn target(&self) -> Target {
        match self.is_behind_endpoint() {
            true => Target::Endpoint,
            false => self.dialled(),
        }
    }

    /// Returns whether its name leads nowhere, though it answered at the endpoint.
    pub(crate) fn is_behind_endpoint(&self) -> bool {
        self.unreachable.is_some() && self.is_answering()
    }

    pub(crate) fn dialled(&self) -> Target {
        Target::Instance { id: Arc::clone(&self.id), host: Arc::clone(&self.host), port: self.port }
    }

    /// Notes a word; false if a newer one is known.
    pub(super) fn speak(
        &mut self,
        role: Option<Role>,
        asked: Instant,
        answered: Instant,
        is_dialled: bool,
    ) -> bool {
        if self.said.is_some_and(|said| asked <= said.asked) {
            return false;
        }
        self.said = Some(Word { role, asked, answered });
        self.silent.take_if(|(at, _)| *at <= answered);
        if is_dialled || self.unreachable.is_some_and(|at| answered - at > super::BY_ENDPOINT) {
            self.unreachable = None;
        }
        true
    }

    /// Notes that it could not be asked; false if it was heard after the question.
    pub(super) fn fall_silent(&mut self, asked: Instant, now: Instant) -> bool {
        if self.said.is_some_and(|said| said.answered > asked) {
            return false;
        }
        let count = self.silences() + 1;
        self.silent = Some((now, count));
        self.unreachable = Some(now);
        true
    }
}
