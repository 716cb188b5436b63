//! A client with its transport.

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use crate::slots::Key;
use crate::socketio::engine_io;
use crate::socketio::handshake::Handshake;
use crate::socketio::ids::Secret;
use crate::{ConnectionId, RequestId};

/// The state machine of a session, over the loop's connections.
pub(in crate::socketio) type Engine = engine_io::Session<RequestId, ConnectionId>;

/// A client.
#[derive(Debug)]
pub(in crate::socketio) struct Session {
    pub(in crate::socketio) secret: Secret,
    pub(in crate::socketio) engine: Engine,
    pub(in crate::socketio) sockets: Vec<Key>,
    pub(in crate::socketio) handshake: Handshake,
    /// The namespaces from which the application has disconnected the client.
    pub(in crate::socketio) left: Option<Box<Left>>,
    /// A packet whose attachments have not all arrived.
    pub(in crate::socketio) partial: Option<Box<Partial>>,
    /// Counts heartbeats, and tells the deadlines of one from those of others.
    pub(in crate::socketio) beats: u32,
    /// Counts upgrades.
    pub(in crate::socketio) upgrades: u32,
    /// It has joined a namespace.
    pub(in crate::socketio) has_joined: bool,
    /// The client has sent a second request, or is on a WebSocket.
    pub(in crate::socketio) is_confirmed: bool,
    pub(in crate::socketio) is_unflushed: bool,
    pub(in crate::socketio) accepts_gzip: bool,
    /// The connection on which packets arrive by polling.
    pub(in crate::socketio) post: Option<ConnectionId>,
}

/// Namespaces from which the application has disconnected a client, and that the client has not
/// joined again.
#[derive(Debug, Default)]
pub(in crate::socketio) struct Left(pub(in crate::socketio) BTreeSet<Rc<str>>);

/// A packet whose attachments have not all arrived.
#[derive(Debug)]
pub(in crate::socketio) struct Partial {
    /// Its text without the type of the Engine.IO packet.
    pub(in crate::socketio) text: String,
    pub(in crate::socketio) count: usize,
    pub(in crate::socketio) attachments: Vec<Bytes>,
    /// How many bytes the attachments have.
    pub(in crate::socketio) bytes: usize,
}

/// How a session begins.
#[derive(Debug)]
pub(in crate::socketio) struct Opening {
    pub(in crate::socketio) handshake: Handshake,
    /// `None`: by polling.
    pub(in crate::socketio) socket: Option<ConnectionId>,
}

/// Why an attachment is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socketio) enum AttachmentError {
    /// No packet announced it.
    Unannounced,
    /// All clients together have sent too many whose packets are not whole.
    TooMuch,
}

impl fmt::Display for AttachmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unannounced => "an attachment that was not announced",
            Self::TooMuch => "more attachments than may wait for their packets",
        })
    }
}
