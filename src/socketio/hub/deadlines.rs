//! What is due when: heartbeats, and the ends of what takes too long.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::call::{Call, HubId};
use crate::slots::Key;
use crate::socketio::config::SocketIoConfig;
use crate::{Context, TimerId};

/// The deadlines of a server. Each kind has one duration, so those of a kind are due in the order
/// in which they began, and one timer of the loop serves all.
///
/// A deadline that is no longer wanted stays until it is due. Its number tells it from later ones.
#[derive(Debug)]
pub(in crate::socketio) struct Deadlines {
    hub: HubId,
    queues: [Queue; KINDS],
    timer: Option<(TimerId, Instant)>,
}

/// How many kinds there are.
const KINDS: usize = 6;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socketio) enum Kind {
    /// The next ping of a session.
    Ping,
    /// The pong of a session.
    Pong,
    /// The end of an upgrade.
    Upgrade,
    /// The first namespace of a session.
    Connect,
    /// The last poll of a session that is closing.
    Close,
    /// The time in which a socket may be recovered.
    Away,
}

#[derive(Debug)]
struct Queue {
    wait: Duration,
    due: VecDeque<(Instant, Due)>,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socketio) struct Due {
    pub(in crate::socketio) kind: Kind,
    /// The session, or the socket that is away.
    pub(in crate::socketio) key: Key,
    /// Tells it from later deadlines of the kind.
    pub(in crate::socketio) number: u32,
}

impl Deadlines {
    pub(in crate::socketio) fn new(hub: HubId, config: &SocketIoConfig) -> Self {
        let settings = &config.settings;
        let away = config.recovery.map_or(Duration::ZERO, |recovery| recovery.window());
        let queue = |wait| Queue { wait, due: VecDeque::new() };
        // In the order of the kinds.
        let queues = [
            settings.ping_interval,
            settings.ping_timeout,
            config.upgrade_timeout,
            config.connect_timeout,
            config.close_timeout,
            away,
        ];
        Self { hub, queues: queues.map(queue), timer: None }
    }

    pub(in crate::socketio) const fn hub(&self) -> HubId {
        self.hub
    }

    /// Begins a deadline.
    pub(in crate::socketio) fn begin(&mut self, cx: &mut Context<'_>, due: Due) {
        let queue = &mut self.queues[due.kind as usize];
        // A wait beyond the clock's range never ends.
        let Some(at) = cx.now().checked_add(queue.wait) else {
            return;
        };
        queue.due.push_back((at, due));
        if queue.due.len() == 1 || self.timer.is_none() {
            self.arm(cx);
        }
    }

    /// Forgets the earliest deadlines of a kind, up to one that is wanted.
    pub(in crate::socketio) fn forget(&mut self, kind: Kind, is_wanted: impl Fn(&Due) -> bool) {
        let queue = &mut self.queues[kind as usize].due;
        while queue.front().is_some_and(|(_, due)| !is_wanted(due)) {
            queue.pop_front();
        }
    }

    /// Takes the earliest deadline of a kind, whether it has come or not.
    pub(in crate::socketio) fn take_first(&mut self, kind: Kind) -> Option<Due> {
        self.queues[kind as usize].due.pop_front().map(|(_, due)| due)
    }

    /// The next deadline that has come.
    pub(in crate::socketio) fn next(&mut self, now: Instant) -> Option<Due> {
        let has_come = |queue: &&mut Queue| queue.due.front().is_some_and(|(at, _)| *at <= now);
        let queue = self.queues.iter_mut().find(has_come)?;
        queue.due.pop_front().map(|(_, due)| due)
    }

    /// The timer has expired.
    pub(in crate::socketio) fn note_expired(&mut self) {
        self.timer = None;
    }

    /// Sets the timer for the earliest deadline.
    pub(in crate::socketio) fn arm(&mut self, cx: &mut Context<'_>) {
        let fronts = self.queues.iter().filter_map(|queue| queue.due.front());
        let Some(earliest) = fronts.map(|(at, _)| *at).min() else {
            return;
        };
        if let Some((timer, at)) = self.timer {
            if at <= earliest {
                return;
            }
            cx.cancel_timer(timer);
        }
        let wait = earliest.saturating_duration_since(cx.now());
        // A loop that has no timer left tries again with the next deadline.
        let timer = cx.set_timer(wait, Call::Due(self.hub)).ok();
        self.timer = timer.map(|timer| (timer, earliest));
    }
}
