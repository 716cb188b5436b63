//! How sockets end: disconnected, away, forgotten.

use super::call::Report;
use super::deadlines::{Due, Kind};
use super::entry::{Flow, SocketEntry};
use super::records::Records;
use super::rooms::Rooms;
use super::state::Hub;
use crate::Context;
use crate::slots::Key;
use crate::socketio::asks::{AskId, NoAnswer};
use crate::socketio::reason::DisconnectReason;

/// Ends sockets.
pub(in crate::socketio) struct Endings<'a>(pub(in crate::socketio) &'a mut Hub);

impl Endings<'_> {
    /// Ends a socket's membership of its namespace. The handler learns it when reports are made.
    pub(in crate::socketio) fn end_socket(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        reason: DisconnectReason,
    ) {
        let Some(entry) = self.0.sockets.get_mut(socket).filter(|entry| entry.is_connected())
        else {
            return;
        };
        entry.flow = Flow::Ended(reason);
        let (rooms, asks) = (entry.rooms.clone(), std::mem::take(&mut entry.asks));
        for (ask, timer) in asks.map(|asks| asks.0).into_iter().flatten() {
            cx.cancel_timer(timer);
            self.0.reports.push_back(Report::Unanswered(
                socket,
                AskId(ask),
                NoAnswer::Disconnected,
            ));
        }
        for room in rooms {
            Rooms(self.0).exit(cx, socket, Some(&room));
        }
        Rooms(self.0).exit(cx, socket, None);
        if let Some(session) = self.0.sockets.get_mut(socket).and_then(|entry| entry.session.take())
        {
            if let Some(session) = self.0.sessions.get_mut(session) {
                session.sockets.retain(|held| *held != socket);
            }
        }
        self.0.stats.sockets -= 1;
        self.0.reports.push_back(Report::Disconnected(socket, reason));
        self.0.call(cx);
    }

    /// The handler has learned that a socket ended: it may be recovered, or is forgotten.
    pub(in crate::socketio) fn settle_ended(&mut self, cx: &mut Context<'_>, socket: Key) {
        let Some(entry) = self.0.sockets.get_mut(socket) else {
            return;
        };
        let Flow::Ended(reason) = entry.flow else {
            return;
        };
        match entry.claim.as_deref_mut().filter(|_| reason.is_recoverable()) {
            Some(claim) => {
                entry.flow = Flow::Away;
                claim.times_away = claim.times_away.wrapping_add(1);
                let number = claim.times_away;
                self.0.away.insert(claim.secret, socket);
                self.0.deadlines.begin(cx, Due { kind: Kind::Away, key: socket, number });
                Records(self.0).remember_away(cx, socket);
                self.bound_away(cx);
            }
            None => self.forget_socket(cx, socket),
        }
    }

    /// Forgets the sockets that have been away for the longest time, if there are too many.
    fn bound_away(&mut self, cx: &mut Context<'_>) {
        while self.0.away.len() > self.0.config.limits.sessions {
            match self.0.deadlines.take_first(Kind::Away) {
                Some(due) => self.expire_away(cx, due),
                None => return,
            }
        }
    }

    /// A socket that is away was not recovered in time.
    pub(in crate::socketio) fn expire_away(&mut self, cx: &mut Context<'_>, due: Due) {
        let times = |entry: &SocketEntry| entry.claim.as_ref().map(|claim| claim.times_away);
        let is_over =
            |entry: &SocketEntry| entry.flow == Flow::Away && times(entry) == Some(due.number);
        if self.0.sockets.get(due.key).is_some_and(is_over) {
            self.forget_socket(cx, due.key);
        }
    }

    /// Removes a socket that has ended, or can no longer be recovered.
    pub(in crate::socketio) fn forget_socket(&mut self, cx: &mut Context<'_>, socket: Key) {
        let Some(entry) = self.0.sockets.remove(socket) else {
            return;
        };
        self.0.by_id.remove(&entry.id);
        if let Some(claim) = entry.claim {
            self.0.away.remove(&claim.secret);
        }
        if let Some(namespace) = self.0.namespaces.get_mut(entry.namespace) {
            namespace.sockets -= 1;
        }
        self.drop_namespace(cx, entry.namespace);
    }

    /// Removes a namespace that has no sockets any more, unless it is listed.
    pub(in crate::socketio) fn drop_namespace(&mut self, cx: &mut Context<'_>, key: Key) {
        let Some(namespace) = self.0.namespaces.get(key).filter(|namespace| namespace.sockets == 0)
        else {
            return;
        };
        if self.0.config.namespaces.iter().any(|listed| **listed == *namespace.name) {
            return;
        }
        let Some(namespace) = self.0.namespaces.remove(key) else {
            return;
        };
        self.0.by_name.remove(&namespace.name);
        let events = namespace.events.filter(|events| !events.is_durable);
        let topics = [namespace.everyone.topic, events.map(|events| events.topic)];
        topics.into_iter().flatten().for_each(|topic| {
            cx.remove_topic(topic);
        });
    }
}
