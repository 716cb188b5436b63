//! Recovery: sockets that come back, and what they have missed.

use std::ops::RangeInclusive;
use std::rc::Rc;

use super::endings::Endings;
use super::entry::Flow;
use super::joins::Joins;
use super::message::Message;
use super::namespace::EventLog;
use super::records::Records;
use super::rooms::Rooms;
use super::sessions::Sessions;
use super::state::Hub;
use crate::slots::Key;
use crate::socketio::engine_io::Outgoing;
use crate::socketio::ids::Secret;
use crate::socketio::reason::DisconnectReason;
use crate::socketio::record::Record;
use crate::{Context, Position, TopicId};

/// How many records one call looks at for one socket.
const SLICE_RECORDS: u64 = 1024;

/// How many bytes one call sends to one socket, about.
const SLICE_BYTES: usize = 64 * 1024;

/// What a client says of what it had before.
#[derive(Clone, Copy, Debug)]
pub(in crate::socketio) struct Claimed {
    pub(in crate::socketio) secret: Secret,
    /// The offset of the last event that it got, if it got one.
    pub(in crate::socketio) offset: Option<Position>,
}

/// Recovers sockets.
pub(in crate::socketio) struct Recoveries<'a>(pub(in crate::socketio) &'a mut Hub);

impl Recoveries<'_> {
    /// Recovers the socket that a client claims, if all that it missed is remembered. Otherwise
    /// the claim is void.
    pub(in crate::socketio) fn recover(
        &mut self,
        cx: &mut Context<'_>,
        session: Key,
        namespace: Key,
        claimed: Claimed,
    ) -> Option<Key> {
        let socket = *self.0.away.get(&claimed.secret)?;
        let entry = self.0.sockets.get(socket).filter(|entry| entry.namespace == namespace)?;
        let events = self.0.namespaces.get(namespace)?.events?;
        let claim = entry.claim.as_deref()?;
        let joined = claim.since;
        // What came before it had joined was not for it.
        let behind = match claimed.offset {
            Some(offset) if offset.epoch() == joined.epoch() => {
                Position::new(offset.epoch(), offset.offset().max(joined.offset()))
            }
            Some(offset) => offset,
            None => joined,
        };
        let has_rooms = claim.changes.reach_back_to(behind);
        if !has_rooms || !events.has_all_behind(cx, behind) {
            Endings(self.0).forget_socket(cx, socket);
            return None;
        }
        self.0.away.remove(&claimed.secret);
        let id = entry.id;
        if let Some(entry) = self.0.sockets.get_mut(socket) {
            entry.session = Some(session);
            entry.flow = Flow::CatchingUp(behind.offset() + 1);
            entry.is_recovered = true;
        }
        Joins(self.0).connect_socket(cx, socket, session);
        let rooms = self.0.sockets.get(socket).map(|entry| entry.rooms.clone()).unwrap_or_default();
        for room in rooms {
            Rooms(self.0).make_room(cx, namespace, &room);
            Rooms(self.0).enter(cx, socket, Some(&room));
        }
        self.0.stats.recovered += 1;
        Records(self.0).remember_back(cx, namespace, id);
        Some(socket)
    }

    /// Sends sockets what they have missed, each a slice.
    pub(in crate::socketio) fn catch_up_all(&mut self, cx: &mut Context<'_>) {
        for socket in std::mem::take(&mut self.0.catching_up) {
            self.catch_up(cx, socket);
        }
    }

    /// Sends a socket a slice of what it has missed, if its transport takes more. With the last
    /// slice it gets what is sent from then on.
    pub(in crate::socketio) fn catch_up(&mut self, cx: &mut Context<'_>, socket: Key) {
        let Some(entry) = self.0.sockets.get(socket) else {
            return;
        };
        let (Flow::CatchingUp(next), Some(session)) = (entry.flow, entry.session) else {
            return;
        };
        let events = self.0.namespaces.get(entry.namespace).and_then(|namespace| namespace.events);
        let behind = |events: &EventLog, newest: Position| {
            let position = Position::new(newest.epoch(), next - 1);
            events.has_all_behind(cx, position).then_some((events.topic, newest.offset()))
        };
        let found = events.and_then(|events| behind(&events, events.newest(cx)?));
        let Some((topic, newest)) = found else {
            // Something is missing: the client begins anew.
            return Sessions(self.0).close_session(cx, session, DisconnectReason::Lost);
        };
        let (missed, end) = self.missed(cx, topic, next..=newest, socket);
        let mut sent = end;
        for (offset, message) in &missed {
            Sessions(self.0).transmit(cx, session, &Message::Shared(message));
            if self.is_full(cx, session) {
                sent = *offset;
                break;
            }
        }
        let Some(entry) = self.0.sockets.get_mut(socket).filter(|entry| entry.is_connected())
        else {
            return;
        };
        if sent == newest {
            entry.flow = Flow::Live;
            return Rooms(self.0).attach_all(cx, socket);
        }
        entry.flow = Flow::CatchingUp(sent + 1);
        if sent == end {
            self.0.catching_up.push(socket);
            self.0.call(cx);
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
            if self.0.is_for((message.position, &recipients), socket) {
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
        let Some(session) = self.0.sessions.get(session) else {
            return true;
        };
        match session.engine.socket() {
            Some(conn) => cx.connection(conn).has_queued_output(),
            None => session.engine.queued_bytes() >= SLICE_BYTES,
        }
    }

    /// The transport of a session takes more.
    pub(in crate::socketio) fn note_drained(&mut self, cx: &mut Context<'_>, session: Key) {
        let sockets = self.0.sessions.get(session).map(|it| it.sockets.clone()).unwrap_or_default();
        for socket in sockets {
            self.catch_up(cx, socket);
        }
    }

    /// A session is on its WebSocket now.
    pub(in crate::socketio) fn finish_upgrade(&mut self, cx: &mut Context<'_>, key: Key) {
        self.0.stats.upgraded += 1;
        let sockets = self.0.sessions.get(key).map(|it| it.sockets.clone()).unwrap_or_default();
        for socket in sockets {
            match self.0.sockets.get(socket).map(|entry| entry.flow) {
                Some(Flow::Live) => Rooms(self.0).attach_all(cx, socket),
                Some(Flow::CatchingUp(_)) => self.catch_up(cx, socket),
                _ => {}
            }
        }
    }
}
