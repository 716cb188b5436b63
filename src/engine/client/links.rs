//! Links: clients that connect again, and when.

use crate::engine::connection_map::ConnectionMap;
use crate::engine::ids::{ConnectionId, EndpointId, LinkId};
use crate::slots::Slots;
use crate::time::Time;
use crate::timers::TimerHeap;

/// Every link of a loop.
#[derive(Debug)]
pub(crate) struct Links {
    slots: Slots<Link>,
    /// The links of connections. May name links that are gone.
    by_connection: ConnectionMap<LinkId>,
    /// When links try again. May name links that are gone.
    timers: TimerHeap<LinkId>,
    /// No link tries again before this moment.
    next_due: Time,
    /// How many links wait to try again.
    pub(crate) waiting: usize,
    /// How often links tried again.
    pub(crate) attempts: u64,
    /// How many of these attempts opened a connection.
    pub(crate) reconnected: u64,
}

/// A client that connects again: the sequence of its connections.
///
/// ```text
///              the connection has ended, or could not be made
///  Connected ─────────────────────────────────────────────────► Waiting
///      ▲                                                         ▲ │
///      │                     there is no room for a connection   │ │
///      └────────────── Retrying ─────────────────────────────────┘ │
///                         ▲              the delay is over         │
///                         └────────────────────────────────────────┘
/// ```
///
/// It begins with its first connection. It is removed when it is stopped, or not to try again.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) endpoint: EndpointId,
    pub(crate) url: Box<str>,
    /// How many connections in a row did not hold.
    pub(crate) failures: u32,
    state: LinkState,
}

#[derive(Clone, Copy, Debug)]
enum LinkState {
    /// It has this connection, which is open since a moment or being made.
    Connected { conn: ConnectionId, opened: Option<Time> },
    /// It tries again at this moment.
    Waiting { until: Time },
    /// It tries again now.
    Retrying,
}

impl Links {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Slots::new(),
            by_connection: ConnectionMap::new(),
            timers: TimerHeap::new(),
            next_due: Time::NEVER,
            waiting: 0,
            attempts: 0,
            reconnected: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// No link tries again before this moment.
    #[inline]
    pub(crate) const fn next_due(&self) -> Time {
        self.next_due
    }

    /// Adds a link with its first connection.
    pub(crate) fn add(&mut self, endpoint: EndpointId, url: &str, conn: ConnectionId) {
        let state = LinkState::Connected { conn, opened: None };
        let link = Link { endpoint, url: url.into(), failures: 0, state };
        let id = LinkId(self.slots.insert(link));
        self.by_connection.insert(conn, id);
    }

    /// Removes a link. A connection that it has stays.
    pub(crate) fn remove(&mut self, id: LinkId) -> Option<Link> {
        let link = self.slots.remove(id.0)?;
        if matches!(link.state, LinkState::Waiting { .. }) {
            self.waiting -= 1;
            let slots = &self.slots;
            self.timers.count_cancelled(|id| slots.get(id.0).is_some());
        }
        Some(link)
    }

    pub(crate) fn get(&self, id: LinkId) -> Option<&Link> {
        self.slots.get(id.0)
    }

    /// The link of a connection.
    pub(crate) fn of(&self, conn: ConnectionId) -> Option<LinkId> {
        self.by_connection.get(conn).copied().filter(|id| self.get(*id).is_some())
    }

    /// The connection that a link has.
    pub(crate) fn connection(&self, id: LinkId) -> Option<ConnectionId> {
        match self.get(id)?.state {
            LinkState::Connected { conn, .. } => Some(conn),
            LinkState::Waiting { .. } | LinkState::Retrying => None,
        }
    }

    /// When the link of a connection that has ended tries again.
    pub(crate) fn retry_at(&self, conn: ConnectionId) -> Option<Time> {
        match self.get(self.of(conn)?)?.state {
            LinkState::Connected { .. } | LinkState::Retrying => None,
            LinkState::Waiting { until } => Some(until),
        }
    }

    /// Notes that a link's connection is open.
    pub(crate) fn note_open(&mut self, conn: ConnectionId, now: Time) {
        let id = self.of(conn);
        if let Some(link) = id.and_then(|id| self.slots.get_mut(id.0)) {
            link.state = LinkState::Connected { conn, opened: Some(now) };
            self.reconnected += u64::from(link.failures > 0);
        }
    }

    /// How long the link's connection has been open.
    pub(crate) fn open_for(&self, id: LinkId, now: Time) -> Option<std::time::Duration> {
        match self.get(id)?.state {
            LinkState::Connected { opened, .. } => opened.map(|opened| now.since(opened)),
            LinkState::Waiting { .. } | LinkState::Retrying => None,
        }
    }

    /// The link tries again at `until`, after that many failures in a row.
    pub(crate) fn wait(&mut self, id: LinkId, failures: u32, until: Time) {
        let Some(link) = self.slots.get_mut(id.0) else {
            return;
        };
        link.failures = failures;
        link.state = LinkState::Waiting { until };
        self.waiting += 1;
        self.timers.set(until, id);
        self.next_due = self.next_due.min(until);
    }

    /// The next link that is to try again. It is then to be given a connection, to wait again, or
    /// to be removed.
    pub(crate) fn next_retry(&mut self, now: Time) -> Option<LinkId> {
        while let Some(entry) = self.timers.expire(now) {
            if let Some(link) = self.slots.get_mut(entry.key.0) {
                link.state = LinkState::Retrying;
                self.waiting -= 1;
                self.attempts += 1;
                return Some(entry.key);
            }
            self.timers.count_dropped();
        }
        let slots = &self.slots;
        self.next_due = self.timers.next(|id| slots.get(id.0).is_some()).unwrap_or(Time::NEVER);
        None
    }

    /// A link that tried again has this connection.
    pub(crate) fn reconnect(&mut self, id: LinkId, conn: ConnectionId) {
        if let Some(link) = self.slots.get_mut(id.0) {
            link.state = LinkState::Connected { conn, opened: None };
            self.by_connection.insert(conn, id);
        }
    }

    /// Forgets a connection that is gone.
    pub(crate) fn forget(&mut self, conn: ConnectionId) {
        self.by_connection.remove(conn);
    }
}
