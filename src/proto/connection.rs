use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::assembler::Assembler;
use super::buffer::{Buffer, BufferPool};
use super::control::{ControlBudget, ControlPayload};
use super::handshake::{
    Acceptance, ClientRequest, HandshakeError, HeadScanner, Key, Refusal, Request,
};
use super::{
    CloseCode, CloseFrame, FrameHeader, Limits, MaskKeys, Message, OpCode, ProtocolError, Role,
    apply_mask, write_frame,
};

/// Payloads with at least this much still to come are received straight into their buffer.
const DIRECT: usize = 16 * 1024;

/// How much more than what has arrived is made ready for a payload, whatever length is declared.
const READ_AHEAD: usize = 64 * 1024;

/// Where a connection is in its life.
///
/// ```text
/// Connecting ──handshake done──▶ Open ──close frame sent──▶ Closing ──peer's close frame──▶ Closed
///     │                            └────peer's close frame, error or timeout─────────────────▲
///     └──────────────refused, failed or timed out────────────────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The opening handshake is not done.
    Connecting,
    /// Messages go both ways.
    Open,
    /// Our close frame is sent, the peer's is awaited; what else arrives is discarded.
    Closing,
    /// Nothing more is sent or received: the owner ends the stream after what is written.
    Closed,
}

/// What a connection borrows from its owner for one call.
#[derive(Debug)]
pub struct Workspace<'a> {
    /// Where bytes for the peer are appended.
    pub out: &'a mut Vec<u8>,
    /// Mask keys, which only a client draws.
    pub keys: &'a mut MaskKeys,
    /// Storage for messages that are not complete.
    pub pool: &'a mut BufferPool,
    /// The time.
    pub now: Instant,
}

/// What arrived.
#[derive(Debug)]
pub enum Event<'a> {
    /// A client's opening request, to be parsed with [`Request::parse`] and answered with
    /// [`Connection::accept`] or [`Connection::refuse`] before anything else is received.
    Request(Cow<'a, [u8]>),
    /// The server accepted: the head of its response, which was checked.
    Open(Cow<'a, [u8]>),
    /// A whole message.
    Message(Incoming<'a>),
    /// A ping. Its pong was written: nothing else was in that call.
    Ping(ControlPayload),
    /// A pong, asked for or not.
    Pong(ControlPayload),
    /// The peer's close frame, which is its last. Ours was written if it had not been sent.
    Close(ControlPayload),
}

/// A message as it arrived: in the input, or assembled from pieces.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// The message lies in the input, unmasked in place.
    Borrowed(Message<'a>),
    /// The message was assembled. Give the buffer back with [`BufferPool::recycle`].
    Assembled(OpCode, Buffer),
}

impl Incoming<'_> {
    /// The message.
    ///
    /// # Panics
    ///
    /// Never: text was validated while it arrived.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        match self {
            Self::Borrowed(message) => *message,
            Self::Assembled(OpCode::Text, buffer) => Message::Text(
                std::str::from_utf8(buffer.as_slice()).expect("validated while it arrived"),
            ),
            Self::Assembled(_, buffer) => Message::Binary(buffer.as_slice()),
        }
    }
}

/// What the peer did to end the connection in disorder. It was told so, and the state is
/// [`State::Closed`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PeerError {
    /// The opening handshake failed.
    Handshake(HandshakeError),
    /// A frame broke the protocol or a limit.
    Protocol(ProtocolError),
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => error.fmt(f),
            Self::Protocol(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PeerError {}

impl From<HandshakeError> for PeerError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<ProtocolError> for PeerError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

/// Which deadline a connection missed. The state is [`State::Closed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimedOut {
    /// The opening handshake.
    Handshake,
    /// The end of a message that had begun.
    Message,
    /// Any sign of life after a ping.
    Pong,
    /// The closing handshake.
    Close,
}

