//! One connection's protocol: a state machine that bytes and the time go into.

mod deadlines;
mod event;
mod frames;
mod opening;
mod partial;
mod whole;

use std::sync::Arc;

use self::opening::{Opening, SentRequest};
use super::control::{ControlBudget, ControlPayload};
use super::{
    BufferPool, CloseCode, CloseFrame, Limits, MaskKeys, Message, OpCode, Payload, ProtocolError,
    Role, Share, write_frame, write_payload,
};
use crate::proto::deflate::{Compression, DeflateAgreement, Setting};
use crate::proto::handshake::{ClientRequest, Key};
use crate::time::Time;

pub use event::{Event, Handled, Incoming, PeerError, State, TimedOut, Workspace};
pub(super) use partial::Partial;
pub(crate) use whole::WholeMessages;

/// One connection's protocol, without I/O: bytes and the time go in, messages and bytes come out.
///
/// The owner feeds what it received to [`handle_input`](Self::handle_input) until it is consumed,
/// sends what was appended to [`Workspace::out`], and calls
/// [`handle_timeout`](Self::handle_timeout) when [`deadline`](Self::deadline) has come. How the
/// bytes were split on the way makes no difference.
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
    limits: Arc<Limits>,
    role: Role,
    state: State,
    /// Whether a ping of ours went out and nothing was heard since.
    awaiting_pong: bool,
    /// How many pings of ours went out that no pong has come for.
    unanswered_pings: u32,
    /// What may still be sent is a response that opens nothing: whoever takes it has time.
    responding: bool,
    /// What is not whole of what has arrived, if something is.
    partial: Option<Box<Partial>>,
    compression: Compression,
    /// What the opening handshake needs, while `Connecting`.
    opening: Option<Box<Opening>>,
    /// When the peer was last heard.
    last_received: Time,
    /// When the present state began, or, while `awaiting_pong`, when the ping went out.
    waiting_since: Time,
    control_budget: ControlBudget,
}

impl WebSocket {
    /// A connection that a client made to this program.
    #[must_use]
    pub fn server(limits: Arc<Limits>, now: Time) -> Self {
        Self::connecting(Role::Server, limits, None, now)
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
        Self::connecting(Role::Client, limits, Some(SentRequest { request, key }), workspace.now)
    }

    /// A connection whose opening handshake was made by other means, for instance by an HTTP
    /// server that hands over the stream: it is [`State::Open`], and what arrives is frames.
    #[must_use]
    pub fn opened(role: Role, limits: Arc<Limits>, now: Time) -> Self {
        Self::new(role, State::Open, limits, now)
    }

    /// The same with what that handshake agreed of compression.
    #[must_use]
    pub fn compressed(mut self, agreement: Option<DeflateAgreement>) -> Self {
        self.compression.agree(agreement);
        self
    }

    fn connecting(role: Role, limits: Arc<Limits>, sent: Option<SentRequest>, now: Time) -> Self {
        let opening = Some(Box::new(Opening::new(limits.head, sent)));
        Self { opening, ..Self::new(role, State::Connecting, limits, now) }
    }

    fn new(role: Role, state: State, limits: Arc<Limits>, now: Time) -> Self {
        Self {
            role,
            state,
            awaiting_pong: false,
            unanswered_pings: 0,
            responding: false,
            partial: None,
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

    /// What it may cost.
    pub(crate) fn limits(&self) -> &Limits {
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

    /// Takes bytes from the peer, unmasking them in place, until the next event.
    ///
    /// All bytes are consumed when there is no event. Call again with the rest after an event,
    /// also while the rest is empty.
    ///
    /// # Errors
    ///
    /// What the peer did wrong. It was told so through [`Workspace::out`], the state is
    /// [`State::Closed`], and further input is discarded.
    #[inline]
    pub fn handle_input<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<Handled<'a>, PeerError> {
        let whole = self.whole_messages(workspace.now).and_then(|whole| whole.find(input));
        if let Some(whole) = whole {
            return match whole.read(input) {
                Ok(message) => Ok(Handled {
                    consumed: whole.end(),
                    event: Some(Event::Message(Incoming::Borrowed(message))),
                }),
                Err(error) => Err(self.close_with_error(error, workspace)),
            };
        }
        let mut share = Share::WHOLE;
        let Handled { consumed, event } = self.handle_input_within(input, workspace, &mut share)?;
        Ok(Handled { consumed, event: self.finish_inflating(event, workspace)? })
    }

    /// The same, where no [whole message](Self::whole_messages) lies at the front, until the next
    /// event or the end of `share`, which may not be used up.
    pub(crate) fn handle_input_within<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
        share: &mut Share,
    ) -> Result<Handled<'a>, PeerError> {
        self.last_received = workspace.now;
        let received = match self.state {
            State::Open | State::Closing => self.handle_frames(input, workspace, share),
            State::Connecting => {
                // Plain requests come in rows, too.
                share.take_frames(1);
                return self.handle_head(input, workspace);
            }
            State::Closed => return Ok(Handled::all(input.len())),
        };
        received.map_err(|error| self.close_with_error(error, workspace))
    }

