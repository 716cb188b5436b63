//! Sessions: clients with their transports.

use std::rc::Rc;

use bytes::Bytes;

use super::deadlines::Kind;
use super::outputs::Outputs;
use super::{Due, Flow, Hub};
use crate::logging::log_line;
use crate::slots::Key;
use crate::socketio::engine_io::{self, Beat, Outgoing, Transport};
use crate::socketio::handler::DisconnectReason;
use crate::socketio::handshake::Handshake;
use crate::socketio::ids::Secret;
use crate::{ConnectionId, Context, RequestId, SendStatus};

/// A client.
#[derive(Debug)]
pub(in super::super) struct Session {
    pub(in super::super) secret: Secret,
    pub(in super::super) engine: engine_io::Session<RequestId, ConnectionId>,
    pub(in super::super) sockets: Vec<Key>,
    pub(in super::super) handshake: Rc<Handshake>,
    /// A packet whose attachments have not all arrived.
    pub(in super::super) partial: Option<Box<Partial>>,
    /// Counts heartbeats, and tells the deadlines of one from those of others.
    beats: u32,
    /// Counts upgrades.
    upgrades: u32,
    /// It has joined a namespace.
    pub(in super::super) has_joined: bool,
    /// The client has sent a second request, or is on a WebSocket.
    pub(in super::super) is_confirmed: bool,
    is_unflushed: bool,
    accepts_gzip: bool,
}

/// A packet whose attachments have not all arrived.
#[derive(Debug)]
pub(in super::super) struct Partial {
    /// Its text without the type of the Engine.IO packet.
    pub(in super::super) text: String,
    pub(in super::super) count: usize,
    pub(in super::super) attachments: Vec<Bytes>,
}

/// How a session begins.
#[derive(Debug)]
pub(in super::super) struct Opening {
    pub(in super::super) handshake: Handshake,
    /// `None`: by polling.
    pub(in super::super) socket: Option<ConnectionId>,
}

impl Hub {
    /// Opens a session, and returns what its client gets first. `None` if there are too many.
    pub(in super::super) fn open_session(
        &mut self,
        cx: &mut Context<'_>,
        opening: Opening,
    ) -> Option<String> {
        if self.sessions.len() >= self.config.limits.sessions {
            log_line!(warn, "no further session: there are {}", self.sessions.len());
            return None;
        }
        let Opening { handshake, socket } = opening;
        let secret = Secret::random(self.config.place, cx);
        let (engine, transport) = match socket {
            Some(socket) => (engine_io::Session::web_socket(socket), Transport::WebSocket),
            None => (engine_io::Session::polling(), Transport::Polling),
        };
        let accepts_gzip = self.config.compresses(&handshake);
        let key = self.sessions.insert(Session {
            secret,
            engine,
            sockets: Vec::new(),
            handshake: Rc::new(handshake),
            partial: None,
            beats: 0,
            upgrades: 0,
            has_joined: false,
            is_confirmed: socket.is_some(),
            is_unflushed: false,
            accepts_gzip,
        });
        self.by_secret.insert(secret, key);
        self.stats.sessions += 1;
        self.stats.opened += 1;
        match socket {
            Some(socket) => drop(self.by_connection.insert(socket, key)),
            None => self.note_unconfirmed(cx, key),
        }
        self.deadlines.begin(cx, Due { kind: Kind::Ping, key, number: 0 });
        self.deadlines.begin(cx, Due { kind: Kind::Connect, key, number: 0 });
        Some(self.config.settings.open(&secret.to_string(), transport))
    }

    /// Bounds the sessions that nobody has come back to.
    fn note_unconfirmed(&mut self, cx: &mut Context<'_>, key: Key) {
        self.unconfirmed.push_back(key);
        let most = self.config.limits.unconfirmed;
        if self.unconfirmed.len() > most {
            let sessions = &self.sessions;
            self.unconfirmed
                .retain(|key| sessions.get(*key).is_some_and(|session| !session.is_confirmed));
        }
        if self.unconfirmed.len() > most {
            if let Some(oldest) = self.unconfirmed.pop_front() {
                self.abort_session(cx, oldest, DisconnectReason::Lost);
            }
        }
    }