/// One connection's protocol, without I/O: bytes and the time go in, messages and bytes come out.
///
/// The owner feeds what it received to [`receive`](Self::receive) until it is consumed, sends what
/// was appended to [`Workspace::out`], and calls [`handle_timeout`](Self::handle_timeout) when
/// [`deadline`](Self::deadline) has come. How the bytes were split on the way makes no difference.
///
/// ```
/// use std::{sync::Arc, time::Instant};
/// use eventwire::proto::{
///     BufferPool, Connection, Event, Limits, MaskKeys, Message, Workspace, handshake::Acceptance,
///     handshake::Request,
/// };
///
/// let now = Instant::now();
/// let mut connection = Connection::server(Arc::new(Limits::default()), now);
/// let (mut out, mut pool) = (Vec::new(), BufferPool::default());
/// let mut keys = MaskKeys::new(|bytes: &mut [u8]| bytes.fill(0));
///
/// let mut input = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
///     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///     Sec-WebSocket-Version: 13\r\n\r\n\x81\x82\0\0\0\0hi".to_vec();
/// let mut workspace = Workspace { out: &mut out, keys: &mut keys, pool: &mut pool, now };
///
/// let (used, event) = connection.receive(&mut input, &mut workspace)?;
/// let Some(Event::Request(head)) = event else { panic!("a request") };
/// let request = Request::parse(&head, Limits::default().head_limits())?;
/// assert_eq!(request.path(), "/chat");
/// connection.accept(&request, &Acceptance::default(), &mut workspace);
///
/// let (_, event) = connection.receive(&mut input[used..], &mut workspace)?;
/// let Some(Event::Message(incoming)) = event else { panic!("a message") };
/// assert_eq!(incoming.message(), Message::Text("hi"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    limits: Arc<Limits>,
    role: Role,
    state: State,
    /// Whether a ping of ours went out and nothing was heard since.
    awaiting_pong: bool,
    /// The start of a frame header whose rest has not arrived: `header[..header_len]`.
    header: [u8; FrameHeader::MAX_LEN],
    header_len: u8,
    /// The frame whose payload has not arrived whole.
    frame: Option<Frame>,
    message: Assembler,
    /// The payload so far of a control frame that has not arrived whole.
    control: Option<Box<ControlPayload>>,
    /// What the opening handshake needs, while `Connecting`.
    opening: Option<Box<Opening>>,
    /// When the peer was last heard.
    heard: Instant,
    /// When the present state began, or, while `awaiting_pong`, when the ping went out.
    since: Instant,
    control_budget: ControlBudget,
}

/// A frame in progress.
#[derive(Clone, Copy, Debug)]
struct Frame {
    fin: bool,
    opcode: OpCode,
    mask: Option<[u8; 4]>,
    /// Payload bytes that have arrived, modulo 4: the phase of the mask.
    offset: usize,
    /// Payload bytes still to come.
    remaining: usize,
}

impl Frame {
    fn unmask(&mut self, bytes: &mut [u8]) {
        if let Some(key) = self.mask {
            apply_mask(bytes, key, self.offset);
        }
        self.offset = (self.offset + bytes.len()) % 4;
        self.remaining -= bytes.len();
    }
}

/// The opening handshake in progress.
#[derive(Debug)]
struct Opening {
    scanner: HeadScanner,
    /// The head so far, when it did not arrive in one piece.
    head: Vec<u8>,
    /// What a client expects the response to answer; a server expects nothing.
    expected: Option<(ClientRequest, Key)>,
    /// A server has yielded the request and waits for its owner's answer.
    answer_due: bool,
}

impl Connection {
    /// A connection that a client made to this program.
    #[must_use]
    pub fn server(limits: Arc<Limits>, now: Instant) -> Self {
        Self::new(Role::Server, limits, None, now)
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
        Self::new(Role::Client, limits, Some((request, key)), workspace.now)
    }

    fn new(
        role: Role,
        limits: Arc<Limits>,
        expected: Option<(ClientRequest, Key)>,
        now: Instant,
    ) -> Self {
        let scanner = HeadScanner::new(limits.head);
        let opening = Opening { scanner, head: Vec::new(), expected, answer_due: false };
        Self {
            role,
            state: State::Connecting,
            awaiting_pong: false,
            header: [0; FrameHeader::MAX_LEN],
            header_len: 0,
            frame: None,
            message: Assembler::new(now),
            control: None,
            opening: Some(Box::new(opening)),
            heard: now,
            since: now,
            control_budget: ControlBudget::new(now),
            limits,
        }
    }

    /// Which end of the connection this program is.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
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
    /// Returns how many bytes were consumed and what they made; all are consumed when there is
    /// no event. Call again with the rest, also while the rest is empty of complete frames.
    ///
    /// # Errors
    ///
    /// What the peer did wrong. It was told so through [`Workspace::out`], the state is
    /// [`State::Closed`], and further input is discarded.
    #[inline]
    pub fn receive<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<(usize, Option<Event<'a>>), PeerError> {
        self.heard = workspace.now;
        let received = match self.state {
            State::Open | State::Closing => self.receive_frames(input, workspace),
            State::Connecting => return self.receive_head(input, workspace),
            State::Closed => return Ok((input.len(), None)),
        };
        received.map_err(|error| {
            self.fail(error, workspace);
            error.into()
        })
    }

