//! What namespaces remember.

use super::message::Message;
use super::state::Hub;
use crate::slots::Key;
use crate::socketio::ids::SocketId;
use crate::socketio::record::{
    AwaySocket, Names, Packet, Recipients, Record, RoomChanges, write_changes, write_names,
    write_packet,
};
use crate::{Context, Position, SendStatus};

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
        let Some(claim) = entry.claim.as_deref() else {
            return;
        };
        let rooms = write_names(entry.rooms.iter().map(|room| &**room));
        let events = self.0.namespaces.get(entry.namespace).and_then(|it| it.events);
        let Some(epoch) = events.and_then(|events| events.newest(cx)).map(Position::epoch) else {
            return;
        };
        // What belongs to an earlier epoch was before all of this one.
        let offset = |position: Position| match position.epoch() == epoch {
            true => position.offset(),
            false => 0,
        };
        let changes = write_changes(claim.changes.iter(epoch));
        let away = AwaySocket {
            id: entry.id,
            secret: claim.secret,
            since: offset(claim.since),
            rooms: Names::of(&rooms),
            changes: RoomChanges::of(&changes),
            floor: offset(claim.changes.floor()),
            auth: entry.auth.as_deref().unwrap_or_default(),
        };
        let (namespace, record) = (entry.namespace, bytes_of(&Record::Away(away)));
        self.append_if_durable(cx, namespace, &record);
    }

    /// Remembers beyond the end of the program that a socket was recovered, if the namespace can.
    pub(in crate::socketio) fn remember_back(
        &mut self,
        cx: &mut Context<'_>,
        namespace: Key,
        id: SocketId,
    ) {
        self.append_if_durable(cx, namespace, &bytes_of(&Record::Back(id)));
    }

    fn append_if_durable(&mut self, cx: &mut Context<'_>, namespace: Key, record: &[u8]) {
        let events = self.0.namespaces.get(namespace).and_then(|namespace| namespace.events);
        if events.is_some_and(|events| events.is_durable) {
            self.append(cx, namespace, record);
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
            return events.forget(cx);
        }
        if let Some(floor) = events.floor_to_store() {
            let record = bytes_of(&Record::Floor(floor));
            if cx.broadcast(events.topic, &record) == SendStatus::Sent {
                events.set_stored_floor(floor);
            }
        }
    }
}

fn bytes_of(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.write(&mut bytes);
    bytes
}
