use std::sync::Arc;
use std::time::{Duration, Instant};

use eventwire::proto::handshake::{
    Acceptance, ClientRequest, HeadLimits, Key, Refusal, Request, WsUrl,
};
use eventwire::proto::{
    BufferPool, Connection, Event, FrameHeader, Incoming, Limits, MaskKeys, Message, OpCode,
    PeerError, Role, State, TimedOut, Workspace, apply_mask,
};

/// What a connection yielded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Request(Vec<u8>),
    Open(Vec<u8>),
    Message(OpCode, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Vec<u8>),
    Failed(PeerError),
}

/// A frame that a connection wrote.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) opcode: OpCode,
    pub(crate) payload: Vec<u8>,
}

/// A connection with what its owner holds for it, in virtual time.
pub(crate) struct Peer {
    pub(crate) connection: Connection,
    pub(crate) out: Vec<u8>,
    pub(crate) now: Instant,
    pub(crate) seen: Vec<Seen>,
    /// Where in `out` the frames begin, once the head is written.
    pub(crate) head: Option<usize>,
    limits: Limits,
    keys: MaskKeys,
    pool: BufferPool,
}

/// What the owner sees of a connection, all of which is the same however the input was split.
#[derive(Debug, PartialEq)]
pub(crate) struct Observed {
    seen: Vec<Seen>,
    out: Vec<u8>,
    state: State,
    time_left: Option<Duration>,
}

/// The request of every client here.
pub(crate) fn asked() -> ClientRequest {
    let url = WsUrl::parse("ws://example.com/chat").expect("a URL");
    let offer = |asked: ClientRequest, name| asked.subprotocol(name).expect("a token");
    offer(offer(ClientRequest::new(url), "chat"), "superchat")
}

/// The key of every client here: the one of RFC 6455 §1.3.
pub(crate) fn key() -> Key {
    Key::from_nonce(*b"the sample nonce")
}

impl Peer {
    pub(crate) fn new(role: Role, limits: &Limits) -> Self {
        let (mut out, mut pool, now) = (Vec::new(), BufferPool::default(), Instant::now());
        let mut count = 0_u8;
        let mut keys = MaskKeys::new(move |bytes| {
            for byte in bytes {
                count = count.wrapping_mul(5).wrapping_add(1);
                *byte = count;
            }
        });
        let shared = Arc::new(limits.clone());
        let connection = match role {
            Role::Server => Connection::server(shared, now),
            Role::Client => {
                let mut workspace =
                    Workspace { out: &mut out, keys: &mut keys, pool: &mut pool, now };
                Connection::client(asked(), key(), shared, &mut workspace)
            }
        };
        let head = (role == Role::Client).then_some(out.len());
        let (seen, limits) = (Vec::new(), limits.clone());
        Self { connection, out, now, seen, head, limits, keys, pool }
    }

    /// A connection whose opening handshake is done.
    pub(crate) fn open(role: Role, limits: &Limits) -> Self {
        let mut peer = Self::new(role, &limits.clone().head(HeadLimits::default()));
        peer.receive(&opening_head(role));
        assert!(peer.connection.is_open());
        peer
    }

    pub(crate) fn with<T>(
        &mut self,
        call: impl FnOnce(&mut Connection, &mut Workspace<'_>) -> T,
    ) -> T {
        let mut workspace = Workspace {
            out: &mut self.out,
            keys: &mut self.keys,
            pool: &mut self.pool,
            now: self.now,
        };
        call(&mut self.connection, &mut workspace)
    }

    /// Receives `bytes`, and answers a request as a server does.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let mut input = bytes.to_vec();
        let (mut at, end) = (0, input.len());
        while at < end {
            let state = self.connection.state();
            let mut workspace = Workspace {
                out: &mut self.out,
                keys: &mut self.keys,
                pool: &mut self.pool,
                now: self.now,
            };
            match self.connection.receive(&mut input[at..], &mut workspace) {
                Ok((used, None)) => {
                    assert_eq!(at + used, end, "bytes are left, and nothing came of it");
                    return;
                }
                Ok((used, Some(event))) => {
                    at += used;
                    let seen = note(event, &mut self.pool);
                    self.see(seen, state);
                }
                Err(error) => {
                    self.see(Seen::Failed(error), state);
                    return;
                }
            }
        }
    }

