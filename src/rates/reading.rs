//! How much a connection may be read.

use super::entry::Left;
use super::registry::Rates;
use super::scope::{Exceeded, LimitKind, LimitScope};
use crate::slots::Key;
use crate::time::Time;

/// How much a connection may receive now. If nothing is left of one kind, whatever arrives of it
/// exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Whose messages and bytes are the fewest.
    messages_of: LimitScope,
    bytes_of: LimitScope,
}

/// Whether a connection is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Read(Allowance),
    /// Not before that time; `None`: not until its limits change.
    Pause(Option<Time>),
    /// It has exceeded a limit and is closed.
    Close(Exceeded),
}

impl Allowance {
    pub(crate) const UNLIMITED: Self = Self {
        messages: u64::MAX,
        bytes: u64::MAX,
        messages_of: LimitScope::Address,
        bytes_of: LimitScope::Address,
    };

    /// The limit that another message or byte exceeds.
    pub(crate) const fn exceeded_by(&self, kind: LimitKind) -> Exceeded {
        let scope = match kind {
            LimitKind::Messages => self.messages_of,
            _ => self.bytes_of,
        };
        Exceeded { scope, kind }
    }

    fn restrict(&mut self, scope: LimitScope, messages: u64, bytes: u64) {
        if messages < self.messages {
            (self.messages, self.messages_of) = (messages, scope);
        }
        if bytes < self.bytes {
            (self.bytes, self.bytes_of) = (bytes, scope);
        }
    }
}

impl Rates {
    /// Whether an open connection is read from, and how much. `has_messages`: it is a WebSocket.
    pub(crate) fn judge(&mut self, conn: Key, has_messages: bool, now: Time) -> Verdict {
        let (mut allowance, mut pause) = (Allowance::UNLIMITED, None);
        for index in 0.. {
            let Some((scope, entry)) = self.entry_of(conn, index) else {
                break;
            };
            match entry.left(has_messages, now) {
                Left::Some { messages, bytes } => allowance.restrict(scope, messages, bytes),
                Left::Exceeded(kind) => return Verdict::Close(Exceeded { scope, kind }),
                Left::Wait(until) => pause = Some(latest(pause, until)),
            }
        }
        pause.map_or(Verdict::Read(allowance), Verdict::Pause)
    }

    /// Takes what has arrived on a connection.
    pub(crate) fn charge(&mut self, conn: Key, messages: u64, bytes: u64, now: Time) {
        for index in 0.. {
            let Some((_, entry)) = self.entry_of(conn, index) else {
                return;
            };
            entry.charge(messages, bytes, now);
        }
    }

    /// Whether what an open connection receives is limited.
    pub(crate) fn limits_input(&mut self, conn: Key) -> bool {
        (0..).map_while(|index| Some(self.entry_of(conn, index)?.1.limits_input())).any(|it| it)
    }
}

/// The later end of two pauses.
fn latest(pause: Option<Option<Time>>, until: Option<Time>) -> Option<Time> {
    match pause {
        None => until,
        Some(other) => Some(other?.max(until?)),
    }
}
