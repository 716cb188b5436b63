//! Clients that join a namespace, or come back to it.

use std::rc::Rc;

use super::Server;
use crate::slots::Key;
use crate::socketio::handler::{JoinRefused, JoinRequest, SocketIoHandler};
use crate::socketio::hub::{Claimed, Emits, Endings, Joins, Recoveries};
use crate::socketio::ids::Secret;
use crate::socketio::packet::{Kind, Packet};
use crate::{Context, Position};

/// No message of a topic is there.
const NOWHERE: Position = Position::new(0, 0);

impl<H> Server<H> {
    /// A client asks to join the namespace of that name.
    pub(super) fn join<S>(
        &self,
        cx: &mut Context<'_>,
        session: Key,
        (name, auth): (&str, Option<&str>),
        state: &mut S,
    ) where
        H: SocketIoHandler<S>,
    {
        if let Some(socket) = self.recover(cx, session, (name, auth)) {
            self.welcome(cx, session, socket);
            self.call(cx, socket, |handler, socket| handler.on_connect(socket, state));
            // What the handler has sent comes behind it.
            return self.hub(|hub| Recoveries(hub).catch_up(cx, socket));
        }
        match self.admit(cx, session, (name, auth), state) {
            Ok(()) => {}
            Err(refused) => {
                let json = refused.to_json();
                let packet = Packet { data: &json, ..Packet::new(Kind::ConnectError, name) };
                return self.hub(|hub| {
                    hub.stats.refused += 1;
                    Emits(hub).send_packet(cx, session, packet);
                });
            }
        }
        let socket = self.hub(|hub| {
            // The handler may have ended the session.
            hub.sessions.get(session)?;
            let namespace = Joins(hub).namespace(cx, name);
            Some(Joins(hub).add_socket(cx, session, namespace, auth))
        });
        let Some(socket) = socket else {
            return;
        };
        self.welcome(cx, session, socket);
        self.call(cx, socket, |handler, socket| handler.on_connect(socket, state));
    }

    /// Whether a client may join.
    fn admit<S>(
        &self,
        cx: &mut Context<'_>,
        session: Key,
        (namespace, auth): (&str, Option<&str>),
        state: &mut S,
    ) -> Result<(), JoinRefused>
    where
        H: SocketIoHandler<S>,
    {
        let found = self.hub(|hub| {
            let session = hub.sessions.get(session)?;
            let is_full = session.sockets.len() >= hub.config.limits.namespaces;
            Some((session.handshake.clone(), is_full, hub.config.clone()))
        });
        let Some((handshake, is_full, config)) = found else {
            return Err("the session has ended".into());
        };
        // A control character separates packets in the bodies of polling.
        if namespace.contains(char::is_control) || !config.admits(namespace) {
            return Err("Invalid namespace".into());
        }
        if is_full {
            return Err("too many namespaces".into());
        }
        let request = JoinRequest { namespace, handshake: &handshake, auth };
        self.handler.borrow_mut().on_join(cx, &request, state)
    }

    /// The socket that a client had before, if it can have it again.
    fn recover(
        &self,
        cx: &mut Context<'_>,
        session: Key,
        (name, auth): (&str, Option<&str>),
    ) -> Option<Key> {
        let hub = &mut *self.hub.borrow_mut();
        hub.config.recovery?;
        let former: serde_json::Value = serde_json::from_str(auth?).ok()?;
        let secret = former.get("pid")?.as_str()?;
        if name.contains(char::is_control) || !hub.config.admits(name) {
            return None;
        }
        let offset = former.get("offset").map(|offset| {
            offset.as_str().and_then(|offset| offset.parse().ok()).unwrap_or(NOWHERE)
        });
        let namespace = Joins(hub).namespace(cx, name);
        let recovered = Secret::parse(secret).and_then(|secret| {
            Recoveries(hub).recover(cx, session, namespace, Claimed { secret, offset })
        });
        if recovered.is_none() {
            hub.stats.not_recovered += 1;
            // The handler may not let the client into a namespace that was made for its claim.
            Endings(hub).drop_namespace(cx, namespace);
        }
        recovered
    }

    /// Answers a client that has joined.
    fn welcome(&self, cx: &mut Context<'_>, session: Key, socket: Key) {
        let hub = &mut *self.hub.borrow_mut();
        let Some(entry) = hub.sockets.get(socket) else {
            return;
        };
        let json = match &entry.claim {
            Some(claim) => format!("{{\"sid\":\"{}\",\"pid\":\"{}\"}}", entry.id, claim.secret),
            None => format!("{{\"sid\":\"{}\"}}", entry.id),
        };
        let name = hub.namespaces.get(entry.namespace).map(|it| Rc::clone(&it.name));
        let name = name.as_deref().unwrap_or("/");
        Emits(hub).send_packet(
            cx,
            session,
            Packet { data: &json, ..Packet::new(Kind::Connect, name) },
        );
    }
}
