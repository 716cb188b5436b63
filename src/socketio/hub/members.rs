//! What handlers do with sockets that are connected.

use std::rc::Rc;
use std::time::Duration;

use super::call::Call;
use super::emits::{Emission, Emits};
use super::endings::Endings;
use super::sessions::Sessions;
use super::state::Hub;
use crate::Context;
use crate::slots::Key;
use crate::socketio::asks::AskId;
use crate::socketio::packet::{Kind, Packet};
use crate::socketio::reason::DisconnectReason;

/// Acts on sockets that are connected.
pub(in crate::socketio) struct Members<'a>(pub(in crate::socketio) &'a mut Hub);

impl Members<'_> {
    /// Disconnects a socket from its namespace, and tells its client.
    pub(in crate::socketio) fn disconnect(&mut self, cx: &mut Context<'_>, socket: Key) {
        let Some(entry) = self.0.sockets.get(socket).filter(|entry| entry.is_connected()) else {
            return;
        };
        let name = self.0.namespaces.get(entry.namespace).map(|it| Rc::clone(&it.name));
        if let (Some(session), Some(name)) = (entry.session, name) {
            Emits(self.0).send_packet(cx, session, Packet::new(Kind::Disconnect, &name));
            if let Some(session) = self.0.sessions.get_mut(session) {
                let left = &mut session.left.get_or_insert_default().0;
                if left.len() < self.0.config.limits.namespaces {
                    left.insert(name);
                }
            }
        }
        Endings(self.0).end_socket(cx, socket, DisconnectReason::Disconnected);
    }

    /// Disconnects a socket's client from all its namespaces, and closes the connection.
    pub(in crate::socketio) fn close(&mut self, cx: &mut Context<'_>, socket: Key) {
        let Some(session) = self.0.sockets.get(socket).and_then(|entry| entry.session) else {
            return;
        };
        let sockets = self.0.sessions.get(session).map(|it| it.sockets.clone()).unwrap_or_default();
        for socket in sockets {
            self.disconnect(cx, socket);
        }
        Sessions(self.0).close_session(cx, session, DisconnectReason::Disconnected);
    }

    /// Asks a socket's client something: the event, whose acknowledgement is the answer.
    pub(in crate::socketio) fn ask(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        emission: Emission<'_>,
        timeout: Duration,
    ) -> Option<AskId> {
        let most = self.0.config.limits.asks;
        let entry = self.0.sockets.get(socket).filter(|entry| entry.is_connected())?;
        if entry.asks.as_ref().map_or(0, |asks| asks.0.len()) >= most {
            return None;
        }
        let ask = self.0.last_ask + 1;
        let expired = Call::AskExpired(self.0.id(), socket, AskId(ask));
        let timer = cx.set_timer(timeout, expired).ok()?;
        self.0.last_ask = ask;
        let asks = &mut self.0.sockets.get_mut(socket)?.asks;
        asks.get_or_insert_default().0.insert(ask, timer);
        Emits(self.0).emit_to(cx, socket, Emission { ask: Some(ask), ..emission });
        Some(AskId(ask))
    }

    /// Whether a question was open, which it is no longer.
    pub(in crate::socketio) fn take_ask(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        ask: u64,
    ) -> bool {
        let timer =
            self.0.sockets.get_mut(socket).and_then(|entry| entry.asks.as_mut()?.0.remove(&ask));
        timer.is_some_and(|timer| {
            cx.cancel_timer(timer);
            true
        })
    }
}