    /// The session with that id, of which a request says so.
    pub(in super::super) fn find_session(&mut self, id: &str) -> Option<Key> {
        let key = *self.by_secret.get(&Secret::parse(id)?)?;
        self.sessions.get_mut(key)?.is_confirmed = true;
        Some(key)
    }

    /// Lets a session act on its transports.
    pub(in super::super) fn act<T>(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        act: impl FnOnce(&mut engine_io::Session<RequestId, ConnectionId>, &mut Outputs<'_, '_>) -> T,
    ) -> Option<T> {
        let session = self.sessions.get_mut(key)?;
        let mut outputs = Outputs { cx, accepts_gzip: session.accepts_gzip };
        let acted = act(&mut session.engine, &mut outputs);
        if session.engine.is_closed() {
            self.remove_session(cx, key);
        }
        Some(acted)
    }

    /// Ends a session in order.
    pub(in super::super) fn close_session(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        reason: DisconnectReason,
    ) {
        self.end_sockets(cx, key, reason);
        self.act(cx, key, |engine, outputs| engine.close(outputs));
        if self.sessions.get(key).is_some() {
            self.deadlines.begin(cx, Due { kind: Kind::Close, key, number: 0 });
        }
    }

    /// Ends a session at once.
    pub(in super::super) fn abort_session(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        reason: DisconnectReason,
    ) {
        self.end_sockets(cx, key, reason);
        self.act(cx, key, |engine, outputs| engine.abort(outputs));
    }

    /// The client has closed a session.
    pub(in super::super) fn leave_session(&mut self, cx: &mut Context<'_>, key: Key) {
        self.end_sockets(cx, key, DisconnectReason::Closed);
        self.act(cx, key, |engine, outputs| engine.end(outputs));
    }

    fn end_sockets(&mut self, cx: &mut Context<'_>, key: Key, reason: DisconnectReason) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        log_line!(debug, "session ended: {reason}");
        session.partial = None;
        for socket in session.sockets.clone() {
            self.end_socket(cx, socket, reason);
        }
    }

    /// Forgets a session of which nothing is left. Its sockets end, if it was lost.
    fn remove_session(&mut self, cx: &mut Context<'_>, key: Key) {
        self.end_sockets(cx, key, DisconnectReason::Lost);
        let Some(session) = self.sessions.remove(key) else {
            return;
        };
        self.by_secret.remove(&session.secret);
        self.stats.sessions -= 1;
    }

    /// The client has answered a ping.
    pub(in super::super) fn note_pong(&mut self, cx: &mut Context<'_>, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.beats = session.beats.wrapping_add(1);
        let number = session.beats;
        self.deadlines.begin(cx, Due { kind: Kind::Ping, key, number });
    }

    /// A ping is due, or a pong was.
    pub(in super::super) fn beat(&mut self, cx: &mut Context<'_>, due: Due) {
        let Some(session) = self.sessions.get_mut(due.key) else {
            return;
        };
        if session.beats != due.number || !session.engine.is_open() {
            return;
        }
        session.beats = session.beats.wrapping_add(1);
        let number = session.beats;
        match self.act(cx, due.key, |engine, outputs| engine.beat(outputs)) {
            Some(Beat::Pinged) => {
                self.deadlines.begin(cx, Due { kind: Kind::Pong, key: due.key, number });
            }
            Some(Beat::Missed) => {
                self.abort_session(cx, due.key, DisconnectReason::PingTimeout);
            }
            None => {}
        }
    }