    /// Appends a message, compressed if that was agreed and makes it shorter; `false` when the
    /// connection is not open.
    pub fn send(&mut self, message: Message<'_>, workspace: &mut Workspace<'_>) -> bool {
        if self.is_open() {
            let key = self.mask_key(workspace.mask_keys);
            let mut payload = Payload::from(message);
            let mut compressed = Vec::new();
            if self.compresses(message.len())
                && self.compress(message.as_bytes(), &mut compressed, workspace.pool)
            {
                payload = Payload { compressed: true, bytes: &compressed, ..payload };
            }
            write_payload(&payload, key, workspace.out);
        }
        self.is_open()
    }

    /// Whether messages are compressed where that makes them shorter, as both ends have agreed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.compression.is_agreed()
    }

    /// How what is sent is compressed, if it is.
    #[inline]
    pub(crate) fn compression(&self) -> Option<Setting> {
        self.compression.setting()
    }

    /// Whether to try and compress a message of that length.
    #[inline]
    pub(crate) fn compresses(&self, len: usize) -> bool {
        self.compression.setting().is_some_and(|setting| len >= setting.min_size)
    }

    /// Compresses a message into `out`, which is cleared; whether it came out shorter. It must be
    /// sent then.
    pub(crate) fn compress(
        &mut self,
        message: &[u8],
        out: &mut Vec<u8>,
        pool: &mut BufferPool,
    ) -> bool {
        self.compression.compress(message, out, pool)
    }

    /// A message is sent that was compressed elsewhere, by itself.
    pub(crate) fn reset_compression_context(&mut self) {
        self.compression.reset_context();
    }

    /// Appends a ping, cut to 125 bytes (RFC 6455 §5.5); `false` when the connection is not open.
    pub fn ping(&mut self, payload: &[u8], workspace: &mut Workspace<'_>) -> bool {
        if self.is_open() {
            let len = payload.len().min(ControlPayload::MAX_LEN);
            self.write_ping(&payload[..len], workspace);
        }
        self.is_open()
    }

    fn write_ping(&mut self, payload: &[u8], workspace: &mut Workspace<'_>) {
        self.unanswered_pings = self.unanswered_pings.saturating_add(1);
        self.write_control(OpCode::Ping, payload, workspace);
    }

    /// Begins the closing handshake; ends a connection that is not open yet.
    ///
    /// A code that must not be sent (RFC 6455 §7.4.1) goes as a close frame without one. The
    /// reason is cut to 123 bytes.
    pub fn close(&mut self, code: CloseCode, reason: &str, workspace: &mut Workspace<'_>) {
        match self.state {
            State::Open => {
                self.write_close(Some(code), reason, workspace);
                self.enter(State::Closing, workspace);
            }
            State::Connecting => self.enter(State::Closed, workspace),
            State::Closing | State::Closed => {}
        }
    }

    /// Ends the connection with a close frame, without waiting for the peer's: whatever else it
    /// sends is discarded.
    pub(crate) fn close_immediately(&mut self, code: CloseCode, workspace: &mut Workspace<'_>) {
        if self.state == State::Open {
            self.write_close(Some(code), "", workspace);
        }
        self.enter(State::Closed, workspace);
    }

    /// Ends the connection without a word.
    pub(crate) fn terminate(&mut self, workspace: &mut Workspace<'_>) {
        // Storage of many that end at once would fill the pool.
        self.partial = None;
        self.enter(State::Closed, workspace);
    }

    /// Bytes of storage that an unfinished message holds.
    pub(crate) fn buffered_bytes(&self) -> usize {
        let message = self.partial.as_ref().map_or(0, |partial| partial.message.buffered_bytes());
        message + self.compression.buffered_bytes()
    }

    /// The key for the next frame that this side sends: a client masks, a server does not.
    #[inline]
    pub(crate) fn mask_key(&self, mask_keys: &mut MaskKeys) -> Option<[u8; 4]> {
        (self.role == Role::Client).then(|| mask_keys.next_key())
    }

    fn enter(&mut self, state: State, workspace: &mut Workspace<'_>) {
        self.state = state;
        self.waiting_since = workspace.now;
        self.awaiting_pong = false;
        self.opening = None;
        if state != State::Open {
            self.compression.clear(workspace.pool);
        }
        match (state, &mut self.partial) {
            (State::Closing, Some(partial)) => partial.message.clear(workspace.pool),
            (State::Closed, _) => self.discard_partial(workspace.pool),
            _ => {}
        }
    }

    /// Ends the connection for what the peer did, and tells it.
    #[cold]
    pub(crate) fn close_with_error(
        &mut self,
        error: ProtocolError,
        workspace: &mut Workspace<'_>,
    ) -> PeerError {
        if self.state == State::Open {
            self.write_close(Some(error.close_code()), &error.to_string(), workspace);
        }
        self.enter(State::Closed, workspace);
        error.into()
    }

    fn write_close(
        &mut self,
        code: Option<CloseCode>,
        reason: &str,
        workspace: &mut Workspace<'_>,
    ) {
        let mut payload = [0; ControlPayload::MAX_LEN];
        let len = match code.filter(|code| code.is_sendable()) {
            Some(code) => CloseFrame { code, reason }.encode(&mut payload),
            None => 0,
        };
        self.write_control(OpCode::Close, &payload[..len], workspace);
    }

    fn write_control(&mut self, opcode: OpCode, payload: &[u8], workspace: &mut Workspace<'_>) {
        let key = self.mask_key(workspace.mask_keys);
        write_frame(opcode, payload, key, workspace.out);
    }
}

#[cfg(test)]
mod tests;
