//! From a packet to the application's handler.

use bytes::Bytes;

use super::Server;
use crate::Context;
use crate::slots::Key;
use crate::socketio::arguments::{self, Arguments};
use crate::socketio::asks::{Ack, AskId};
use crate::socketio::engine_io::{self, Received};
use crate::socketio::handler::{Event, SocketIoHandler};
use crate::socketio::hub::{AttachmentError, Endings, Members, Partial, Sessions};
use crate::socketio::packet::{InvalidPacket, Kind, Packet};
use crate::socketio::reason::DisconnectReason;

/// Why a packet ends its session.
#[derive(Debug)]
enum Violation {
    Packet(InvalidPacket),
    /// It is of a kind that clients do not send.
    UnexpectedKind,
    /// A text arrived where an attachment was to come.
    MissingAttachment,
    Attachment(AttachmentError),
    /// It is for a namespace that the client is not in.
    NotInNamespace,
    /// The client is in the namespace that it asks for.
    AlreadyInNamespace,
    /// It is no packet that belongs here.
    UnexpectedPacket,
}

impl<H> Server<H> {
    /// Handles a packet of a session. Returns whether it is valid. If not, the session has ended.
    pub(super) fn receive<S>(
        &self,
        cx: &mut Context<'_>,
        session: Key,
        packet: engine_io::Packet<'_>,
        state: &mut S,
    ) -> bool
    where
        H: SocketIoHandler<S>,
    {
        let received = self.hub(|hub| Some(hub.sessions.get_mut(session)?.engine.receive(packet)));
        let handled = match received {
            Some(Received::Text(text)) => self.receive_text(cx, session, text, state),
            Some(Received::Binary(bytes)) => self.receive_binary(cx, session, bytes, state),
            Some(Received::Pong) => {
                self.hub(|hub| Sessions(hub).note_pong(cx, session));
                Ok(())
            }
            Some(Received::Closed) => {
                self.hub(|hub| Sessions(hub).leave_session(cx, session));
                Ok(())
            }
            Some(Received::Violation) => Err(Violation::UnexpectedPacket),
            Some(Received::Upgraded | Received::Nothing) | None => Ok(()),
        };
        match handled {
            Ok(()) => true,
            Err(violation) => self.violate(cx, session, &violation),
        }
    }

    fn receive_text<S>(
        &self,
        cx: &mut Context<'_>,
        session: Key,
        text: &str,
        state: &mut S,
    ) -> Result<(), Violation>
    where
        H: SocketIoHandler<S>,
    {
        let awaits = |session: &Key| {
            self.hub(|hub| hub.sessions.get(*session).is_some_and(|it| it.partial.is_some()))
        };
        if awaits(&session) {
            return Err(Violation::MissingAttachment);
        }
        let packet = Packet::parse(text)?;
        match packet.kind {
            Kind::BinaryEvent | Kind::BinaryAck if packet.attachments > 0 => {
                let (text, count) = (text.to_owned(), packet.attachments);
                let partial = Partial { text, count, attachments: Vec::new(), bytes: 0 };
                self.hub(|hub| {
                    if let Some(session) = hub.sessions.get_mut(session) {
                        session.partial = Some(Box::new(partial));
                    }
                });
                Ok(())
            }
            _ => self.handle(cx, session, (packet, &[]), state),
        }
    }

    fn receive_binary<S>(
        &self,
        cx: &mut Context<'_>,
        session: Key,
        bytes: Bytes,
        state: &mut S,
    ) -> Result<(), Violation>
    where
        H: SocketIoHandler<S>,
    {
        match self.hub(|hub| Sessions(hub).add_attachment(session, bytes))? {
            Some(partial) => {
                let packet = Packet::parse(&partial.text)?;
                self.handle(cx, session, (packet, &partial.attachments), state)
            }
            None => Ok(()),
        }
    }

    /// Handles a packet with its attachments.
    fn handle<S>(
        &self,
        cx: &mut Context<'_>,
        session: Key,
        (packet, attachments): (Packet<'_>, &[Bytes]),
        state: &mut S,
    ) -> Result<(), Violation>
    where
        H: SocketIoHandler<S>,
    {
        let socket = self.hub(|hub| hub.socket_of(session, packet.namespace));
        if packet.kind == Kind::Connect {
            if socket.is_some() {
                return Err(Violation::AlreadyInNamespace);
            }
            let auth = arguments::connect(packet.data)?;
            self.join(cx, session, (packet.namespace, auth), state);
            return Ok(());
        }
        let Some(socket) = socket else {
            // It may have been under way when the application disconnected the client.
            let was_in = self.hub(|hub| hub.was_disconnected(session, packet.namespace));
            return if was_in { Ok(()) } else { Err(Violation::NotInNamespace) };
        };
        match packet.kind {
            Kind::Event | Kind::BinaryEvent => {
                let (name, json) = arguments::event(packet.data, attachments.len())?;
                self.hub(|hub| hub.stats.events += 1);
                let ack = packet.id.map(|id| Ack { socket, id });
                let arguments = Arguments::new(json, attachments);
                self.call(cx, socket, |handler, socket| {
                    handler.on_event(socket, Event { name: &name, arguments, ack }, state);
                });
                Ok(())
            }
            Kind::Ack | Kind::BinaryAck => {
                let json = arguments::acknowledgement(packet.data, attachments.len())?;
                let ask = packet.id.unwrap_or_default();
                // One that comes too late, or that nobody asked for, is of no use.
                if self.hub(|hub| Members(hub).take_ask(cx, socket, ask)) {
                    let answer = Arguments::new(json, attachments);
                    self.call(cx, socket, |handler, socket| {
                        handler.on_answer(socket, AskId(ask), Ok(answer), state);
                    });
                }
                Ok(())
            }
            Kind::Disconnect => {
                self.hub(|hub| Endings(hub).end_socket(cx, socket, DisconnectReason::ClientLeft));
                // The handler learns it before what follows, which may be another CONNECT.
                self.settle(cx, state);
                Ok(())
            }
            Kind::Connect | Kind::ConnectError => Err(Violation::UnexpectedKind),
        }
    }
}

impl From<AttachmentError> for Violation {
    fn from(error: AttachmentError) -> Self {
        Self::Attachment(error)
    }
}

impl From<InvalidPacket> for Violation {
    fn from(error: InvalidPacket) -> Self {
        Self::Packet(error)
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Packet(error) => error.fmt(f),
            Self::UnexpectedKind => f.write_str("a packet that clients do not send"),
            Self::MissingAttachment => f.write_str("a text in place of an attachment"),
            Self::Attachment(error) => error.fmt(f),
            Self::NotInNamespace => f.write_str("a packet for a namespace that was not joined"),
            Self::AlreadyInNamespace => f.write_str("a namespace is joined twice"),
            Self::UnexpectedPacket => f.write_str("an Engine.IO packet out of place"),
        }
    }
}