    /// A WebSocket opened for a session. Returns whether an upgrade begins.
    pub(in super::super) fn begin_upgrade(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        socket: ConnectionId,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        if !session.engine.socket_opened(socket) {
            return false;
        }
        session.upgrades = session.upgrades.wrapping_add(1);
        let number = session.upgrades;
        self.by_connection.insert(socket, key);
        self.deadlines.begin(cx, Due { kind: Kind::Upgrade, key, number });
        true
    }

    /// A session is on its WebSocket now.
    pub(in super::super) fn finish_upgrade(&mut self, cx: &mut Context<'_>, key: Key) {
        self.stats.upgraded += 1;
        let sockets = self.sessions.get(key).map(|it| it.sockets.clone()).unwrap_or_default();
        for socket in sockets {
            match self.sockets.get(socket).map(|entry| entry.flow) {
                Some(Flow::Live) => self.attach_all(cx, socket),
                Some(Flow::CatchingUp(_)) => self.catch_up(cx, socket),
                _ => {}
            }
        }
    }

    /// An upgrade has taken too long, if it still goes on.
    pub(in super::super) fn expire_upgrade(&mut self, cx: &mut Context<'_>, due: Due) {
        if self.sessions.get(due.key).is_some_and(|session| session.upgrades == due.number) {
            self.act(cx, due.key, |engine, outputs| engine.end_upgrade(outputs));
        }
    }

    /// Sends a message of a session. By polling it leaves when the handler has returned.
    pub(in super::super) fn transmit(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        message: &Message<'_>,
    ) -> SendStatus {
        let Some(session) = self.sessions.get_mut(key) else {
            return SendStatus::Gone;
        };
        if let Some(socket) = session.engine.socket() {
            return message.send(&mut cx.connection(socket));
        }
        if !session.engine.is_open() {
            return SendStatus::Gone;
        }
        let waiting = session.engine.queued_bytes();
        if waiting > 0 && waiting + message.len() > self.config.limits.queued {
            self.close_session(cx, key, DisconnectReason::Overflow);
            return SendStatus::Dropped;
        }
        let mut outputs = Outputs { cx, accepts_gzip: session.accepts_gzip };
        session.engine.send(message.share(), &mut outputs);
        if !session.is_unflushed {
            session.is_unflushed = true;
            self.unflushed.push(key);
            self.call(cx);
        }
        match waiting {
            0 => SendStatus::Sent,
            _ => SendStatus::Queued,
        }
    }

    /// Answers the polls of sessions to which something was sent.
    pub(in super::super) fn flush_sessions(&mut self, cx: &mut Context<'_>) {
        for key in std::mem::take(&mut self.unflushed) {
            if let Some(session) = self.sessions.get_mut(key) {
                session.is_unflushed = false;
            }
            self.act(cx, key, |engine, outputs| engine.flush(outputs));
        }
    }
}

/// A message to be sent to one session or to many.
#[derive(Debug)]
pub(in super::super) enum Message<'a> {
    Borrowed { text: &'a str, attachments: &'a [Bytes] },
    Shared(&'a Rc<Outgoing>),
}

impl Message<'_> {
    pub(in super::super) fn parts(&self) -> (&str, &[Bytes]) {
        match self {
            Self::Borrowed { text, attachments } => (text, attachments),
            Self::Shared(message) => (&message.text, &message.attachments),
        }
    }

    fn len(&self) -> usize {
        let (text, attachments) = self.parts();
        text.len() + attachments.iter().map(Bytes::len).sum::<usize>()
    }

    /// Sends it on a WebSocket.
    #[inline]
    pub(in super::super) fn send(&self, conn: &mut crate::Connection<'_>) -> SendStatus {
        let (text, attachments) = self.parts();
        let mut status = conn.send(text);
        for attachment in attachments {
            status = conn.send(attachment);
        }
        status
    }

    fn share(&self) -> Rc<Outgoing> {
        match self {
            Self::Borrowed { text, attachments } => {
                Rc::new(Outgoing { text: (*text).to_owned(), attachments: attachments.to_vec() })
            }
            Self::Shared(message) => Rc::clone(message),
        }
    }
}
