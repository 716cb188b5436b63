//! Sessions: opened, closed, written to, moved to a WebSocket.

use bytes::Bytes;

use super::deadlines::{Due, Kind};
use super::endings::Endings;
use super::message::Message;
use super::outputs::Outputs;
use super::session::{AttachmentError, Engine, Opening, Partial, Session};
use super::state::Hub;
use crate::logging::log_line;
use crate::slots::Key;
use crate::socketio::engine_io::{self, Beat, Transport};
use crate::socketio::ids::Secret;
use crate::socketio::reason::DisconnectReason;
use crate::{ConnectionId, Context, SendStatus};

/// Acts on sessions.
pub(in crate::socketio) struct Sessions<'a>(pub(in crate::socketio) &'a mut Hub);

impl Sessions<'_> {
    /// Opens a session, and returns what its client gets first. `None` if there are too many.
    pub(in crate::socketio) fn open_session(
        &mut self,
        cx: &mut Context<'_>,
        opening: Opening,
    ) -> Option<String> {
        if self.0.sessions.len() >= self.0.config.limits.sessions {
            log_line!(warn, "no further session: there are {}", self.0.sessions.len());
            return None;
        }
        let Opening { handshake, socket } = opening;
        let secret = Secret::random(self.0.config.place, cx);
        let (engine, transport) = match socket {
            Some(socket) => (engine_io::Session::web_socket(socket), Transport::WebSocket),
            None => (engine_io::Session::polling(), Transport::Polling),
        };
        let accepts_gzip = self.0.config.compresses(&handshake);
        let key = self.0.sessions.insert(Session {
            secret,
            engine,
            sockets: Vec::new(),
            handshake,
            left: None,
            partial: None,
            beats: 0,
            upgrades: 0,
            has_joined: false,
            is_confirmed: socket.is_some(),
            is_unflushed: false,
            accepts_gzip,
            post: None,
        });
        self.0.by_secret.insert(secret, key);
        self.0.stats.sessions += 1;
        self.0.stats.opened += 1;
        match socket {
            Some(socket) => drop(self.0.by_connection.insert(socket, key)),
            None => self.note_unconfirmed(cx, key),
        }
        self.0.deadlines.begin(cx, Due { kind: Kind::Ping, key, number: 0 });
        let sessions = &self.0.sessions;
        let is_waiting =
            |due: &Due| sessions.get(due.key).is_some_and(|session| !session.has_joined);
        self.0.deadlines.forget(Kind::Connect, is_waiting);
        self.0.deadlines.begin(cx, Due { kind: Kind::Connect, key, number: 0 });
        Some(self.0.config.settings.open(&secret.to_string(), transport))
    }

    /// Bounds the sessions that nobody has come back to.
    fn note_unconfirmed(&mut self, cx: &mut Context<'_>, key: Key) {
        self.0.unconfirmed.push_back(key);
        self.0.unconfirmed_count += 1;
        while let Some(oldest) = self.0.unconfirmed.front().copied() {
            let session = self.0.sessions.get(oldest);
            let is_unconfirmed = session.is_some_and(|session| !session.is_confirmed);
            if is_unconfirmed && self.0.unconfirmed_count <= self.0.config.limits.unconfirmed {
                break;
            }
            self.0.unconfirmed.pop_front();
            if is_unconfirmed {
                self.abort_session(cx, oldest, DisconnectReason::Lost);
            }
        }
    }

    /// The session with that id, of which a request says so.
    pub(in crate::socketio) fn find_session(&mut self, id: &str) -> Option<Key> {
        let key = *self.0.by_secret.get(&Secret::parse(id)?)?;
        let session = self.0.sessions.get_mut(key)?;
        if !std::mem::replace(&mut session.is_confirmed, true) {
            self.0.unconfirmed_count -= 1;
        }
        Some(key)
    }

    /// Adds an attachment to the packet that it belongs to. Returns the packet once it is whole.
    pub(in crate::socketio) fn add_attachment(
        &mut self,
        key: Key,
        bytes: Bytes,
    ) -> Result<Option<Box<Partial>>, AttachmentError> {
        let Hub { sessions, config, partial_bytes, .. } = &mut *self.0;
        let partial = sessions.get_mut(key).and_then(|session| session.partial.as_mut());
        let partial = partial.ok_or(AttachmentError::Unannounced)?;
        if partial.attachments.len() + 1 == partial.count {
            partial.attachments.push(bytes);
            return Ok(self.take_partial(key));
        }
        *partial_bytes += bytes.len();
        partial.bytes += bytes.len();
        partial.attachments.push(bytes);
        match *partial_bytes > config.limits.partial {
            true => Err(AttachmentError::TooMuch),
            false => Ok(None),
        }
    }

    /// Takes a session's packet that was not whole.
    fn take_partial(&mut self, key: Key) -> Option<Box<Partial>> {
        let partial = self.0.sessions.get_mut(key)?.partial.take()?;
        self.0.partial_bytes -= partial.bytes;
        Some(partial)
    }

    /// Lets a session act on its transports.
    pub(in crate::socketio) fn act<T>(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        act: impl FnOnce(&mut Engine, &mut Outputs<'_, '_>) -> T,
    ) -> Option<T> {
        let session = self.0.sessions.get_mut(key)?;
        let mut outputs = Outputs { cx, accepts_gzip: session.accepts_gzip };
        let acted = act(&mut session.engine, &mut outputs);
        if session.engine.is_closed() {
            self.remove_session(cx, key);
        }
        Some(acted)
    }

    /// Ends a session in order.
    pub(in crate::socketio) fn close_session(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        reason: DisconnectReason,
    ) {
        self.end_sockets(cx, key, reason);
        self.act(cx, key, |engine, outputs| engine.close(outputs));
        if self.0.sessions.get(key).is_some() {
            self.0.deadlines.begin(cx, Due { kind: Kind::Close, key, number: 0 });
        }
    }

    /// Ends a session at once.
    pub(in crate::socketio) fn abort_session(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        reason: DisconnectReason,
    ) {
        self.end_sockets(cx, key, reason);
        self.act(cx, key, |engine, outputs| engine.abort(outputs));
    }

    /// The client has closed a session.
    pub(in crate::socketio) fn leave_session(&mut self, cx: &mut Context<'_>, key: Key) {
        self.end_sockets(cx, key, DisconnectReason::Closed);
        self.act(cx, key, |engine, outputs| engine.end(outputs));
    }

    fn end_sockets(&mut self, cx: &mut Context<'_>, key: Key, reason: DisconnectReason) {
        drop(self.take_partial(key));
        let Some(session) = self.0.sessions.get(key) else {
            return;
        };
        log_line!(debug, "session ended: {reason}");
        for socket in session.sockets.clone() {
            Endings(self.0).end_socket(cx, socket, reason);
        }
    }

    /// Forgets a session of which nothing is left. Its sockets end, if it was lost.
    fn remove_session(&mut self, cx: &mut Context<'_>, key: Key) {
        self.end_sockets(cx, key, DisconnectReason::Lost);
        let Some(session) = self.0.sessions.remove(key) else {
            return;
        };
        if !session.is_confirmed {
            self.0.unconfirmed_count -= 1;
        }
        self.0.by_secret.remove(&session.secret);
        self.0.stats.sessions -= 1;
    }

    /// The client has answered a ping.
    pub(in crate::socketio) fn note_pong(&mut self, cx: &mut Context<'_>, key: Key) {
        let Some(session) = self.0.sessions.get_mut(key) else {
            return;
        };
        session.beats = session.beats.wrapping_add(1);
        let number = session.beats;
        self.0.deadlines.begin(cx, Due { kind: Kind::Ping, key, number });
    }

    /// A ping is due, or a pong was.
    pub(in crate::socketio) fn beat(&mut self, cx: &mut Context<'_>, due: Due) {
        let Some(session) = self.0.sessions.get_mut(due.key) else {
            return;
        };
        if session.beats != due.number || !session.engine.is_open() {
            return;
        }
        session.beats = session.beats.wrapping_add(1);
        let number = session.beats;
        match self.act(cx, due.key, |engine, outputs| engine.beat(outputs)) {
            Some(Beat::Pinged) => {
                self.0.deadlines.begin(cx, Due { kind: Kind::Pong, key: due.key, number });
            }
            Some(Beat::Missed) => {
                self.abort_session(cx, due.key, DisconnectReason::PingTimeout);
            }
            None => {}
        }
    }

    /// A WebSocket opened for a session. Returns whether an upgrade begins.
    pub(in crate::socketio) fn begin_upgrade(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        socket: ConnectionId,
    ) -> bool {
        let Some(session) = self.0.sessions.get_mut(key) else {
            return false;
        };
        if !session.engine.socket_opened(socket) {
            return false;
        }
        session.upgrades = session.upgrades.wrapping_add(1);
        let number = session.upgrades;
        self.0.by_connection.insert(socket, key);
        self.0.deadlines.begin(cx, Due { kind: Kind::Upgrade, key, number });
        true
    }

    /// An upgrade has taken too long, if it still goes on.
    pub(in crate::socketio) fn expire_upgrade(&mut self, cx: &mut Context<'_>, due: Due) {
        if self.0.sessions.get(due.key).is_some_and(|session| session.upgrades == due.number) {
            self.act(cx, due.key, |engine, outputs| engine.end_upgrade(outputs));
        }
    }

    /// Sends a message of a session. By polling it leaves when the handler has returned.
    pub(in crate::socketio) fn transmit(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        message: &Message<'_>,
    ) -> SendStatus {
        let Some(session) = self.0.sessions.get_mut(key) else {
            return SendStatus::Gone;
        };
        if let Some(socket) = session.engine.socket() {
            return message.send(&mut cx.connection(socket));
        }
        if !session.engine.is_open() {
            return SendStatus::Gone;
        }
        let waiting = session.engine.queued_bytes();
        if waiting > 0 && waiting + message.len() > self.0.config.limits.queued {
            self.close_session(cx, key, DisconnectReason::Overflow);
            return SendStatus::Dropped;
        }
        let mut outputs = Outputs { cx, accepts_gzip: session.accepts_gzip };
        session.engine.send(message.share(), &mut outputs);
        if !session.is_unflushed {
            session.is_unflushed = true;
            self.0.unflushed.push(key);
            self.0.call(cx);
        }
        match waiting {
            0 => SendStatus::Sent,
            _ => SendStatus::Queued,
        }
    }

    /// Answers the polls of sessions to which something was sent.
    pub(in crate::socketio) fn flush_sessions(&mut self, cx: &mut Context<'_>) {
        for key in std::mem::take(&mut self.0.unflushed) {
            if let Some(session) = self.0.sessions.get_mut(key) {
                session.is_unflushed = false;
            }
            self.act(cx, key, |engine, outputs| engine.flush(outputs));
        }
    }
}
