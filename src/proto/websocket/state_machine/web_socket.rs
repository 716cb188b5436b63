use std::sync::Arc;

use super::in_progress::InProgress;
use super::opening::{Awaited, Opening, SentRequest};
use super::{PeerError, State, Workspace};
use crate::proto::deflate::{Compression, DeflateAgreement};
use crate::proto::handshake::{ClientRequest, Key};
use crate::proto::websocket::control::{ControlBudget, ControlPayload};
use crate::proto::{
    CloseCode, Limits, Message, OpCode, Payload, ProtocolError, Role, write_payload,
};
use crate::time::Time;

/// One connection's protocol, without I/O: bytes and the time go in, messages and bytes come out.
///
/// The owner feeds what it received to [`handle_input`](Self::handle_input) until it is consumed,
/// sends what was appended to [`Workspace::out`], and calls
/// [`handle_timeout`](Self::handle_timeout) when [`deadline`](Self::deadline) has come. How the
/// bytes were split on the way makes no difference. The documentation of [`proto`](crate::proto)
/// shows the whole loop. These are its steps:
///
/// ```
/// use std::sync::Arc;
/// use eventwire::Time;
/// use eventwire::proto::{
///     BufferPool, Event, Handled, Limits, MaskKeys, Message, WebSocket, Workspace,
///     handshake::Acceptance, handshake::UpgradeRequest,
/// };
///
/// let now = Time::BEGINNING;
/// let mut connection = WebSocket::server(Arc::new(Limits::default()), now);
/// let (mut out, mut pool) = (Vec::new(), BufferPool::default());
/// let mut mask_keys = MaskKeys::new(|bytes: &mut [u8]| bytes.fill(0));
///
/// let mut input = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
///     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///     Sec-WebSocket-Version: 13\r\n\r\n\x81\x82\0\0\0\0hi".to_vec();
/// let mut workspace =
///     Workspace { out: &mut out, mask_keys: &mut mask_keys, pool: &mut pool, now };
///
/// let Handled { consumed, event } = connection.handle_input(&mut input, &mut workspace)?;
/// let Some(Event::Request(head)) = event else { panic!("a request") };
/// let request = UpgradeRequest::parse(&head, Limits::default().head_limits())?;
/// assert_eq!(request.path(), "/chat");
/// connection.accept(&request, &Acceptance::default(), &mut workspace);
///
/// let handled = connection.handle_input(&mut input[consumed..], &mut workspace)?;
/// let Some(Event::Message(incoming)) = handled.event else { panic!("a message") };
/// assert_eq!(incoming.message(), Message::Text("hi"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WebSocket {
    pub(super) limits: Arc<Limits>,
    pub(super) role: Role,
    pub(super) state: State,
    /// Whether a ping was sent and nothing has been received since.
    pub(super) awaiting_pong: bool,
    /// How many pings were sent that no pong has answered.
    pub(super) unanswered_pings: u32,
    /// Whether the queued output is HTTP responses. A peer that takes them gets more time.
    pub(super) responding: bool,
    pub(super) partial: InProgress,
    pub(super) compression: Compression,
    /// The opening handshake, while `Connecting`.
    pub(super) opening: Option<Box<Opening>>,
    /// When the peer last sent something.
    pub(super) last_received: Time,
    /// When the current state began. While `awaiting_pong`, when the ping was sent.
    pub(super) waiting_since: Time,
    pub(super) control_budget: ControlBudget,
}

impl WebSocket {
    /// A connection that this program accepted from a client.
    #[must_use]
    pub fn server(limits: Arc<Limits>, now: Time) -> Self {
        let opening = Some(Box::new(Opening::new(limits.head, None)));
        Self { opening, ..Self::new(Role::Server, State::Connecting, limits, now) }
    }

    /// A connection that this program made to a server: writes the opening request.
    ///
    /// `key` must be fresh and unpredictable (RFC 6455 §4.1).
    #[must_use]
    pub fn client(
        request: ClientRequest,
        key: Key,
        limits: Arc<Limits>,
        workspace: &mut Workspace<'_>,
    ) -> Self {
        request.write(&key, workspace.out);
        let sent = SentRequest { request, key, awaited: Awaited::Response };
        asking(sent, limits, workspace.now)
    }

    /// A connection whose opening handshake was made by other means, for instance by an HTTP
    /// server that hands over the stream. It is [`State::Open`], and its input is frames.
    #[must_use]
    pub fn opened(role: Role, limits: Arc<Limits>, now: Time) -> Self {
        Self::new(role, State::Open, limits, now)
    }

    /// The same, where that handshake agreed on compression.
    #[must_use]
    pub fn compressed(mut self, agreement: Option<DeflateAgreement>) -> Self {
        self.compression.agree(agreement);
        self
    }

