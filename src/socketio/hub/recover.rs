//! Recovery: what a namespace remembers, and sockets that come back.

use std::ops::RangeInclusive;
use std::rc::Rc;

use super::deadlines::Kind;
use super::sessions::Message;
use super::{Due, Flow, Hub, SocketEntry};
use crate::slots::Key;
use crate::socketio::engine_io::Outgoing;
use crate::socketio::ids::Secret;
use crate::socketio::record::{
    AwaySocket, Names, Packet, Recipients, Record, write_names, write_packet,
};
use crate::{Context, Position, SendStatus, TopicId};

/// How many records one call looks at for one socket.
const SLICE_RECORDS: u64 = 1024;

/// How many bytes one call sends to one socket, about.
const SLICE_BYTES: usize = 64 * 1024;

/// What a client says of what it had before.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Claim {
    pub(in super::super) secret: Secret,
    /// The offset of the last event that it got, if it got one.
    pub(in super::super) offset: Option<Position>,
}

impl Hub {
    /// Remembers an event for sockets that come back.
    pub(super) fn remember(
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
    pub(super) fn remember_away(&mut self, cx: &mut Context<'_>, socket: Key) {
        let Some(entry) = self.sockets.get(socket) else {
            return;
        };
        let Some(secret) = entry.secret else {
            return;
        };
        let rooms = write_names(entry.rooms.iter().map(|room| &**room));
        let (id, namespace) = (entry.id, entry.namespace);
        let events = self.namespaces.get(namespace).and_then(|namespace| namespace.events);
        let Some(newest) = events.and_then(|events| events.newest(cx)) else {
            return;
        };
        let certain_from = entry.changes.last().map_or(entry.certain_from, |last| last.behind);
        // What belongs to an earlier epoch was before all of this one.
        let offset_of = |position: Position| match position.epoch() == newest.epoch() {
            true => position.offset(),
            false => 0,
        };
        let (since, certain_from) = (offset_of(entry.since), offset_of(certain_from));
        let rooms = Names::of(&rooms);
        let away = AwaySocket { id, secret, since, certain_from, rooms };
        self.remember_socket(cx, namespace, &Record::Away(away));
    }

    fn remember_socket(&mut self, cx: &mut Context<'_>, namespace: Key, record: &Record<'_>) {
        let events = self.namespaces.get(namespace).and_then(|namespace| namespace.events);
        if events.is_some_and(|events| events.is_durable) {
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            self.append(cx, namespace, &bytes);
        }
    }

    /// Appends a record to what a namespace remembers.
    fn append(&mut self, cx: &mut Context<'_>, namespace: Key, record: &[u8]) {
        let namespace = self.namespaces.get_mut(namespace);
        let Some(events) = namespace.and_then(|namespace| namespace.events.as_mut()) else {
            return;
        };
        if events.newest(cx).is_none() || cx.broadcast(events.topic, record) != SendStatus::Sent {
            // Something is missing from here on, so that nothing before can be recovered.
            return events.forget(cx);
        }
        if let Some(floor) = events.floor_to_store() {
            let mut record = Vec::new();
            Record::Floor(floor).write(&mut record);
            if cx.broadcast(events.topic, &record) == SendStatus::Sent {
                events.set_stored_floor(floor);
            }
        }
    }

    /// Brings back what a durable namespace remembers of sockets that were away.
    pub(super) fn restore(&mut self, cx: &mut Context<'_>, namespace: Key) {
        let events = self.namespaces.get(namespace).and_then(|namespace| namespace.events);
        let Some(events) = events.filter(|events| events.is_durable) else {
            return;
        };
        let (epoch, mut floor) = (events.epoch(), None);
        for message in cx.history(events.topic, ..) {
            match Record::read(message.message.as_bytes()) {
                Some(Record::Away(away)) if !self.by_id.contains_key(&away.id) => {
                    let socket = self.insert_socket(SocketEntry {
                        id: away.id,
                        namespace,
                        session: None,
                        flow: Flow::Away,
                        rooms: away.rooms.iter().map(Rc::from).collect(),
                        changes: Vec::new(),
                        certain_from: Position::new(epoch, away.certain_from),
                        secret: Some(away.secret),
                        since: Position::new(epoch, away.since),
                        asks: std::collections::BTreeMap::new(),
                        times_away: 0,
                        auth: None,
                        is_recovered: false,
                    });
                    self.away.insert(away.secret, socket);
                }
                Some(Record::Back(id)) => self.drop_restored(id),
                Some(Record::Floor(stored)) => floor = Some(stored),
                _ => {}
            }
        }
        let namespace = self.namespaces.get_mut(namespace);
        if let (Some(namespace), Some(floor)) = (namespace, floor) {
            namespace.events.iter_mut().for_each(|events| events.set_stored_floor(floor));
        }
        let restored: Vec<Key> = self.away.values().copied().collect();
        for key in restored {
            self.deadlines.begin(cx, Due { kind: Kind::Away, key, number: 0 });
        }
    }

    /// A socket was recovered before the program ended.
    fn drop_restored(&mut self, id: crate::socketio::SocketId) {
        let Some(entry) = self.by_id.remove(&id).and_then(|key| self.sockets.remove(key)) else {
            return;
        };
        if let Some(secret) = entry.secret {
            self.away.remove(&secret);
        }
        if let Some(namespace) = self.namespaces.get_mut(entry.namespace) {
            namespace.sockets -= 1;
        }
    }

    /// Recovers the socket that a client claims, if all that it missed can be told. Otherwise the
    /// claim is void.
    pub(in super::super) fn recover(
        &mut self,
        cx: &mut Context<'_>,
        session: Key,
        namespace: Key,
        claim: Claim,
    ) -> Option<Key> {
        let socket = *self.away.get(&claim.secret)?;
        let entry = self.sockets.get(socket).filter(|entry| entry.namespace == namespace)?;
        let events = self.namespaces.get(namespace)?.events?;
        let joined = entry.since;
        // What came before it had joined was not for it.
        let behind = match claim.offset {
            Some(offset) if offset.epoch() == joined.epoch() => {
                Position::new(offset.epoch(), offset.offset().max(joined.offset()))
            }
            Some(offset) => offset,
            None => joined,
        };
        let certain_from = entry.certain_from;
        let is_certain =
            behind.epoch() != certain_from.epoch() || behind.offset() >= certain_from.offset();
        if !is_certain || !events.has_all_behind(cx, behind) {
            self.forget_socket(cx, socket);
            return None;
        }
        self.away.remove(&claim.secret);
        let id = entry.id;
        if let Some(entry) = self.sockets.get_mut(socket) {
            entry.session = Some(session);
            entry.flow = Flow::CatchingUp(behind.offset() + 1);
            entry.is_recovered = true;
        }
        self.connect_socket(cx, socket, session);
        let rooms = self.sockets.get(socket).map(|entry| entry.rooms.clone()).unwrap_or_default();
        for room in rooms {
            self.make_room(cx, namespace, &room);
            self.enter(cx, socket, Some(&room));
        }
        self.stats.recovered += 1;
        self.remember_socket(cx, namespace, &Record::Back(id));
        Some(socket)
    }

    /// Sends sockets what they have missed, each a slice.
    pub(in super::super) fn catch_up_all(&mut self, cx: &mut Context<'_>) {
        for socket in std::mem::take(&mut self.catching_up) {
            self.catch_up(cx, socket);
        }
    }

    /// Sends a socket a slice of what it has missed, if its transport takes more. With the last
    /// slice it gets what is sent from then on.
    pub(in super::super) fn catch_up(&mut self, cx: &mut Context<'_>, socket: Key) {
        let Some(entry) = self.sockets.get(socket) else {
            return;
        };
        let (Flow::CatchingUp(next), Some(session)) = (entry.flow, entry.session) else {
            return;
        };
        let events = self.namespaces.get(entry.namespace).and_then(|namespace| namespace.events);
        let behind = |events: &super::namespaces::EventLog, newest: Position| {
            let position = Position::new(newest.epoch(), next - 1);
            events.has_all_behind(cx, position).then_some((events.topic, newest.offset()))
        };
        let found = events.and_then(|events| behind(&events, events.newest(cx)?));
        let Some((topic, newest)) = found else {
            // Something is missing: the client begins anew.
            return self.close_session(cx, session, crate::socketio::DisconnectReason::Lost);
        };
        let (missed, end) = self.missed(cx, topic, next..=newest, socket);
        let mut sent = end;
        for (offset, message) in &missed {
            self.transmit(cx, session, &Message::Shared(message));
            if self.is_full(cx, session) {
                sent = *offset;
                break;
            }
        }
        let Some(entry) = self.sockets.get_mut(socket).filter(|entry| entry.is_connected()) else {
            return;
        };
        if sent == newest {
            entry.flow = Flow::Live;
            return self.attach_all(cx, socket);
        }
        entry.flow = Flow::CatchingUp(sent + 1);
        if sent == end {
            self.catching_up.push(socket);
            self.call(cx);
        }
    }

    /// A slice of the events of these offsets that were for a socket, and the offset at which it
    /// ends.
    fn missed(
        &self,
        cx: &Context<'_>,
        topic: TopicId,
        offsets: RangeInclusive<u64>,
        socket: Key,
    ) -> (Vec<(u64, Rc<Outgoing>)>, u64) {
        let (mut missed, mut bytes, mut end) = (Vec::new(), 0, *offsets.end());
        let last = end.min(offsets.start() + SLICE_RECORDS - 1);
        for message in cx.history(topic, *offsets.start()..=last) {
            end = message.position.offset();
            let Some(Record::Event(recipients, packet)) = Record::read(message.message.as_bytes())
            else {
                continue;
            };
            if self.is_for(&recipients, socket, message.position) {
                let outgoing = packet.to_outgoing();
                bytes += outgoing.len();
                missed.push((end, Rc::new(outgoing)));
            }
            if bytes >= SLICE_BYTES {
                break;
            }
        }
        (missed, end)
    }

    /// Whether so much waits for a session's client that more has to wait here.
    fn is_full(&self, cx: &mut Context<'_>, session: Key) -> bool {
        let Some(session) = self.sessions.get(session) else {
            return true;
        };
        match session.engine.socket() {
            Some(conn) => cx.connection(conn).has_queued_output(),
            None => session.engine.queued_bytes() >= SLICE_BYTES,
        }
    }

    /// The transport of a session takes more.
    pub(in super::super) fn note_drained(&mut self, cx: &mut Context<'_>, session: Key) {
        let sockets = self.sessions.get(session).map(|it| it.sockets.clone()).unwrap_or_default();
        for socket in sockets {
            self.catch_up(cx, socket);
        }
    }

    /// Whether the event at that position was for a socket.
    fn is_for(&self, recipients: &Recipients<'_>, socket: Key, event: Position) -> bool {
        let Some(entry) = self.sockets.get(socket) else {
            return false;
        };
        recipients
            .include(entry.id, |room| entry.was_in(room, event) || room.parse() == Ok(entry.id))
    }
}
