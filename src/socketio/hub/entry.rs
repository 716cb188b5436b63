//! A client in a namespace.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::changes::Changes;
use crate::slots::Key;
use crate::socketio::ids::{Secret, SocketId};
use crate::socketio::reason::DisconnectReason;
use crate::{Position, TimerId};

/// A client in a namespace.
#[derive(Debug)]
pub(in crate::socketio) struct SocketEntry {
    pub(in crate::socketio) id: SocketId,
    pub(in crate::socketio) namespace: Key,
    /// Its session, while it is connected.
    pub(in crate::socketio) session: Option<Key>,
    pub(in crate::socketio) flow: Flow,
    pub(in crate::socketio) rooms: Vec<Rc<str>>,
    /// What lets its client recover it. `None` if it cannot.
    pub(in crate::socketio) claim: Option<Box<Claim>>,
    /// The questions that are open, with the timers of their ends. `None` before the first.
    pub(in crate::socketio) asks: Option<Box<Asks>>,
    /// What the client sent to be let in.
    pub(in crate::socketio) auth: Option<Rc<str>>,
    pub(in crate::socketio) is_recovered: bool,
}

/// Questions that are open, by their numbers, with the timers of their ends.
#[derive(Debug, Default)]
pub(in crate::socketio) struct Asks(pub(in crate::socketio) BTreeMap<u64, TimerId>);

/// What lets a client recover its socket.
#[derive(Debug)]
pub(in crate::socketio) struct Claim {
    pub(in crate::socketio) secret: Secret,
    /// The position of the newest event when the socket joined.
    pub(in crate::socketio) since: Position,
    /// The rooms that it has entered and left since then.
    pub(in crate::socketio) changes: Changes,
    /// Tells the deadline of one absence from those of others.
    pub(in crate::socketio) times_away: u32,
}

/// What a socket gets of the events that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socketio) enum Flow {
    /// All, as they are sent.
    Live,
    /// First those that it missed, from this offset on.
    CatchingUp(u64),
    /// None, because it was disconnected: the handler is to learn that.
    Ended(DisconnectReason),
    /// None, but it may be recovered.
    Away,
}

impl SocketEntry {
    pub(in crate::socketio) const fn is_connected(&self) -> bool {
        matches!(self.flow, Flow::Live | Flow::CatchingUp(_))
    }

    /// Whether its client gets what is sent now, or will get it if it recovers.
    pub(in crate::socketio) const fn may_hear(&self) -> bool {
        match self.flow {
            Flow::Ended(reason) => reason.is_recoverable() && self.claim.is_some(),
            Flow::Live | Flow::CatchingUp(_) | Flow::Away => true,
        }
    }
}
