//! The state of a server.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::call::{Call, HubId, Report};
use super::deadlines::Deadlines;
use super::entry::{Flow, SocketEntry};
use super::namespace::Namespace;
use super::session::Session;
use crate::slots::{Key, Slots};
use crate::socketio::config::SocketIoConfig;
use crate::socketio::ids::{Secret, SocketId};
use crate::socketio::record::Recipients;
use crate::socketio::stats::SocketIoStats;
use crate::socketio::target::Target;
use crate::{ConnectionId, ConnectionMap, Context, Position};

/// The state of a server. It is borrowed for one call at a time, and never while a handler runs.
pub(in crate::socketio) type SharedHub = Rc<RefCell<Hub>>;

/// Sessions, namespaces, sockets and rooms of a server.
pub(in crate::socketio) struct Hub {
    pub(in crate::socketio) config: SocketIoConfig,
    /// The path of the server, which its topics' names begin with.
    pub(in crate::socketio) path: Rc<str>,
    pub(in crate::socketio) sessions: Slots<Session>,
    pub(in crate::socketio) by_secret: BTreeMap<Secret, Key>,
    /// The sessions of WebSockets, and of connections whose polls wait.
    pub(in crate::socketio) by_connection: ConnectionMap<Key>,
    /// Sessions by polling that had sent no second request when they were opened, the oldest first.
    pub(in crate::socketio) unconfirmed: VecDeque<Key>,
    /// How many of them have still sent none.
    pub(in crate::socketio) unconfirmed_count: usize,
    pub(in crate::socketio) sockets: Slots<SocketEntry>,
    pub(in crate::socketio) by_id: BTreeMap<SocketId, Key>,
    /// The sockets that clients may recover.
    pub(in crate::socketio) away: BTreeMap<Secret, Key>,
    pub(in crate::socketio) namespaces: Slots<Namespace>,
    pub(in crate::socketio) by_name: BTreeMap<Rc<str>, Key>,
    pub(in crate::socketio) deadlines: Deadlines,
    /// What the application's handler is still to learn.
    pub(in crate::socketio) reports: VecDeque<Report>,
    /// Sessions whose handler panicked.
    pub(in crate::socketio) panicked: Vec<Key>,
    /// Sessions whose polls are to be answered.
    pub(in crate::socketio) unflushed: Vec<Key>,
    /// Sockets that have more to recover.
    pub(in crate::socketio) catching_up: Vec<Key>,
    /// Whether these lists are served at the end of a call that goes on, or by an event that is on
    /// its way.
    pub(in crate::socketio) is_served: bool,
    /// Bytes of attachments whose packets are not whole.
    pub(in crate::socketio) partial_bytes: usize,
    pub(in crate::socketio) last_ask: u64,
    /// The memory of texts that are written.
    pub(in crate::socketio) text: String,
    pub(in crate::socketio) stats: SocketIoStats,
}

impl Hub {
    pub(in crate::socketio) fn new(config: SocketIoConfig, path: Rc<str>) -> Self {
        let deadlines = Deadlines::new(HubId::next(), &config);
        Self {
            config,
            path,
            sessions: Slots::new(),
            by_secret: BTreeMap::new(),
            by_connection: ConnectionMap::new(),
            unconfirmed: VecDeque::new(),
            unconfirmed_count: 0,
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
            partial_bytes: 0,
            last_ask: 0,
            text: String::new(),
            stats: SocketIoStats::default(),
        }
    }

    pub(in crate::socketio) const fn id(&self) -> HubId {
        self.deadlines.hub()
    }

    /// Publishes the event that serves what waits, unless it is on its way.
    pub(in crate::socketio) fn call(&mut self, cx: &mut Context<'_>) {
        if !self.is_served {
            // If the queue is full, the next call tries again.
            self.is_served = cx.publish(Call::Settle(self.id())).is_ok();
        }
    }

    /// A call has ended: what it left behind is served by an event.
    pub(in crate::socketio) fn end_call(&mut self, cx: &mut Context<'_>) {
        self.is_served = false;
        if !self.catching_up.is_empty() || !self.reports.is_empty() || !self.unflushed.is_empty() {
            self.call(cx);
        }
    }

    /// Keeps the memory of a text for the next one, unless it is much.
    pub(in crate::socketio) fn keep_text(&mut self, text: String) {
        /// Longer events are rare.
        const TEXT_BYTES_MAX: usize = 64 * 1024;

        if text.capacity() <= TEXT_BYTES_MAX {
            self.text = text;
        }
    }

    /// The session of a WebSocket.
    pub(in crate::socketio) fn session_of(&self, conn: ConnectionId) -> Option<Key> {
        self.by_connection.get(conn).copied()
    }

