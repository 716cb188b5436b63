//! The input that is being handled: whose it is, and how much of it may still be handled.

use crate::net::reading::Replies;
use crate::proto::WorkBudget;
use crate::slots::Key;

/// The input that is being handled.
#[derive(Debug)]
pub(crate) struct Input {
    /// The connection that it came from, or `Key::NONE`.
    conn: Key,
    /// Nothing more of it may be handled now: the connection was paused, or its replies are much.
    is_halted: bool,
    /// How much more of it may be handled in this turn.
    share: WorkBudget,
    /// The next message exceeds a rate limit, and is not handed over.
    refuses_messages: bool,
    pub(super) replies: Replies,
}

impl Input {
    pub(super) const fn new() -> Self {
        Self {
            conn: Key::NONE,
            is_halted: false,
            share: WorkBudget::UNLIMITED,
            refuses_messages: false,
            replies: Replies::NONE,
        }
    }

    /// Begins with the input of a connection, of which `share` may be handled.
    #[inline]
    pub(super) const fn begin(&mut self, conn: Key, share: WorkBudget) {
        self.conn = conn;
        self.is_halted = false;
        self.share = share;
        self.refuses_messages = false;
    }

    /// Ends it; whether it was halted.
    #[inline]
    pub(super) const fn end(&mut self) -> bool {
        let is_halted = self.is_halted;
        self.conn = Key::NONE;
        self.is_halted = false;
        is_halted
    }

    /// The connection whose input is being handled, or `Key::NONE`.
    #[inline]
    pub(super) const fn conn(&self) -> Key {
        self.conn
    }

    /// Halts the connection's input, or goes on with it, if it is being handled.
    pub(super) fn set_halted(&mut self, conn: Key, is_halted: bool) {
        if self.conn == conn {
            self.is_halted = is_halted;
        }
    }

    #[inline]
    pub(crate) const fn is_halted(&self) -> bool {
        self.is_halted
    }

    /// What is left of the share.
    #[inline]
    pub(crate) const fn share(&self) -> WorkBudget {
        self.share
    }

    pub(super) const fn set_share(&mut self, share: WorkBudget) {
        self.share = share;
    }

    /// Lets at most that many messages be handed over. With none, the next one exceeds a rate
    /// limit.
    pub(crate) fn limit_messages(&mut self, count: usize) {
        self.refuses_messages = count == 0;
        if count > 0 {
            self.share.limit_frames(count);
        }
    }

    #[inline]
    pub(crate) const fn refuses_messages(&self) -> bool {
        self.refuses_messages
    }

    /// How many messages may be handed over.
    #[inline]
    pub(crate) const fn messages_left(&self) -> usize {
        if self.refuses_messages { 0 } else { self.share.frames() }
    }

    /// Counts messages that were handed over.
    #[inline]
    pub(crate) const fn take_messages(&mut self, count: usize) {
        self.share.take_frames(count);
    }
}
