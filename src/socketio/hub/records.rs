//! What namespaces remember.

use super::message::Message;
use super::state::Hub;
use crate::slots::Key;
use crate::socketio::record::{
    AwaySocket, Names, Packet, Recipients, Record, RoomChanges, write_changes, write_names,
    write_packet,
};
use crate::{Context, SendStatus};

/// Remembers events, and sockets that are away.
pub(in crate::socketio) struct Records<'a>(pub(in crate::socketio) &'a mut Hub);

impl Records<'_> {
    /// Remembers an event for sockets that come back.
    pub(in crate::socketio) fn remember(
        &mut self,
        cx: &mut Context<'_>,
        namespace: Key,
        recipients: Recipients<'_>,
        message: &Message<'_>,
    ) {
        let mut record = Vec::new();
        Record::Event(recipients, Packet::default()).write(&mut record);
        let (text, attachments) = message.parts();
        write_packet(text, attachments, &mut record);
        self.append(cx, namespace, &record);
    }

    /// Remembers a socket that is away beyond the end of the program, if the namespace can.
    pub(in crate::socketio) fn remember_away(&mut self, cx: &mut Context<'_>, socket: Key) {
        let Some(entry) = self.0.sockets.get(socket) else {
            return;
        };
        let Some(secret) = entry.secret else {
            return;
        };
        let rooms = write_names(entry.rooms.iter().map(|room| &**room));
        let changes = write_changes(entry.changes.iter());
        let away = AwaySocket {
            id: entry.id,
            secret,
            since: entry.since,
            rooms: Names::of(&rooms),
            changes: RoomChanges::of(&changes),
            floor: entry.changes.floor(),
        };
        self.remember_socket(cx, entry.namespace, &Record::Away(away));
    }

    pub(in crate::socketio) fn remember_socket(
        &mut self,
        cx: &mut Context<'_>,
        namespace: Key,
        record: &Record<'_>,
    ) {
        let events = self.0.namespaces.get(namespace).and_then(|namespace| namespace.events);
        if events.is_some_and(|events| events.is_durable) {
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            self.append(cx, namespace, &bytes);
        }
    }

    /// Appends a record to what a namespace remembers.
    fn append(&mut self, cx: &mut Context<'_>, namespace: Key, record: &[u8]) {
        let namespace = self.0.namespaces.get_mut(namespace);
        let Some(events) = namespace.and_then(|namespace| namespace.events.as_mut()) else {
            return;
        };
        if events.newest(cx).is_none() || cx.broadcast(events.topic, record) != SendStatus::Sent {
            // Something is missing from here on, so that nothing before can be recovered.
            events.forget(cx);
        }
    }
}
