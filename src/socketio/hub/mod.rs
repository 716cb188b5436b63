//! The state of a Socket.IO server, without the application's handler.

mod deadlines;
mod emit;
mod namespaces;
mod outputs;
mod recover;
mod rooms;
mod sessions;
mod sockets;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::config::SocketIoConfig;
use super::handler::{AskId, DisconnectReason, NoAnswer};
use super::ids::{Secret, SocketId};
use super::stats::SocketIoStats;
use crate::slots::{Key, Slots};
use crate::{ConnectionId, ConnectionMap, Context};

pub(super) use deadlines::{Deadlines, Due, Kind};
pub(super) use emit::Emission;
use namespaces::Namespace;
pub(super) use outputs::response;
pub(super) use recover::Claim;
use rooms::Room;
use sessions::Session;
pub(super) use sessions::{Opening, Partial};
pub(super) use sockets::{Flow, SocketEntry};

/// The state of a server. It is borrowed for one call at a time, and never while a handler runs.
pub(super) type SharedHub = Rc<RefCell<Hub>>;

/// Sessions, namespaces, sockets and rooms of a server.
pub(super) struct Hub {
    pub(super) config: SocketIoConfig,
    /// The path of the server, which its topics' names begin with.
    pub(super) path: Rc<str>,
    pub(super) sessions: Slots<Session>,
    pub(super) by_secret: BTreeMap<Secret, Key>,
    /// The sessions of WebSockets, and of connections whose polls wait.
    pub(super) by_connection: ConnectionMap<Key>,
    /// Sessions by polling that have sent no second request, the oldest first, and others.
    pub(super) unconfirmed: VecDeque<Key>,
    pub(super) sockets: Slots<SocketEntry>,
    pub(super) by_id: BTreeMap<SocketId, Key>,
    /// The sockets that clients may recover.
    pub(super) away: BTreeMap<Secret, Key>,
    pub(super) namespaces: Slots<Namespace>,
    pub(super) by_name: BTreeMap<Rc<str>, Key>,
    pub(super) deadlines: Deadlines,
    /// What the application's handler is still to learn.
    pub(super) reports: VecDeque<Report>,
    /// Sessions whose handler panicked.
    pub(super) panicked: Vec<Key>,
    /// Sessions whose polls are to be answered.
    pub(super) unflushed: Vec<Key>,
    /// Sockets that have more to recover.
    pub(super) catching_up: Vec<Key>,
    /// Whether these lists are served at the end of a call that goes on, or by an event that is on
    /// its way.
    pub(super) is_served: bool,
    pub(super) last_ask: u64,
    /// The memory of texts that are written.
    pub(super) text: String,
    pub(super) stats: SocketIoStats,
}

/// Something that the application's handler is to learn.
#[derive(Debug)]
pub(super) enum Report {
    Disconnected(Key, DisconnectReason),
    Unanswered(Key, AskId, NoAnswer),
    /// The handler has learned that a socket ended, and what becomes of the socket is to be decided.
    Decided(Key),
}

/// An event that brings a server back: for its deadlines, and for what handlers elsewhere did.
#[derive(Debug)]
pub(super) enum Call {
    /// Something is due.
    Due(HubId),
    /// Reports wait, or polls are to be answered.
    Settle(HubId),
    /// A question has not been answered in time.
    AskExpired(HubId, Key, AskId),
}

/// Names a server of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HubId(u64);

impl HubId {
    pub(super) fn next() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Call {
    pub(super) const fn hub(&self) -> HubId {
        match self {
            Self::Due(hub) | Self::Settle(hub) | Self::AskExpired(hub, ..) => *hub,
        }
    }
}

impl Hub {
    pub(super) fn new(config: SocketIoConfig, path: Rc<str>) -> Self {
        let deadlines = Deadlines::new(HubId::next(), &config);
        Self {
            config,
            path,
            sessions: Slots::new(),
            by_secret: BTreeMap::new(),
            by_connection: ConnectionMap::new(),
            unconfirmed: VecDeque::new(),
            sockets: Slots::new(),
            by_id: BTreeMap::new(),
            away: BTreeMap::new(),
            namespaces: Slots::new(),
            by_name: BTreeMap::new(),
            deadlines,
            reports: VecDeque::new(),
            panicked: Vec::new(),
            unflushed: Vec::new(),
            catching_up: Vec::new(),
            is_served: false,
            last_ask: 0,
            text: String::new(),
            stats: SocketIoStats::default(),
        }
    }

    pub(super) const fn id(&self) -> HubId {
        self.deadlines.hub()
    }

    /// Publishes the event that serves what waits, unless it is on its way.
    pub(super) fn call(&mut self, cx: &mut Context<'_>) {
        if !self.is_served {
            // If the queue is full, the next call tries again.
            self.is_served = cx.publish(Call::Settle(self.id())).is_ok();
        }
    }

    /// Publishes that event if a call has left something to be served.
    pub(super) fn call_for_rest(&mut self, cx: &mut Context<'_>) {
        if !self.catching_up.is_empty() || !self.reports.is_empty() || !self.unflushed.is_empty() {
            self.call(cx);
        }
    }

    /// The session of a WebSocket.
    pub(super) fn session_of(&self, conn: ConnectionId) -> Option<Key> {
        self.by_connection.get(conn).copied()
    }
}
