//! Members of rooms: through topics, and one by one.

use std::rc::Rc;

use super::namespace::Room;
use super::state::Hub;
use crate::Context;
use crate::slots::Key;

/// Lets sockets enter and leave rooms.
pub(in crate::socketio) struct Rooms<'a>(pub(in crate::socketio) &'a mut Hub);

impl Rooms<'_> {
    /// Adds a socket to a room. Returns `false` if it is in there, or in too many.
    pub(in crate::socketio) fn join(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        room: &str,
    ) -> bool {
        let most = self.0.config.limits.rooms;
        let Some(entry) = self.0.sockets.get_mut(socket).filter(|entry| entry.is_connected())
        else {
            return false;
        };
        if entry.rooms.len() >= most || entry.rooms.iter().any(|held| **held == *room) {
            return false;
        }
        let namespace = entry.namespace;
        let Some(name) = self.make_room(cx, namespace, room) else {
            return false;
        };
        self.note_change(cx, socket, &name, true);
        if let Some(entry) = self.0.sockets.get_mut(socket) {
            entry.rooms.push(name);
        }
        self.enter(cx, socket, Some(room));
        true
    }

    /// Removes a socket from a room. Returns `false` if it is not in there.
    pub(in crate::socketio) fn leave(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        room: &str,
    ) -> bool {
        let Some(entry) = self.0.sockets.get_mut(socket).filter(|entry| entry.is_connected())
        else {
            return false;
        };
        let Some(index) = entry.rooms.iter().position(|held| **held == *room) else {
            return false;
        };
        let name = entry.rooms.swap_remove(index);
        self.note_change(cx, socket, &name, false);
        self.exit(cx, socket, Some(room));
        true
    }

    /// Notes that a socket enters or leaves a room, unless that is before all that it can recover.
    fn note_change(&mut self, cx: &Context<'_>, socket: Key, room: &Rc<str>, entered: bool) {
        let Some(entry) = self.0.sockets.get_mut(socket) else {
            return;
        };
        let namespace = self.0.namespaces.get(entry.namespace);
        let events = namespace.and_then(|namespace| namespace.events);
        let newest = events.and_then(|events| cx.position(events.topic));
        let (Some(newest), Some(claim)) = (newest, entry.claim.as_deref_mut()) else {
            return;
        };
        // What is before all that it can recover makes no difference.
        if newest != claim.since {
            claim.changes.push(Rc::clone(room), newest, entered);
        }
    }

    /// The name of a room, made if it does not exist.
    pub(in crate::socketio) fn make_room(
        &mut self,
        cx: &mut Context<'_>,
        namespace: Key,
        room: &str,
    ) -> Option<Rc<str>> {
        let namespace = self.0.namespaces.get_mut(namespace)?;
        if let Some((name, _)) = namespace.rooms.get_key_value(room) {
            return Some(Rc::clone(name));
        }
        let topic = format!("{}{}#{room}", self.0.path, namespace.name);
        let name: Rc<str> = room.into();
        namespace.rooms.insert(Rc::clone(&name), Room::new(cx, &topic));
        Some(name)
    }

    /// Counts a socket as a member of a room, or of its namespace, and attaches it.
    pub(in crate::socketio) fn enter(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        room: Option<&str>,
    ) {
        if let Some(room) = self.room_of(socket, room) {
            room.members += 1;
        }
        self.attach(cx, socket, room);
    }

    /// Lets a socket get what is sent to a room: through its topic if it is on a WebSocket.
    fn attach(&mut self, cx: &mut Context<'_>, socket: Key, room: Option<&str>) {
        let conn = self.0.live_connection(socket);
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
    pub(in crate::socketio) fn exit(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        name: Option<&str>,
    ) {
        let conn = self.0.connection_of(socket);
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
        let namespace = self.0.sockets.get(socket).map(|entry| entry.namespace);
        if let Some(namespace) = namespace.and_then(|key| self.0.namespaces.get_mut(key)) {
            namespace.rooms.remove(name);
        }
        // A topic that others are subscribed to stays.
        if let Some(topic) = topic {
            cx.remove_topic(topic);
        }
    }

    /// Attaches a socket to all its rooms, because its transport has changed or it has recovered.
    pub(in crate::socketio) fn attach_all(&mut self, cx: &mut Context<'_>, socket: Key) {
        let rooms = self.0.sockets.get(socket).map(|entry| entry.rooms.clone()).unwrap_or_default();
        self.attach(cx, socket, None);
        for room in rooms {
            self.attach(cx, socket, Some(&room));
        }
    }

    /// A room of a socket's namespace, or the namespace itself.
    fn room_of(&mut self, socket: Key, room: Option<&str>) -> Option<&mut Room> {
        let namespace = self.0.sockets.get(socket)?.namespace;
        self.0.namespaces.get_mut(namespace)?.room_mut(room)
    }
}
