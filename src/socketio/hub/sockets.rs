//! Sockets: clients in namespaces, from joining to leaving.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::{Call, Due, Emission, Hub, Kind as DueKind, Report};
use crate::slots::Key;
use crate::socketio::handler::{AskId, DisconnectReason, NoAnswer};
use crate::socketio::ids::{Secret, SocketId};
use crate::socketio::packet::{Kind, Packet};
use crate::{Context, Position, TimerId};

/// A client in a namespace.
#[derive(Debug)]
pub(in super::super) struct SocketEntry {
    pub(in super::super) id: SocketId,
    pub(in super::super) namespace: Key,
    /// Its session, while it is connected.
    pub(in super::super) session: Option<Key>,
    pub(in super::super) flow: Flow,
    pub(in super::super) rooms: Vec<Rc<str>>,
    /// The last changes of its rooms, in order, if it may be recovered.
    pub(super) changes: Vec<RoomChange>,
    /// Before this position it is not certain which rooms it was in.
    pub(super) certain_from: Position,
    /// What lets its client recover it.
    pub(in super::super) secret: Option<Secret>,
    /// The position of the newest event when it joined.
    pub(in super::super) since: Position,
    /// The questions that are open, with the timers of their ends.
    pub(in super::super) asks: BTreeMap<u64, TimerId>,
    /// What the client sent to be let in.
    pub(in super::super) auth: Option<Rc<str>>,
    pub(in super::super) is_recovered: bool,
    /// Tells the deadline of one absence from those of others.
    pub(super) times_away: u32,
}

/// What a socket gets of the events that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Flow {
    /// All, as they are sent.
    Live,
    /// First those that it missed, from this offset on.
    CatchingUp(u64),
    /// None, because it was disconnected: the handler is to learn that.
    Ended(DisconnectReason),
    /// None, but it may be recovered.
    Away,
}

/// A socket joined or left a room.
#[derive(Debug)]
pub(super) struct RoomChange {
    /// The position of the newest event then.
    pub(super) behind: Position,
    pub(super) room: Rc<str>,
    pub(super) has_joined: bool,
}

impl SocketEntry {
    /// Whether it was in a room when the event at that position was sent.
    pub(super) fn was_in(&self, room: &str, event: Position) -> bool {
        // Changes of earlier epochs were before.
        let is_later = |change: &&RoomChange| {
            change.behind.epoch() == event.epoch() && change.behind.offset() >= event.offset()
        };
        let mut later = self.changes.iter().filter(|it| *it.room == *room).filter(is_later);
        match later.next() {
            Some(next) => !next.has_joined,
            None => self.rooms.iter().any(|held| **held == *room),
        }
    }

    pub(in super::super) const fn is_connected(&self) -> bool {
        matches!(self.flow, Flow::Live | Flow::CatchingUp(_))
    }
}

impl Hub {
    /// Adds a socket of a session to a namespace.
    pub(in super::super) fn add_socket(
        &mut self,
        cx: &mut Context<'_>,
        session: Key,
        namespace: Key,
        auth: Option<&str>,
    ) -> Key {
        let place = self.config.place;
        let events = self.namespaces.get(namespace).and_then(|namespace| namespace.events);
        let secret = events.map(|_| Secret::random(place, cx));
        let newest = events.and_then(|events| cx.position(events.topic));
        let socket = self.insert_socket(SocketEntry {
            id: SocketId::random(place, cx),
            namespace,
            session: Some(session),
            flow: Flow::Live,
            rooms: Vec::new(),
            changes: Vec::new(),
            certain_from: Position::new(0, 0),
            secret,
            since: newest.unwrap_or(Position::new(0, 0)),
            asks: BTreeMap::new(),
            auth: auth.map(Rc::from),
            is_recovered: false,
            times_away: 0,
        });
        self.connect_socket(cx, socket, session);
        socket
    }

    pub(super) fn insert_socket(&mut self, entry: SocketEntry) -> Key {
        let (id, namespace) = (entry.id, entry.namespace);
        let socket = self.sockets.insert(entry);
        self.by_id.insert(id, socket);
        if let Some(namespace) = self.namespaces.get_mut(namespace) {
            namespace.sockets += 1;
        }
        socket
    }