    /// Receives `bytes`, those of long payloads straight into their buffers.
    pub(crate) fn receive_direct(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let state = self.connection.state();
            let Some(spare) = self.connection.spare(&mut self.pool) else {
                let (piece, rest) = bytes.split_at(bytes.len().min(512));
                self.receive(piece);
                bytes = rest;
                continue;
            };
            assert!(!spare.is_empty(), "no room is offered");
            let (piece, rest) = bytes.split_at(bytes.len().min(spare.len()));
            spare[..piece.len()].copy_from_slice(piece);
            match self.with(|connection, workspace| connection.received(piece.len(), workspace)) {
                Ok(None) => {}
                Ok(Some(event)) => {
                    let seen = note(event, &mut self.pool);
                    self.see(seen, state);
                }
                Err(error) => self.see(Seen::Failed(error), state),
            }
            bytes = rest;
        }
    }

    /// Notes what came when the connection was in `before`, and checks that it may come there.
    fn see(&mut self, seen: Seen, before: State) {
        let after = self.connection.state();
        match &seen {
            Seen::Request(head) => {
                assert_eq!((before, after), (State::Connecting, State::Connecting));
                self.answer(head);
            }
            Seen::Open(_) => assert_eq!((before, after), (State::Connecting, State::Open)),
            Seen::Message(opcode, payload) => {
                assert_eq!((before, after), (State::Open, State::Open));
                assert!(payload.len() <= self.limits.message());
                assert!(*opcode == OpCode::Binary || std::str::from_utf8(payload).is_ok());
            }
            Seen::Ping(payload) => {
                assert_eq!((before, after), (State::Open, State::Open));
                assert_eq!(self.frames().pop().map(|frame| frame.payload).as_ref(), Some(payload));
            }
            Seen::Pong(_) => assert_eq!((before, after), (State::Open, State::Open)),
            Seen::Close(_) => {
                assert!(matches!(before, State::Open | State::Closing));
                assert_eq!(after, State::Closed);
            }
            Seen::Failed(error) => {
                let opening = matches!(error, PeerError::Handshake(_));
                assert!(before != State::Closed && opening == (before == State::Connecting));
                assert_eq!(after, State::Closed);
            }
        }
        self.seen.push(seen);
    }

    fn answer(&mut self, head: &[u8]) {
        let limits = *self.limits.head_limits();
        let accepted = match Request::parse(head, &limits) {
            Ok(request) => self.with(|connection, workspace| {
                connection.accept(&request, &Acceptance::default(), workspace);
                true
            }),
            Err(error) => self.with(|connection, workspace| {
                connection.refuse(&Refusal::from(error), workspace);
                false
            }),
        };
        assert_eq!(self.connection.is_open(), accepted);
        self.head = accepted.then_some(self.out.len());
    }

    pub(crate) fn handle_timeout(&mut self) -> Result<(), TimedOut> {
        self.with(Connection::handle_timeout)
    }

    /// All frames that were written, each whole and valid, and a close frame only as the last.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let mut rest = self.head.map_or(&[][..], |head| &self.out[head..]);
        let mut frames = Vec::new();
        while !rest.is_empty() {
            let receiver = other(self.connection.role());
            let header = FrameHeader::parse(rest, receiver).expect("a valid header");
            let (header, len) = header.expect("a whole header");
            let end = len + usize::try_from(header.len).expect("a length that was written");
            let mut payload = rest[len..end].to_vec();
            if let Some(key) = header.mask {
                apply_mask(&mut payload, key, 0);
            }
            assert!(header.fin && header.opcode != OpCode::Continuation, "a fragment");
            assert!(header.opcode != OpCode::Close || end == rest.len(), "more after a close");
            frames.push(Frame { opcode: header.opcode, payload });
            rest = &rest[end..];
        }
        frames
    }

    pub(crate) fn observed(self) -> Observed {
        let deadline = self.connection.deadline();
        let time_left = deadline.map(|deadline| deadline - self.now);
        let state = self.connection.state();
        Observed { seen: self.seen, out: self.out, state, time_left }
    }
}

pub(crate) fn other(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

/// The head that opens a connection in `role`.
pub(crate) fn opening_head(role: Role) -> Vec<u8> {
    let mut head = Vec::new();
    match role {
        Role::Server => asked().write(&key(), &mut head),
        Role::Client => Acceptance::new().write(&key(), &mut head),
    }
    head
}

/// Limits of which some are reached soon.
pub(crate) fn limits(choice: u8) -> Limits {
    let roomy = Limits::default();
    match choice % 6 {
        0 => roomy,
        1 => roomy.max_message(100).max_frame(60).max_fragments(4).control_rate(10, 5),
        2 => roomy.max_message(40_000).max_frame(20_000),
        3 => roomy.max_message(usize::MAX).max_fragments(usize::MAX).control_rate(1, 1_000),
        4 => roomy.max_message(0).max_fragments(0).ping_interval(None),
        _ => roomy.head(HeadLimits { bytes: 400, line: 80, headers: 8 }),
    }
}

fn note(event: Event<'_>, pool: &mut BufferPool) -> Seen {
    match event {
        Event::Request(head) => Seen::Request(head.into_owned()),
        Event::Open(head) => Seen::Open(head.into_owned()),
        Event::Message(incoming) => {
            let message = incoming.message();
            let opcode = match message {
                Message::Text(_) => OpCode::Text,
                Message::Binary(_) => OpCode::Binary,
            };
            let seen = Seen::Message(opcode, message.as_bytes().to_vec());
            if let Incoming::Assembled(_, buffer) = incoming {
                pool.recycle(buffer);
            }
            seen
        }
        Event::Ping(payload) => Seen::Ping(payload.to_vec()),
        Event::Pong(payload) => Seen::Pong(payload.to_vec()),
        Event::Close(payload) => Seen::Close(payload.to_vec()),
    }
}