    fn receive_frames<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<(usize, Option<Event<'a>>), ProtocolError> {
        self.awaiting_pong = false;
        let mut at = 0;
        while self.state != State::Closed {
            let frame = if let Some(frame) = self.frame {
                frame
            } else {
                let Some(header) = self.next_header(input, &mut at)? else {
                    break;
                };
                let frame = self.begin(&header, workspace.now)?;
                let whole = frame.remaining <= input.len() - at;
                if whole && !frame.opcode.is_control() && frame.fin && self.message.is_first_frame()
                {
                    self.message.end_borrowed();
                    let payload = at..at + frame.remaining;
                    at = payload.end;
                    if self.state == State::Closing {
                        continue;
                    }
                    return borrowed(frame, &mut input[payload]).map(|event| (at, Some(event)));
                }
                frame
            };
            let take = frame.remaining.min(input.len() - at);
            let event = self.absorb(frame, &input[at..at + take], workspace)?;
            at += take;
            if event.is_some() {
                return Ok((at, event));
            }
            if self.frame.is_some() {
                break;
            }
        }
        Ok((input.len(), None))
    }

    /// The next frame's header, from what was kept of it and the input from `at` on.
    #[inline]
    fn next_header(
        &mut self,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Option<FrameHeader>, ProtocolError> {
        let rest = &input[*at..];
        if self.header_len == 0 {
            if let Some((header, len)) = FrameHeader::parse(rest, self.role)? {
                *at += len;
                return Ok(Some(header));
            }
        }
        let kept = usize::from(self.header_len);
        let take = rest.len().min(FrameHeader::MAX_LEN - kept);
        self.header[kept..kept + take].copy_from_slice(&rest[..take]);
        let parsed = FrameHeader::parse(&self.header[..kept + take], self.role)?;
        let Some((header, len)) = parsed else {
            self.header_len += take as u8;
            *at += take;
            return Ok(None);
        };
        self.header_len = 0;
        *at += len - kept;
        Ok(Some(header))
    }

    /// Begins a frame: sequence, limits and rates are checked by its header alone.
    #[inline]
    fn begin(&mut self, header: &FrameHeader, now: Instant) -> Result<Frame, ProtocolError> {
        if header.opcode.is_control() {
            self.control_budget.spend(&self.limits, now)?;
        } else {
            self.message.begin(header, &self.limits, now)?;
            if header.len == 0 && !header.fin {
                self.control_budget.spend(&self.limits, now)?;
            }
        }
        // The length is within a limit of type usize, or within 125.
        let remaining = header.len as usize;
        Ok(Frame {
            fin: header.fin,
            opcode: header.opcode,
            mask: header.mask,
            offset: 0,
            remaining,
        })
    }

    /// Takes payload bytes of `frame`, which are not the whole of a message that needs no
    /// assembly.
    fn absorb(
        &mut self,
        mut frame: Frame,
        bytes: &[u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<Option<Event<'static>>, ProtocolError> {
        if frame.opcode.is_control() {
            return self.absorb_control(frame, bytes, workspace);
        }
        if self.state == State::Closing {
            frame.remaining -= bytes.len();
        } else if !bytes.is_empty() {
            self.message.append(bytes, workspace.pool, |fresh| frame.unmask(fresh))?;
        }
        self.end_if_whole(frame, workspace)
    }

    fn absorb_control(
        &mut self,
        mut frame: Frame,
        bytes: &[u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<Option<Event<'static>>, ProtocolError> {
        let mut payload = self.control.take().map_or_else(ControlPayload::default, |kept| *kept);
        frame.unmask(payload.extend(bytes));
        if frame.remaining > 0 {
            self.control = Some(Box::new(payload));
            self.frame = Some(frame);
            return Ok(None);
        }
        self.frame = None;
        self.receive_control(frame.opcode, payload, workspace)
    }

    fn end_if_whole(
        &mut self,
        frame: Frame,
        workspace: &mut Workspace<'_>,
    ) -> Result<Option<Event<'static>>, ProtocolError> {
        if frame.remaining > 0 {
            self.frame = Some(frame);
            return Ok(None);
        }
        self.frame = None;
        if !frame.fin {
            return Ok(None);
        }
        let (opcode, buffer) = self.message.finish()?;
        if self.state == State::Closing {
            workspace.pool.recycle(buffer);
            return Ok(None);
        }
        Ok(Some(Event::Message(Incoming::Assembled(opcode, buffer))))
    }

    fn receive_control(
        &mut self,
        opcode: OpCode,
        payload: ControlPayload,
        workspace: &mut Workspace<'_>,
    ) -> Result<Option<Event<'static>>, ProtocolError> {
        match opcode {
            OpCode::Close => {
                let reply = CloseFrame::parse(&payload)?.map(|frame| frame.code);
                if self.state == State::Open {
                    self.write_close(reply, "", workspace);
                }
                self.enter(State::Closed, workspace);
                Ok(Some(Event::Close(payload)))
            }
            // RFC 6455 §5.5.1: after our close frame nothing more is sent, so no pong either.
            _ if self.state == State::Closing => Ok(None),
            OpCode::Ping => {
                self.write_control(OpCode::Pong, &payload, workspace);
                Ok(Some(Event::Ping(payload)))
            }
            _ => Ok(Some(Event::Pong(payload))),
        }
    }

    /// Whether [`Connection::spare`] has room to offer.
    #[inline]
    pub(crate) fn is_assembling_large(&self) -> bool {
        self.frame.is_some_and(|frame| {
            self.state == State::Open && frame.remaining >= DIRECT && !frame.opcode.is_control()
        })
    }

    /// Room to receive the rest of a long payload straight into, without a copy; then say how
    /// much came with [`Connection::received`]. `None`: use [`Connection::receive`].
    pub fn spare(&mut self, pool: &mut BufferPool) -> Option<&mut [u8]> {
        let frame = self.frame.filter(|_| self.is_assembling_large())?;
        let spare = self.message.spare(frame.remaining.min(READ_AHEAD), pool);
        let len = spare.len().min(frame.remaining);
        Some(&mut spare[..len])
    }

    /// `count` bytes were received into [`Connection::spare`].
    ///
    /// # Errors
    ///
    /// As [`Connection::receive`].
    pub fn received(
        &mut self,
        count: usize,
        workspace: &mut Workspace<'_>,
    ) -> Result<Option<Event<'static>>, PeerError> {
        self.heard = workspace.now;
        self.awaiting_pong = false;
        let Some(mut frame) = self.frame else {
            return Ok(None);
        };
        let event = self
            .message
            .received(count, |fresh| frame.unmask(fresh))
            .and_then(|()| self.end_if_whole(frame, workspace));
        event.map_err(|error| {
            self.fail(error, workspace);
            error.into()
        })
    }

