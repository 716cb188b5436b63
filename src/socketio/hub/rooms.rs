//! Rooms: their topics, and members that topics do not reach.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::sockets::RoomChange;
use super::{Flow, Hub};
use crate::slots::Key;
use crate::{Context, TopicId};

/// How many changes of its rooms are known of a socket that may be recovered.
const CHANGES_MAX: usize = 64;

/// A room, or all of a namespace. Its members on WebSockets are subscribed to its topic.
#[derive(Debug)]
pub(in super::super) struct Room {
    /// `None` if the loop takes no further topic.
    pub(in super::super) topic: Option<TopicId>,
    /// Members that get what is sent to the room one by one: those by polling, those that still
    /// recover, and those whose connections take no further subscription.
    pub(in super::super) detached: BTreeSet<Key>,
    pub(in super::super) members: usize,
}

impl Room {
    /// A room whose topic has that name.
    pub(super) fn new(cx: &mut Context<'_>, name: &str) -> Self {
        Self { topic: cx.topic(name).ok(), detached: BTreeSet::new(), members: 0 }
    }
}

impl Hub {
    /// Adds a socket to a room. Returns `false` if it is in there, or in too many.
    pub(in super::super) fn join(&mut self, cx: &mut Context<'_>, socket: Key, room: &str) -> bool {
        let most = self.config.limits.rooms;
        let Some(entry) = self.sockets.get_mut(socket).filter(|entry| entry.is_connected()) else {
            return false;
        };
        if entry.rooms.len() >= most || entry.rooms.iter().any(|held| **held == *room) {
            return false;
        }
        let namespace = entry.namespace;
        let name = self.make_room(cx, namespace, room);
        if let (Some(entry), Some(name)) = (self.sockets.get_mut(socket), name) {
            entry.rooms.push(Rc::clone(&name));
            self.note_change(cx, socket, (name, true));
        }
        self.enter(cx, socket, Some(room));
        true
    }

    /// Notes that a socket has joined or left a room, for events that it recovers later.
    fn note_change(&mut self, cx: &Context<'_>, socket: Key, (room, has_joined): (Rc<str>, bool)) {
        let Some(entry) = self.sockets.get_mut(socket) else {
            return;
        };
        let events = self.namespaces.get(entry.namespace).and_then(|namespace| namespace.events);
        let Some(newest) = events.and_then(|events| events.newest(cx)) else {
            return;
        };
        if entry.changes.len() == CHANGES_MAX {
            let oldest = entry.changes.remove(0);
            entry.certain_from = oldest.behind;
        }
        entry.changes.push(RoomChange { behind: newest, room, has_joined });
    }

    /// The name of a room, made if it does not exist.
    pub(super) fn make_room(
        &mut self,
        cx: &mut Context<'_>,
        namespace: Key,
        room: &str,
    ) -> Option<Rc<str>> {
        let namespace = self.namespaces.get_mut(namespace)?;
        if let Some((name, _)) = namespace.rooms.get_key_value(room) {
            return Some(Rc::clone(name));
        }
        let topic = format!("{}{}#{room}", self.path, namespace.name);
        let name: Rc<str> = room.into();
        namespace.rooms.insert(Rc::clone(&name), Room::new(cx, &topic));
        Some(name)
    }

    /// Removes a socket from a room. Returns `false` if it is not in there.
    pub(in super::super) fn leave(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        room: &str,
    ) -> bool {
        let Some(entry) = self.sockets.get_mut(socket).filter(|entry| entry.is_connected()) else {
            return false;
        };
        let Some(index) = entry.rooms.iter().position(|held| **held == *room) else {
            return false;
        };
        let name = entry.rooms.swap_remove(index);
        self.note_change(cx, socket, (name, false));
        self.exit(cx, socket, Some(room));
        true
    }

    /// Counts a socket as a member of a room, or of its namespace, and attaches it.
    pub(super) fn enter(&mut self, cx: &mut Context<'_>, socket: Key, room: Option<&str>) {
        if let Some(room) = self.room_of(socket, room) {
            room.members += 1;
        }
        self.attach(cx, socket, room);
    }

    /// Lets a socket get what is sent to a room: through its topic if it is on a WebSocket.
    fn attach(&mut self, cx: &mut Context<'_>, socket: Key, room: Option<&str>) {
        let conn = self.live_connection(socket);
        let Some(room) = self.room_of(socket, room) else {
            return;
        };
        let is_subscribed = match (conn, room.topic) {
            (Some(conn), Some(topic)) => cx.connection(conn).subscribe(topic).is_ok(),
            _ => false,
        };
        match is_subscribed {
            true => room.detached.remove(&socket),
            false => room.detached.insert(socket),
        };
    }

    /// A socket is no longer a member of a room, or of its namespace.
    pub(super) fn exit(&mut self, cx: &mut Context<'_>, socket: Key, name: Option<&str>) {
        let conn = self.connection_of(socket);
        let Some(room) = self.room_of(socket, name) else {
            return;
        };
        room.members = room.members.saturating_sub(1);
        if !room.detached.remove(&socket) {
            if let (Some(conn), Some(topic)) = (conn, room.topic) {
                cx.connection(conn).unsubscribe(topic);
            }
        }
        if room.members > 0 {
            return;
        }
        let topic = room.topic;
        let Some(name) = name else {
            return;
        };
        let namespace = self.sockets.get(socket).map(|entry| entry.namespace);
        if let Some(namespace) = namespace.and_then(|key| self.namespaces.get_mut(key)) {
            namespace.rooms.remove(name);
        }
        // A topic that others are subscribed to stays.
        if let Some(topic) = topic {
            cx.remove_topic(topic);
        }
    }

    /// Attaches a socket to all its rooms, because its transport has changed or it has recovered.
    pub(in super::super) fn attach_all(&mut self, cx: &mut Context<'_>, socket: Key) {
        let rooms = self.sockets.get(socket).map(|entry| entry.rooms.clone()).unwrap_or_default();
        self.attach(cx, socket, None);
        for room in rooms {
            self.attach(cx, socket, Some(&room));
        }
    }

    /// A room of a socket's namespace, or the namespace itself.
    fn room_of(&mut self, socket: Key, room: Option<&str>) -> Option<&mut Room> {
        let namespace = self.sockets.get(socket)?.namespace;
        self.namespaces.get_mut(namespace)?.room_mut(room)
    }

    /// The WebSocket of a socket, if it gets what is sent as it is sent.
    fn live_connection(&self, socket: Key) -> Option<crate::ConnectionId> {
        let entry = self.sockets.get(socket)?;
        matches!(entry.flow, Flow::Live).then(|| self.connection_of(socket)).flatten()
    }

    /// The WebSocket of a socket.
    pub(in super::super) fn connection_of(&self, socket: Key) -> Option<crate::ConnectionId> {
        let session = self.sockets.get(socket)?.session?;
        self.sessions.get(session)?.engine.socket()
    }
}