    /// Makes a socket that is in the list a member of its namespace and its rooms.
    pub(super) fn connect_socket(&mut self, cx: &mut Context<'_>, socket: Key, session: Key) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.sockets.push(socket);
            session.has_joined = true;
        }
        self.stats.sockets += 1;
        self.stats.connected += 1;
        self.enter(cx, socket, None);
    }

    /// The socket of a session in a namespace.
    pub(in super::super) fn socket_of(&self, session: Key, namespace: &str) -> Option<Key> {
        let sockets = &self.sessions.get(session)?.sockets;
        sockets.iter().copied().find(|socket| {
            let namespace_of = |socket| self.namespaces.get(self.sockets.get(socket)?.namespace);
            namespace_of(*socket).is_some_and(|it| *it.name == *namespace)
        })
    }

    /// The socket of a session in a namespace, by its key.
    pub(super) fn socket_in(&self, session: Key, namespace: Key) -> Option<Key> {
        let sockets = &self.sessions.get(session)?.sockets;
        let is_in =
            |socket: &Key| self.sockets.get(*socket).is_some_and(|it| it.namespace == namespace);
        sockets.iter().copied().find(is_in)
    }

    /// Ends a socket's membership of its namespace. The handler learns it when reports are made.
    pub(in super::super) fn end_socket(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        reason: DisconnectReason,
    ) {
        let Some(entry) = self.sockets.get_mut(socket).filter(|entry| entry.is_connected()) else {
            return;
        };
        entry.flow = Flow::Ended(reason);
        let (rooms, asks) = (entry.rooms.clone(), std::mem::take(&mut entry.asks));
        for (ask, timer) in asks {
            cx.cancel_timer(timer);
            self.reports.push_back(Report::Unanswered(socket, AskId(ask), NoAnswer::Disconnected));
        }
        for room in rooms {
            self.exit(cx, socket, Some(&room));
        }
        self.exit(cx, socket, None);
        if let Some(session) = self.sockets.get_mut(socket).and_then(|entry| entry.session.take()) {
            if let Some(session) = self.sessions.get_mut(session) {
                session.sockets.retain(|held| *held != socket);
            }
        }
        self.stats.sockets -= 1;
        self.reports.push_back(Report::Disconnected(socket, reason));
        self.call(cx);
    }

    /// The handler has learned that a socket ended: it may be recovered, or is forgotten.
    pub(in super::super) fn settle_ended(&mut self, cx: &mut Context<'_>, socket: Key) {
        let Some(entry) = self.sockets.get_mut(socket) else {
            return;
        };
        let Flow::Ended(reason) = entry.flow else {
            return;
        };
        match entry.secret.filter(|_| reason.is_recoverable()) {
            Some(secret) => {
                entry.flow = Flow::Away;
                entry.times_away = entry.times_away.wrapping_add(1);
                let number = entry.times_away;
                self.away.insert(secret, socket);
                self.deadlines.begin(cx, Due { kind: DueKind::Away, key: socket, number });
                self.remember_away(cx, socket);
            }
            None => self.forget_socket(cx, socket),
        }
    }

    /// A socket that is away was not recovered in time.
    pub(in super::super) fn expire_away(&mut self, cx: &mut Context<'_>, due: Due) {
        let is_over =
            |entry: &SocketEntry| entry.flow == Flow::Away && entry.times_away == due.number;
        if self.sockets.get(due.key).is_some_and(is_over) {
            self.forget_socket(cx, due.key);
        }
    }

    /// Removes a socket that has ended, or can no longer be recovered.
    pub(in super::super) fn forget_socket(&mut self, cx: &mut Context<'_>, socket: Key) {
        let Some(entry) = self.sockets.remove(socket) else {
            return;
        };
        self.by_id.remove(&entry.id);
        if let Some(secret) = entry.secret {
            self.away.remove(&secret);
        }
        if let Some(namespace) = self.namespaces.get_mut(entry.namespace) {
            namespace.sockets -= 1;
        }
        self.drop_namespace(cx, entry.namespace);
    }
}

impl Hub {
    /// Disconnects a socket from its namespace, and tells its client.
    pub(in super::super) fn disconnect(&mut self, cx: &mut Context<'_>, socket: Key) {
        let Some(entry) = self.sockets.get(socket).filter(|entry| entry.is_connected()) else {
            return;
        };
        let name = self.namespaces.get(entry.namespace).map(|it| Rc::clone(&it.name));
        if let (Some(session), Some(name)) = (entry.session, name) {
            self.send_packet(cx, session, Packet::new(Kind::Disconnect, &name));
        }
        self.end_socket(cx, socket, DisconnectReason::Disconnected);
    }

    /// Disconnects a socket's client from all its namespaces, and closes the connection.
    pub(in super::super) fn close(&mut self, cx: &mut Context<'_>, socket: Key) {
        let Some(session) = self.sockets.get(socket).and_then(|entry| entry.session) else {
            return;
        };
        let sockets = self.sessions.get(session).map(|it| it.sockets.clone()).unwrap_or_default();
        for socket in sockets {
            self.disconnect(cx, socket);
        }
        self.close_session(cx, session, DisconnectReason::Disconnected);
    }

    /// Asks a socket's client something: the event, whose acknowledgement is the answer.
    pub(in super::super) fn ask(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        emission: Emission<'_>,
        timeout: Duration,
    ) -> Option<AskId> {
        let most = self.config.limits.asks;
        let entry = self.sockets.get(socket).filter(|entry| entry.is_connected())?;
        if entry.asks.len() >= most {
            return None;
        }
        let ask = self.last_ask + 1;
        let expired = Call::AskExpired(self.id(), socket, AskId(ask));
        let timer = cx.set_timer(timeout, expired).ok()?;
        self.last_ask = ask;
        self.sockets.get_mut(socket)?.asks.insert(ask, timer);
        self.emit_to(cx, socket, Emission { ask: Some(ask), ..emission });
        Some(AskId(ask))
    }

    /// Whether a question was open, which it is no longer.
    pub(in super::super) fn take_ask(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        ask: u64,
    ) -> bool {
        let timer = self.sockets.get_mut(socket).and_then(|entry| entry.asks.remove(&ask));
        timer.is_some_and(|timer| {
            cx.cancel_timer(timer);
            true
        })
    }
}
