//! When something is due for a connection.

use std::time::Duration;

use crate::net::limits::OutboxLimits;
use crate::net::lists::Lists;
use crate::net::socket::Socket;
use crate::slots::Key;
use crate::time::Time;
use crate::timers::{DeadlineWheel, Tick};

/// How much more time a peer gets that missed a deadline while its input is not read to the end.
const GRACE_DURATION: Duration = Duration::from_millis(100);

/// How often in a row it gets that: in all long enough to read what a socket holds, and not for
/// ever if the peer never stops sending.
const GRACES_MAX: u8 = 50;

/// The deadlines of all connections: at most one of each is in force.
#[derive(Debug)]
pub(crate) struct Deadlines {
    wheel: DeadlineWheel,
}

impl Deadlines {
    pub(super) fn new(now: Time) -> Self {
        Self { wheel: DeadlineWheel::new(now) }
    }

    /// Ensures that the connection comes up at its next deadline.
    pub(super) fn arm(&mut self, conn: Key, socket: &mut Socket, limits: &OutboxLimits) {
        if let Some(deadline) = socket.deadline(limits) {
            self.arm_at(conn, socket, deadline);
        }
    }

    fn arm_at(&mut self, conn: Key, socket: &mut Socket, deadline: Time) {
        socket.armed = self.wheel.arm(conn, deadline, socket.armed);
    }

    pub(crate) fn next(&mut self) -> Option<Time> {
        self.wheel.next()
    }

    /// Whether deadlines may have come by that moment.
    #[inline]
    pub(crate) fn is_due(&self, by: Time) -> bool {
        self.wheel.is_due(by)
    }

    /// How many entries are looked at in a turn.
    pub(super) const fn budget() -> usize {
        DeadlineWheel::budget()
    }

    /// The next entry whose time has come by that moment. It is obsolete if the connection has a
    /// newer one.
    pub(super) fn expire(&mut self, by: Time) -> Option<(Key, Tick)> {
        self.wheel.expire(by)
    }

    /// Gives a peer more time that has missed its deadline, but sent more than its share of the
    /// turns since: what it sent in time may be behind that. Whether it gets it.
    pub(super) fn spare(&mut self, conn: Key, socket: &mut Socket, by: Time) -> bool {
        let graces = socket.rare.graces();
        let is_being_read = socket.lists.contains(Lists::TO_READ);
        let is_spared = is_being_read && graces < GRACES_MAX && socket.is_late(by);
        socket.rare.set_graces(if is_spared { graces + 1 } else { 0 });
        if is_spared {
            self.arm_at(conn, socket, by + GRACE_DURATION);
        }
        is_spared
    }
}