    /// The WebSocket of a socket, if it gets what is sent as it is sent.
    pub(in crate::socketio) fn live_connection(&self, socket: Key) -> Option<ConnectionId> {
        let entry = self.sockets.get(socket)?;
        matches!(entry.flow, Flow::Live).then(|| self.connection_of(socket)).flatten()
    }

    /// The WebSocket of a socket.
    pub(in crate::socketio) fn connection_of(&self, socket: Key) -> Option<ConnectionId> {
        let session = self.sockets.get(socket)?.session?;
        self.sessions.get(session)?.engine.socket()
    }

    /// The socket of a session in a namespace.
    pub(in crate::socketio) fn socket_of(&self, session: Key, namespace: &str) -> Option<Key> {
        let sockets = &self.sessions.get(session)?.sockets;
        sockets.iter().copied().find(|socket| {
            let namespace_of = |socket| self.namespaces.get(self.sockets.get(socket)?.namespace);
            namespace_of(*socket).is_some_and(|it| *it.name == *namespace)
        })
    }

    /// Whether the application has disconnected a session's client from a namespace.
    pub(in crate::socketio) fn was_disconnected(&self, session: Key, namespace: &str) -> bool {
        let left = self.sessions.get(session).and_then(|session| session.left.as_ref());
        left.is_some_and(|left| left.0.contains(namespace))
    }

    /// The socket of a session in a namespace, by its key.
    pub(in crate::socketio) fn socket_in(&self, session: Key, namespace: Key) -> Option<Key> {
        let sockets = &self.sessions.get(session)?.sockets;
        let is_in =
            |socket: &Key| self.sockets.get(*socket).is_some_and(|it| it.namespace == namespace);
        sockets.iter().copied().find(is_in)
    }

    /// The socket of a namespace that has this id, whose own room it is.
    pub(in crate::socketio) fn named(&self, namespace: Key, id: &str) -> Option<Key> {
        let socket = *self.by_id.get(&id.parse::<SocketId>().ok()?)?;
        let entry = self.sockets.get(socket)?;
        (entry.namespace == namespace && entry.is_connected()).then_some(socket)
    }

    /// The sockets of an audience, each once, in the order of their keys.
    pub(in crate::socketio) fn sockets_of(
        &self,
        cx: &Context<'_>,
        namespace: Key,
        audience: &Target,
    ) -> Vec<Key> {
        let mut sockets = BTreeSet::new();
        if audience.rooms.is_empty() {
            sockets = self.members_of(cx, namespace, None);
        }
        for room in &audience.rooms {
            sockets.append(&mut self.members_of(cx, namespace, Some(room)));
        }
        for room in &audience.except {
            for member in self.members_of(cx, namespace, Some(room)) {
                sockets.remove(&member);
            }
        }
        if let Some(skipped) = audience.skipped {
            sockets.remove(&skipped);
        }
        sockets.into_iter().collect()
    }

    /// The sockets in a room, or in the namespace.
    fn members_of(&self, cx: &Context<'_>, namespace: Key, room: Option<&str>) -> BTreeSet<Key> {
        let own = room.and_then(|room| self.named(namespace, room));
        let mut members: BTreeSet<Key> = own.into_iter().collect();
        let found = self.namespaces.get(namespace).and_then(|namespace| namespace.room(room));
        if let Some(found) = found {
            members.extend(&found.detached);
            let subscribers = found.topic.into_iter().flat_map(|topic| cx.members(topic));
            members.extend(
                subscribers.filter_map(|conn| self.socket_in(self.session_of(conn)?, namespace)),
            );
        }
        members
    }

    /// Whether the event at that position was for a socket.
    pub(in crate::socketio) fn is_for(
        &self,
        (position, recipients): (Position, &Recipients<'_>),
        socket: Key,
    ) -> bool {
        let Some(entry) = self.sockets.get(socket) else {
            return false;
        };
        recipients.include(entry.id, |room| {
            let is_in = entry.rooms.iter().any(|held| **held == *room);
            let changes = entry.claim.as_ref().map(|claim| &claim.changes);
            changes.map_or(is_in, |changes| changes.was_in(room, position, is_in))
                || room.parse() == Ok(entry.id)
        })
    }

    /// Whether something that is sent to a socket leaves at once.
    pub(in crate::socketio) fn is_ready(&self, cx: &mut Context<'_>, socket: Key) -> bool {
        let entry = self.sockets.get(socket).filter(|entry| entry.flow == Flow::Live);
        let session = entry.and_then(|entry| self.sessions.get(entry.session?));
        session.is_some_and(|session| match session.engine.socket() {
            Some(conn) => !cx.connection(conn).has_queued_output(),
            None => session.engine.has_idle_poll(),
        })
    }
}
