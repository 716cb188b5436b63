//! Sending events to one socket or to many.

use std::rc::Rc;

use super::entry::Flow;
use super::message::Message;
use super::records::Records;
use super::sessions::Sessions;
use super::state::Hub;
use crate::slots::Key;
use crate::socketio::arguments::Written;
use crate::socketio::engine_io::Outgoing;
use crate::socketio::packet::{Kind, Packet};
use crate::socketio::record::{Names, Recipients, write_names};
use crate::socketio::target::Target;
use crate::{Context, Position, PreparedMessage, SendStatus, TopicId};

/// An event that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::socketio) struct Emission<'a> {
    pub(in crate::socketio) name: &'a str,
    pub(in crate::socketio) arguments: &'a Written,
    /// The client is asked for an acknowledgement with this number.
    pub(in crate::socketio) ask: Option<u64>,
    /// It is dropped where it cannot leave at once.
    pub(in crate::socketio) is_volatile: bool,
}

/// Sends events and acknowledgements.
pub(in crate::socketio) struct Emits<'a>(pub(in crate::socketio) &'a mut Hub);

impl Emits<'_> {
    /// Sends an event to a socket.
    pub(in crate::socketio) fn emit_to(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        emission: Emission<'_>,
    ) -> SendStatus {
        let Some(entry) = self.0.sockets.get(socket).filter(|entry| entry.may_hear()) else {
            return SendStatus::Gone;
        };
        let (id, namespace, flow) = (entry.id, entry.namespace, entry.flow);
        if emission.is_volatile && !self.0.is_ready(cx, socket) {
            return SendStatus::Dropped;
        }
        let mut text = std::mem::take(&mut self.0.text);
        let offset = self.write_event(cx, namespace, &emission, &mut text);
        let attachments = &emission.arguments.attachments;
        let is_kept = offset.is_some() && !emission.is_volatile;
        let status = match flow {
            // It follows what the socket still has to recover.
            Flow::CatchingUp(_) | Flow::Ended(_) | Flow::Away if is_kept => SendStatus::Queued,
            _ => self.send_to(cx, socket, &Message::Borrowed { text: &text, attachments }),
        };
        if is_kept {
            let message = Message::Borrowed { text: &text, attachments };
            Records(self.0).remember(cx, namespace, Recipients::One(id), &message);
        }
        self.0.keep_text(text);
        status
    }

    /// Sends an event to the sockets of an audience.
    pub(in crate::socketio) fn emit_to_all(
        &mut self,
        cx: &mut Context<'_>,
        audience: &Target,
        emission: Emission<'_>,
    ) -> SendStatus {
        let Some(namespace) = self.0.by_name.get(&*audience.namespace).copied() else {
            return SendStatus::Gone;
        };
        let mut text = String::new();
        let offset = self.write_event(cx, namespace, &emission, &mut text);
        let attachments = emission.arguments.attachments.clone();
        let message = Rc::new(Outgoing { text, attachments });
        let status = match self.single_room(namespace, audience) {
            Some(room) if !emission.is_volatile => {
                self.broadcast(cx, (namespace, room), audience.skipped, &message)
            }
            _ => {
                let sockets = self.0.sockets_of(cx, namespace, audience);
                self.send_to_each(cx, &sockets, &message, emission.is_volatile)
            }
        };
        if offset.is_some() && !emission.is_volatile {
            let rooms = write_names(audience.rooms.iter().map(|room| &**room));
            let except = write_names(audience.except.iter().map(|room| &**room));
            let skipped = audience.skipped.and_then(|key| self.0.sockets.get(key));
            let recipients = Recipients::Many {
                rooms: Names::of(&rooms),
                except: Names::of(&except),
                skipped: skipped.map(|entry| entry.id),
            };
            Records(self.0).remember(cx, namespace, recipients, &Message::Shared(&message));
        }
        status
    }

    /// Sends an acknowledgement of a client's event.
    pub(in crate::socketio) fn acknowledge(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        id: u64,
        arguments: &Written,
    ) -> SendStatus {
        let Some(entry) = self.0.sockets.get(socket).filter(|entry| entry.is_connected()) else {
            return SendStatus::Gone;
        };
        let name = self.0.namespaces.get(entry.namespace).map(|it| Rc::clone(&it.name));
        let count = arguments.attachments.len();
        let mut text = std::mem::take(&mut self.0.text);
        let kind = if count == 0 { Kind::Ack } else { Kind::BinaryAck };
        let namespace = name.as_deref().unwrap_or("/");
        begin_packet(
            Packet { kind, namespace, id: Some(id), attachments: count, data: "" },
            &mut text,
        );
        text.push('[');
        text.push_str(&arguments.json);
        text.push(']');
        let attachments = &arguments.attachments;
        let status = self.send_to(cx, socket, &Message::Borrowed { text: &text, attachments });
        self.0.keep_text(text);
        status
    }

    /// Sends a packet that is no event.
    pub(in crate::socketio) fn send_packet(
        &mut self,
        cx: &mut Context<'_>,
        session: Key,
        packet: Packet<'_>,
    ) {
        let mut text = std::mem::take(&mut self.0.text);
        begin_packet(packet, &mut text);
        Sessions(self.0).transmit(
            cx,
            session,
            &Message::Borrowed { text: &text, attachments: &[] },
        );
        self.0.keep_text(text);
    }

    /// Writes an event, with its offset if the namespace remembers it. Returns the offset, if the
    /// event is one that is remembered unless it is volatile.
    fn write_event(
        &self,
        cx: &Context<'_>,
        namespace: Key,
        emission: &Emission<'_>,
        text: &mut String,
    ) -> Option<Position> {
        let namespace = self.0.namespaces.get(namespace)?;
        let count = emission.arguments.attachments.len();
        let kind = if count == 0 { Kind::Event } else { Kind::BinaryEvent };
        let packet = Packet {
            kind,
            namespace: &namespace.name,
            id: emission.ask,
            attachments: count,
            data: "",
        };
        begin_packet(packet, text);
        text.push('[');
        write_string(emission.name, text);
        if !emission.arguments.json.is_empty() {
            text.push(',');
            text.push_str(&emission.arguments.json);
        }
        let newest = namespace.events.and_then(|events| cx.position(events.topic));
        let offset = newest.filter(|_| emission.ask.is_none()).map(|newest| {
            // Clients take any text at the end of an event for its offset, so a volatile event has
            // that of the newest one that is remembered.
            let ahead = u64::from(!emission.is_volatile);
            Position::new(newest.epoch(), newest.offset() + ahead)
        });
        if let Some(offset) = offset {
            use std::fmt::Write as _;
            // Writing to a string never fails.
            let _ = write!(text, ",\"{offset}\"");
        }
        text.push(']');
        offset
    }

    /// The one room that the audience is, or all of the namespace, if a topic reaches it.
    fn single_room<'r>(&self, namespace: Key, audience: &'r Target) -> Option<Option<&'r str>> {
        if !audience.except.is_empty() {
            return None;
        }
        match &audience.rooms[..] {
            [] => Some(None),
            [room] if self.0.named(namespace, room).is_none() => Some(Some(room)),
            _ => None,
        }
    }

    /// Sends a message to a room through its topic, and to those that the topic does not reach.
    fn broadcast(
        &mut self,
        cx: &mut Context<'_>,
        (namespace, room): (Key, Option<&str>),
        skipped: Option<Key>,
        message: &Rc<Outgoing>,
    ) -> SendStatus {
        let found = self.0.namespaces.get(namespace).and_then(|namespace| namespace.room(room));
        let Some(found) = found else {
            return SendStatus::Sent;
        };
        // Connections of other handlers may be subscribed, too.
        let topic = found.topic.filter(|topic| cx.subscriber_count(*topic) > 0);
        let detached: Vec<Key> =
            found.detached.iter().copied().filter(|member| Some(*member) != skipped).collect();
        let mut status = SendStatus::Sent;
        if let Some(topic) = topic {
            status = self.broadcast_to(cx, topic, skipped, message);
        }
        let others = self.send_to_each(cx, &detached, message, false);
        if status == SendStatus::Sent { others } else { status }
    }

    /// Broadcasts a message and its attachments to a topic. What the topic does not take, because
    /// much is waiting there, its subscribers get one by one: that follows what was broadcast.
    fn broadcast_to(
        &mut self,
        cx: &mut Context<'_>,
        topic: TopicId,
        skipped: Option<Key>,
        message: &Outgoing,
    ) -> SendStatus {
        let skipped = skipped.and_then(|socket| self.0.connection_of(socket));
        let mut is_taken = true;
        let mut send = |cx: &mut Context<'_>, part: crate::Message<'_>| {
            if is_taken {
                let status = match skipped {
                    Some(conn) => cx.broadcast_except(topic, conn, part),
                    None => cx.broadcast(topic, part),
                };
                is_taken = status != SendStatus::Dropped;
            }
            if !is_taken {
                send_one_by_one(cx, topic, skipped, part);
            }
        };
        send(cx, crate::Message::Text(&message.text));
        for attachment in &message.attachments {
            send(cx, crate::Message::Binary(attachment));
        }
        if is_taken { SendStatus::Sent } else { SendStatus::Queued }
    }

    /// Sends a message to each of these sockets. Those that are still recovering get it from what
    /// the namespace remembers.
    fn send_to_each(
        &mut self,
        cx: &mut Context<'_>,
        sockets: &[Key],
        message: &Rc<Outgoing>,
        is_volatile: bool,
    ) -> SendStatus {
        let mut worst = SendStatus::Sent;
        for &socket in sockets {
            let Some(entry) = self.0.sockets.get(socket) else {
                continue;
            };
            if entry.flow != Flow::Live || (is_volatile && !self.0.is_ready(cx, socket)) {
                continue;
            }
            match self.send_to(cx, socket, &Message::Shared(message)) {
                SendStatus::Sent | SendStatus::Gone => {}
                status => worst = status,
            }
        }
        worst
    }

    /// Sends a message to a socket, whatever it still recovers.
    fn send_to(&mut self, cx: &mut Context<'_>, socket: Key, message: &Message<'_>) -> SendStatus {
        match self.0.sockets.get(socket).and_then(|entry| entry.session) {
            Some(session) => Sessions(self.0).transmit(cx, session, message),
            None => SendStatus::Gone,
        }
    }
}

/// Sends something to a topic's subscribers one by one, in the order of their ids.
fn send_one_by_one(
    cx: &mut Context<'_>,
    topic: TopicId,
    skipped: Option<crate::ConnectionId>,
    part: crate::Message<'_>,
) {
    let prepared = PreparedMessage::new(part);
    let members: Vec<_> = cx.members(topic).filter(|conn| Some(*conn) != skipped).collect();
    for conn in members {
        cx.send_to(conn, &prepared);
    }
}

/// Begins a text with an Engine.IO message that is this packet.
fn begin_packet(packet: Packet<'_>, text: &mut String) {
    text.clear();
    text.push('4');
    packet.write(text);
}

/// Appends a JSON string.
fn write_string(name: &str, out: &mut String) {
    if name.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(name);
        out.push('"');
    } else {
        // A string is always represented.
        out.push_str(&serde_json::to_string(name).unwrap_or_default());
    }
}
