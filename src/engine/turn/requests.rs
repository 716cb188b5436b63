//! What handlers asked for and the loop does at the end of the turn.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::engine::http::pending::Given;
use crate::slots::Key;
use crate::topics::{Position, ResumeRequest};

/// Requests that wait for the end of the turn.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// Whether there is any. Every turn looks at this.
    is_pending: bool,
    /// Room for another connection is wanted.
    wants_room: bool,
    dials: VecDeque<Dial>,
    answers: VecDeque<Given>,
    resumes: VecDeque<Resume>,
    /// Slots of endpoints that nothing uses any more.
    unused_endpoints: Vec<usize>,
}

/// A subscription to be resumed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resume {
    pub(crate) request: ResumeRequest,
    /// The position of the last message that the client has.
    pub(crate) behind: Position,
}

/// A connection to be dialled.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) conn: Key,
    pub(crate) to: Destination,
}

/// Where a connection leads.
#[derive(Debug)]
pub(crate) enum Destination {
    /// A host to look up, and a port.
    Host(String, u16),
    /// Addresses, in the order in which to try them.
    Addresses(Vec<SocketAddr>),
    /// A Unix socket.
    Path(PathBuf),
}

impl Requests {
    #[inline]
    pub(crate) const fn is_pending(&self) -> bool {
        self.is_pending
    }

    pub(crate) fn dial(&mut self, dial: Dial) {
        self.is_pending = true;
        self.dials.push_back(dial);
    }

    pub(crate) fn next_dial(&mut self) -> Option<Dial> {
        self.dials.pop_front()
    }

    /// Sends an answer to a request that awaited it.
    pub(crate) fn give(&mut self, answer: Given) {
        self.is_pending = true;
        self.answers.push_back(answer);
    }

    pub(crate) fn next_answer(&mut self) -> Option<Given> {
        self.answers.pop_front()
    }

    /// Resumes a subscription.
    pub(crate) fn resume(&mut self, resume: Resume) {
        self.is_pending = true;
        self.resumes.push_back(resume);
    }

    /// How many subscriptions are to be resumed.
    #[inline]
    pub(crate) fn resumes(&self) -> usize {
        self.resumes.len()
    }

    pub(crate) fn next_resume(&mut self) -> Option<Resume> {
        self.resumes.pop_front()
    }

    pub(crate) const fn make_room(&mut self) {
        self.is_pending = true;
        self.wants_room = true;
    }

    /// Whether room was wanted since the last call.
    pub(crate) const fn take_wanted_room(&mut self) -> bool {
        std::mem::replace(&mut self.wants_room, false)
    }

    pub(crate) fn free_endpoint(&mut self, slot: usize) {
        self.is_pending = true;
        self.unused_endpoints.push(slot);
    }

    pub(crate) fn next_unused_endpoint(&mut self) -> Option<usize> {
        self.unused_endpoints.pop()
    }

    /// All requests were served. Answers and subscriptions may be left: these take the
    /// application's state.
    pub(crate) fn finish(&mut self) {
        debug_assert!(self.dials.is_empty() && self.unused_endpoints.is_empty());
        self.is_pending = !self.answers.is_empty() || !self.resumes.is_empty();
    }
}