    fn receive_head<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<(usize, Option<Event<'a>>), PeerError> {
        let Some(opening) = self.opening.as_mut().filter(|opening| !opening.answer_due) else {
            return Ok((0, None));
        };
        let end = match opening.scanner.scan(input) {
            Ok(Some(end)) => end,
            Ok(None) => {
                opening.head.extend_from_slice(input);
                return Ok((input.len(), None));
            }
            Err(error) => return Err(self.fail_handshake(error, workspace)),
        };
        let piece = &input[..end];
        let head = if opening.head.is_empty() {
            Cow::Borrowed(piece)
        } else {
            opening.head.extend_from_slice(piece);
            Cow::Owned(std::mem::take(&mut opening.head))
        };
        let Some((request, key)) = &opening.expected else {
            opening.answer_due = true;
            return Ok((end, Some(Event::Request(head))));
        };
        if let Err(error) = request.check_scanned(&head, &self.limits.head, key) {
            return Err(self.fail_handshake(error, workspace));
        }
        self.enter(State::Open, workspace);
        Ok((end, Some(Event::Open(head))))
    }

    /// Accepts a client's request: writes the response and opens the connection.
    pub fn accept(
        &mut self,
        request: &Request<'_>,
        acceptance: &Acceptance,
        workspace: &mut Workspace<'_>,
    ) {
        if self.state == State::Connecting {
            acceptance.write(&request.key(), workspace.out);
            self.enter(State::Open, workspace);
        }
    }

    /// Refuses a client's request: writes the response and ends the connection.
    pub fn refuse(&mut self, refusal: &Refusal, workspace: &mut Workspace<'_>) {
        if self.state == State::Connecting {
            refusal.write(workspace.out);
            self.enter(State::Closed, workspace);
        }
    }