    fn new(role: Role, state: State, limits: Arc<Limits>, now: Time) -> Self {
        Self {
            role,
            state,
            awaiting_pong: false,
            unanswered_pings: 0,
            responding: false,
            partial: InProgress::default(),
            compression: Compression::default(),
            opening: None,
            last_received: now,
            waiting_since: now,
            control_budget: ControlBudget::new(now),
            limits,
        }
    }

    /// Which end of the connection this program is.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    pub(crate) const fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// Where the connection is in its life.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether messages may be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Appends a message, compressed if that was agreed and makes it shorter. Returns `false` if
    /// the connection is not open.
    pub fn send(&mut self, message: Message<'_>, workspace: &mut Workspace<'_>) -> bool {
        if self.is_open() {
            let key = workspace.mask_keys.key_for(self.role);
            let mut payload = Payload::from(message);
            let mut compressed = Vec::new();
            if self.compression.applies_to(message.len())
                && self.compression.compress(message.as_bytes(), &mut compressed, workspace.pool)
            {
                payload = Payload { compressed: true, bytes: &compressed, ..payload };
            }
            write_payload(&payload, key, workspace.out);
        }
        self.is_open()
    }

    /// Whether both ends have agreed on compression. Then messages are compressed if that makes
    /// them shorter.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.compression.is_agreed()
    }

    #[inline]
    pub(crate) const fn compression(&self) -> &Compression {
        &self.compression
    }

    #[inline]
    pub(crate) const fn compression_mut(&mut self) -> &mut Compression {
        &mut self.compression
    }

    /// Appends a ping, truncated to 125 bytes (RFC 6455 §5.5). Returns `false` if the connection is
    /// not open.
    pub fn ping(&mut self, payload: &[u8], workspace: &mut Workspace<'_>) -> bool {
        if self.is_open() {
            let len = payload.len().min(ControlPayload::MAX_LEN);
            self.unanswered_pings = self.unanswered_pings.saturating_add(1);
            workspace.write_control(self.role, OpCode::Ping, &payload[..len]);
        }
        self.is_open()
    }

    /// Begins the closing handshake. Before the connection is open, it ends at once.
    ///
    /// A code that must not be sent (RFC 6455 §7.4.1) is left out of the close frame. The reason is
    /// truncated to 123 bytes.
    pub fn close(&mut self, code: CloseCode, reason: &str, workspace: &mut Workspace<'_>) {
        match self.state {
            State::Open => {
                workspace.write_close(self.role, Some(code), reason);
                self.enter(State::Closing, workspace);
            }
            State::Connecting => self.enter(State::Closed, workspace),
            State::Closing | State::Closed => {}
        }
    }

    /// Ends the connection with a close frame, without waiting for the peer's.
    pub(crate) fn close_immediately(&mut self, code: CloseCode, workspace: &mut Workspace<'_>) {
        if self.state == State::Open {
            workspace.write_close(self.role, Some(code), "");
        }
        self.enter(State::Closed, workspace);
    }

    /// Ends the connection without a close frame.
    pub(crate) fn terminate(&mut self, workspace: &mut Workspace<'_>) {
        // The storage is freed: that of many connections that end at once would fill the pool.
        self.partial = InProgress::default();
        self.enter(State::Closed, workspace);
    }

    /// Ends the connection for what the peer did, and tells the peer.
    #[cold]
    pub(crate) fn close_with_error(
        &mut self,
        error: ProtocolError,
        workspace: &mut Workspace<'_>,
    ) -> PeerError {
        if self.state == State::Open {
            workspace.write_close(self.role, Some(error.close_code()), &error.to_string());
        }
        self.enter(State::Closed, workspace);
        error.into()
    }

    /// How many bytes of storage an unfinished message takes, or the body of a response that
    /// refused the connection.
    pub(crate) fn buffered_bytes(&self) -> usize {
        let message = self.partial.buffered_bytes() + self.compression.buffered_bytes();
        message + self.opening.as_ref().map_or(0, |opening| opening.buffered_bytes())
    }

    #[inline]
    pub(super) fn enter(&mut self, state: State, workspace: &mut Workspace<'_>) {
        self.state = state;
        self.waiting_since = workspace.now;
        self.awaiting_pong = false;
        self.opening = None;
        if state != State::Open {
            self.compression.clear(workspace.pool);
        }
        match state {
            State::Closing => self.partial.clear_message(workspace.pool),
            State::Closed => self.partial.discard(workspace.pool),
            State::Connecting | State::Open => {}
        }
    }
}

/// A client that has written its first request.
pub(super) fn asking(sent: SentRequest, limits: Arc<Limits>, now: Time) -> WebSocket {
    let opening = Some(Box::new(Opening::new(limits.head, Some(sent))));
    WebSocket { opening, ..WebSocket::new(Role::Client, State::Connecting, limits, now) }
}
