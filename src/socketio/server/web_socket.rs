//! WebSockets: of sessions that begin there, and of those that move there.

use std::rc::Rc;

use super::Server;
use crate::slots::Key;
use crate::socketio::engine_io::{Lost, Packet, Query, Received, RequestError, Transport};
use crate::socketio::handler::SocketIoHandler;
use crate::socketio::handshake::Handshake;
use crate::socketio::hub::{Opening, Recoveries, Sessions};
use crate::socketio::reason::DisconnectReason;
use crate::{
    CloseCode, Connection, Disconnect, Message, Refusal, Upgrade, UpgradeRequest, WebSocketHandler,
};

/// The handler of WebSockets.
pub(super) struct WebSockets<H>(pub(super) Rc<Server<H>>);

/// What a WebSocket is for, decided before it opens.
enum Purpose {
    /// A session of its own.
    Open(Handshake),
    /// A session that is on polling.
    Upgrade(Key),
}

impl<S, H: SocketIoHandler<S>> WebSocketHandler<S> for WebSockets<H> {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        request: &UpgradeRequest<'_>,
        _: &mut S,
    ) -> Upgrade {
        match self.0.purpose(conn, request) {
            Ok(purpose) => {
                conn.attach(purpose);
                Upgrade::accept()
            }
            Err(error) => refusal(error).into(),
        }
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut S) {
        let id = conn.id();
        match conn.detach::<Purpose>() {
            Some(Purpose::Open(handshake)) => {
                let opening = Opening { handshake, socket: Some(id) };
                match self.0.hub(|hub| Sessions(hub).open_session(conn, opening)) {
                    Some(open) => drop(conn.send(format!("0{open}"))),
                    None => drop(conn.close(CloseCode::TRY_AGAIN_LATER, "too many sessions")),
                }
            }
            Some(Purpose::Upgrade(session)) => {
                let is_begun = self.0.hub(|hub| Sessions(hub).begin_upgrade(conn, session, id));
                if !is_begun {
                    conn.close(CloseCode::NORMAL, "");
                }
            }
            None => {}
        }
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, state: &mut S) {
        let id = conn.id();
        let found = self.0.hub(|hub| {
            let session = hub.session_of(id)?;
            Some((session, hub.sessions.get(session)?.engine.socket() == Some(id)))
        });
        let Some((session, is_current)) = found else {
            return;
        };
        let packet = match message {
            Message::Text(text) => Packet::parse(text),
            Message::Binary(bytes) => Ok(Packet::Binary(bytes.into())),
        };
        self.0.serve(conn, Some(session), state, |server, cx, state| match packet {
            Ok(packet) if is_current => drop(server.receive(cx, session, packet, state)),
            Err(error) if is_current => drop(server.violate(cx, session, &error)),
            packet => server.hub(|hub| {
                let probed = Sessions(hub).act(cx, session, |engine, outputs| {
                    engine.receive_probe(id, packet.ok(), outputs)
                });
                if probed == Some(Received::Upgraded) {
                    Recoveries(hub).finish_upgrade(cx, session);
                }
            }),
        });
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut S) {
        let session = self.0.hub(|hub| hub.session_of(conn.id()));
        if let Some(session) = session {
            self.0.serve(conn, Some(session), state, |server, cx, _| {
                server.hub(|hub| Recoveries(hub).note_drained(cx, session));
            });
        }
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, state: &mut S) {
        let id = conn.id();
        let Some(session) = self.0.hub(|hub| hub.by_connection.remove(id)) else {
            return;
        };
        self.0.serve(conn, Some(session), state, |server, cx, _| {
            server.hub(|hub| {
                let lost = hub.sessions.get_mut(session).map(|it| it.engine.socket_lost(id));
                if lost == Some(Lost::Session) {
                    Sessions(hub).abort_session(cx, session, reason(disconnect));
                }
            });
        });
    }
}

/// Why the sockets of a session end with its WebSocket.
const fn reason(disconnect: &Disconnect) -> DisconnectReason {
    match disconnect {
        Disconnect::ClosedByPeer { .. } => DisconnectReason::Closed,
        Disconnect::ClosedByApplication { .. } => DisconnectReason::ServerEnds,
        Disconnect::Overflow | Disconnect::MemoryPressure(_) => DisconnectReason::Overflow,
        Disconnect::Panicked { .. } => DisconnectReason::Panicked,
        Disconnect::Protocol(_) | Disconnect::RateLimited { .. } => DisconnectReason::Protocol,
        _ => DisconnectReason::Lost,
    }
}

fn refusal(error: RequestError) -> Refusal {
    Refusal::new(error.status()).content_type(crate::ContentType::JSON).body(error.body())
}

impl<H> Server<H> {
    fn purpose(
        &self,
        conn: &Connection<'_>,
        request: &UpgradeRequest<'_>,
    ) -> Result<Purpose, RequestError> {
        let query = Query::read(request.query_pairs())?;
        if query.transport != Transport::WebSocket {
            return Err(RequestError::BadRequest);
        }
        match &query.session {
            Some(id) => {
                let found = self.hub(|hub| Sessions(hub).find_session(id));
                found.map(Purpose::Upgrade).ok_or(RequestError::UnknownSession)
            }
            None => {
                query.check_version()?;
                Ok(Purpose::Open(Handshake::of_upgrade(request, conn.peer_addr())))
            }
        }
    }
}