    /// Appends a message; `false` when the connection is not open.
    pub fn send(&mut self, message: Message<'_>, workspace: &mut Workspace<'_>) -> bool {
        if self.is_open() {
            let key = self.mask_key(workspace.keys);
            write_frame(message.opcode(), message.as_bytes(), key, workspace.out);
        }
        self.is_open()
    }

    /// Appends a ping, cut to 125 bytes (RFC 6455 §5.5); `false` when the connection is not open.
    pub fn ping(&mut self, payload: &[u8], workspace: &mut Workspace<'_>) -> bool {
        if self.is_open() {
            let len = payload.len().min(ControlPayload::MAX_LEN);
            self.write_control(OpCode::Ping, &payload[..len], workspace);
        }
        self.is_open()
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

    /// The key for the next frame that this side sends: a client masks, a server does not.
    #[inline]
    pub(crate) fn mask_key(&self, keys: &mut MaskKeys) -> Option<[u8; 4]> {
        (self.role == Role::Client).then(|| keys.next_key())
    }

    /// When [`Connection::handle_timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let limits = &*self.limits;
        match self.state {
            State::Connecting => self.since.checked_add(limits.handshake_timeout),
            State::Closing | State::Closed => self.since.checked_add(limits.close_timeout),
            State::Open => {
                let message = self.message.unfinished_since();
                earlier(
                    message.and_then(|since| since.checked_add(limits.message_timeout)),
                    self.liveness_deadline(),
                )
            }
        }
    }

    fn liveness_deadline(&self) -> Option<Instant> {
        let interval = self.limits.ping_interval?;
        if self.awaiting_pong {
            self.since.checked_add(self.limits.pong_timeout)
        } else {
            self.heard.checked_add(interval)
        }
    }

    /// Acts on a deadline that has come: pings a silent peer, or ends what took too long.
    ///
    /// # Errors
    ///
    /// Which deadline was missed; the state is [`State::Closed`]. In that state: the end of the
    /// stream did not come in time, and the owner should cut it.
    pub fn handle_timeout(&mut self, workspace: &mut Workspace<'_>) -> Result<(), TimedOut> {
        let now = workspace.now;
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        match self.state {
            State::Connecting => {
                self.fail_handshake(HandshakeError::TimedOut, workspace);
                Err(TimedOut::Handshake)
            }
            State::Closing | State::Closed => {
                self.enter(State::Closed, workspace);
                Err(TimedOut::Close)
            }
            State::Open if self.liveness_deadline().is_none_or(|deadline| now < deadline) => {
                self.write_close(Some(CloseCode::POLICY), "message unfinished", workspace);
                self.enter(State::Closed, workspace);
                Err(TimedOut::Message)
            }
            State::Open if self.awaiting_pong => {
                self.enter(State::Closed, workspace);
                Err(TimedOut::Pong)
            }
            State::Open => {
                self.write_control(OpCode::Ping, &[], workspace);
                self.awaiting_pong = true;
                self.since = now;
                Ok(())
            }
        }
    }

    fn enter(&mut self, state: State, workspace: &mut Workspace<'_>) {
        self.state = state;
        self.since = workspace.now;
        self.awaiting_pong = false;
        self.opening = None;
        if state != State::Open {
            self.message.clear(workspace.pool);
        }
    }

    fn fail(&mut self, error: ProtocolError, workspace: &mut Workspace<'_>) {
        if self.state == State::Open {
            self.write_close(Some(error.close_code()), &error.to_string(), workspace);
        }
        self.enter(State::Closed, workspace);
    }

    fn fail_handshake(
        &mut self,
        error: HandshakeError,
        workspace: &mut Workspace<'_>,
    ) -> PeerError {
        if self.role == Role::Server {
            error.refusal().write(workspace.out);
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
        let key = self.mask_key(workspace.keys);
        write_frame(opcode, payload, key, workspace.out);
    }
}

/// The event of a message that lies whole in the input.
#[inline]
fn borrowed(mut frame: Frame, payload: &mut [u8]) -> Result<Event<'_>, ProtocolError> {
    frame.unmask(payload);
    let message = if frame.opcode == OpCode::Text {
        Message::Text(std::str::from_utf8(payload).map_err(|_| ProtocolError::InvalidUtf8)?)
    } else {
        Message::Binary(payload)
    };
    Ok(Event::Message(Incoming::Borrowed(message)))
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
