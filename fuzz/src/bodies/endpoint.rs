use std::cell::RefCell;
use std::mem;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use eventwire::Time;
use eventwire::proto::handshake::{
    Acceptance, ClientRequest, HttpProxy, Key, Refusal, UpgradeRequest, WsUrl,
};
use eventwire::proto::http::HeadLimits;
use eventwire::proto::{
    BufferPool, ClientHandshake, Event, FrameHeader, Handled, Incoming, Limits, MaskKeys, Message,
    OpCode, PeerError, Role, State, TimedOut, WebSocket, Workspace, apply_mask,
};

/// What a connection yielded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Request(Vec<u8>),
    Tunnel,
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

/// A `WebSocket` with what its owner keeps for it, in virtual time.
pub(crate) struct Endpoint {
    pub(crate) connection: WebSocket,
    pub(crate) out: Vec<u8>,
    pub(crate) now: Time,
    pub(crate) seen: Vec<Seen>,
    /// Where in `out` the frames begin, once the head is written.
    pub(crate) head: Option<usize>,
    /// How long `out` was before the present call.
    written: usize,
    limits: Arc<Limits>,
    mask_keys: MaskKeys,
    pool: BufferPool,
    /// The copy of what arrives, for it is unmasked in place.
    input: Vec<u8>,
}

thread_local! {
    /// Pools that no connection uses. As in a loop they outlive connections, here inputs: to fill
    /// them for each again takes most of the time.
    static POOLS: RefCell<Vec<BufferPool>> = const { RefCell::new(Vec::new()) };
}

fn pool() -> BufferPool {
    POOLS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        POOLS.with_borrow_mut(|pools| pools.push(mem::take(&mut self.pool)));
    }
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
    static ASKED: LazyLock<ClientRequest> = LazyLock::new(|| {
        let url = WsUrl::parse("ws://example.com/chat").expect("a URL");
        let offer = |asked: ClientRequest, name| asked.subprotocol(name).expect("a token");
        offer(offer(ClientRequest::new(url), "chat"), "superchat")
    });
    ASKED.clone()
}

/// The key of every client here: the one of RFC 6455 §1.3.
pub(crate) fn key() -> Key {
    static KEY: LazyLock<Key> = LazyLock::new(|| Key::from_nonce(*b"the sample nonce"));
    *KEY
}

/// Mask keys that are the same in every run: only that they differ is of interest here.
fn new_mask_keys() -> MaskKeys {
    static BYTES: [u8; 1024] = {
        let (mut bytes, mut count) = ([0_u8; 1024], 0);
        while count < bytes.len() {
            bytes[count] = (count as u8).wrapping_mul(5).wrapping_add((count >> 8) as u8);
            count += 1;
        }
        bytes
    };
    MaskKeys::new(|bytes| {
        for chunk in bytes.chunks_mut(BYTES.len()) {
            chunk.copy_from_slice(&BYTES[..chunk.len()]);
        }
    })
}

impl Endpoint {
    pub(crate) fn new(role: Role, limits: &Arc<Limits>) -> Self {
        let (mut out, mut pool, now) = (Vec::new(), pool(), Time::BEGINNING);
        let (mut mask_keys, shared) = (new_mask_keys(), Arc::clone(limits));
        let connection = match role {
            Role::Server => WebSocket::server(shared, now),
            Role::Client => {
                let mut workspace =
                    Workspace { out: &mut out, mask_keys: &mut mask_keys, pool: &mut pool, now };
                WebSocket::client(asked(), key(), shared, &mut workspace)
            }
        };
        let head = (role == Role::Client).then_some(out.len());
        let limits = Arc::clone(limits);
        let (seen, input) = (Vec::new(), Vec::new());
        Self { connection, out, now, seen, head, written: 0, limits, mask_keys, pool, input }
    }

    /// A client that has asked a proxy for a tunnel.
    pub(crate) fn behind_proxy(limits: &Arc<Limits>) -> Self {
        static PROXY: LazyLock<HttpProxy> = LazyLock::new(|| {
            let proxy = HttpProxy::new("http://proxy:3128").expect("a URL");
            proxy.credentials("user", "password").expect("credentials")
        });
        let mut endpoint = Self::new(Role::Client, limits);
        endpoint.out.clear();
        endpoint.connection = endpoint.with(|_, workspace| {
            ClientHandshake::behind_proxy(&PROXY, asked(), key(), Arc::clone(limits), workspace)
        });
        endpoint.head = Some(endpoint.out.len());
        endpoint
    }

    /// A connection whose opening handshake is done.
    pub(crate) fn open(role: Role, limits: &Arc<Limits>) -> Self {
        let now = Time::BEGINNING;
        Self {
            connection: WebSocket::opened(role, Arc::clone(limits), now),
            out: Vec::new(),
            now,
            seen: Vec::new(),
            head: Some(0),
            written: 0,
            limits: Arc::clone(limits),
            mask_keys: new_mask_keys(),
            pool: pool(),
            input: Vec::new(),
        }
    }

    /// The same, where both ends have agreed to compression.
    #[cfg(feature = "deflate")]
    pub(crate) fn compressed(role: Role, limits: &Arc<Limits>, agreed: &Agreed) -> Self {
        let mut peer = Self::open(role, limits);
        let opened = WebSocket::opened(role, Arc::clone(limits), peer.now);
        peer.connection = opened.compressed(Some(match role {
            Role::Server => agreed.server,
            Role::Client => agreed.client,
        }));
        peer
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn send(&mut self, message: Message<'_>) {
        assert!(self.with(|connection, work| connection.send(message, work)));
    }

    pub(crate) fn with<T>(
        &mut self,
        call: impl FnOnce(&mut WebSocket, &mut Workspace<'_>) -> T,
    ) -> T {
        let mut workspace = Workspace {
            out: &mut self.out,
            mask_keys: &mut self.mask_keys,
            pool: &mut self.pool,
            now: self.now,
        };
        call(&mut self.connection, &mut workspace)
    }

    /// Receives `bytes`, and answers a request as a server does.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let mut input = mem::take(&mut self.input);
        input.clear();
        input.extend_from_slice(bytes);
        self.receive_in_place(&mut input);
        self.input = input;
    }

    fn receive_in_place(&mut self, mut input: &mut [u8]) {
        while !input.is_empty() {
            let state = self.connection.state();
            self.written = self.out.len();
            let mut workspace = Workspace {
                out: &mut self.out,
                mask_keys: &mut self.mask_keys,
                pool: &mut self.pool,
                now: self.now,
            };
            match self.connection.handle_input(input, &mut workspace) {
                Ok(Handled { consumed: used, event: None }) => {
                    assert_eq!(used, input.len(), "bytes are left, and nothing came of it");
                    return;
                }
                Ok(Handled { consumed: used, event: Some(event) }) => {
                    let seen = note(event, &mut self.pool);
                    self.see(seen, state);
                    input = &mut input[used..];
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
            self.written = self.out.len();
            let Some(spare) = self.connection.payload_buffer(&mut self.pool) else {
                let (piece, rest) = bytes.split_at(bytes.len().min(512));
                self.receive(piece);
                bytes = rest;
                continue;
            };
            assert!(!spare.is_empty(), "no room is offered");
            let (piece, rest) = bytes.split_at(bytes.len().min(spare.len()));
            spare[..piece.len()].copy_from_slice(piece);
            match self
                .with(|connection, workspace| connection.handle_payload(piece.len(), workspace))
            {
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

    /// Whether a long payload is under way.
    pub(crate) fn awaits_payload(&mut self) -> bool {
        self.connection.payload_buffer(&mut self.pool).is_some()
    }

    /// Notes what came when the connection was in `before`, and checks that it may come there.
    fn see(&mut self, seen: Seen, before: State) {
        let after = self.connection.state();
        match &seen {
            Seen::Request(head) => {
                assert_eq!((before, after), (State::Connecting, State::Connecting));
                self.answer(head);
            }
            Seen::Tunnel => {
                assert_eq!((before, after), (State::Connecting, State::Connecting));
                self.with(|connection, work| connection.handshake().request(work));
                self.head = Some(self.out.len());
            }
            Seen::Open(_) => {
                assert_eq!((before, after), (State::Connecting, State::Connecting));
                self.with(|connection, work| connection.handshake().open(work));
                assert!(self.connection.is_open());
            }
            Seen::Message(opcode, payload) => {
                assert_eq!((before, after), (State::Open, State::Open));
                assert!(payload.len() <= self.limits.message());
                assert!(*opcode == OpCode::Binary || std::str::from_utf8(payload).is_ok());
            }
            Seen::Ping(payload) => {
                assert_eq!((before, after), (State::Open, State::Open));
                let written = &self.out[self.written..];
                let (pong, end) = frame_in(written, other(self.connection.role()));
                assert_eq!((pong.opcode, &pong.payload), (OpCode::Pong, payload));
                assert_eq!(end, written.len(), "more than the pong");
            }
            Seen::Pong(_) => assert_eq!((before, after), (State::Open, State::Open)),
            Seen::Close(_) => {
                assert!(matches!(before, State::Open | State::Closing));
                assert_eq!(after, State::Closed);
            }
            Seen::Failed(error) => {
                let opening = !matches!(error, PeerError::Protocol(_));
                assert!(before != State::Closed && opening == (before == State::Connecting));
                assert_eq!(after, State::Closed);
            }
        }
        self.seen.push(seen);
    }

    fn answer(&mut self, head: &[u8]) {
        let limits = *self.limits.head_limits();
        let accepted = match UpgradeRequest::parse(head, &limits) {
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
        self.with(WebSocket::handle_timeout)
    }

    /// All frames that were written.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let head = self.head.unwrap_or(self.out.len());
        frames_in(&self.out[head..], other(self.connection.role()))
    }

    pub(crate) fn observed(mut self) -> Observed {
        let deadline = self.connection.deadline();
        let time_left = deadline.map(|deadline| deadline.since(self.now));
        let state = self.connection.state();
        Observed {
            seen: mem::take(&mut self.seen),
            out: mem::take(&mut self.out),
            state,
            time_left,
        }
    }
}

/// A handshake in which compression is agreed to, the same in every connection with these settings.
#[cfg(feature = "deflate")]
pub(crate) struct Agreed {
    server: eventwire::proto::DeflateAgreement,
    client: eventwire::proto::DeflateAgreement,
}

#[cfg(feature = "deflate")]
impl Agreed {
    pub(crate) fn new(config: eventwire::proto::DeflateConfig) -> Self {
        let url = WsUrl::parse("ws://a").expect("a URL");
        let asked = ClientRequest::new(url).deflate(config);
        let (mut head, mut response) = (Vec::new(), Vec::new());
        asked.write(&key(), &mut head);
        let request = UpgradeRequest::parse(&head, &HeadLimits::default()).expect("a request");
        let acceptance = Acceptance::new().deflate(&config, &request);
        acceptance.write(&key(), &mut response);
        let accepted = asked.check_response(&response, &HeadLimits::default(), &key());
        Self {
            server: acceptance.agreement().expect("an offer that is accepted"),
            client: accepted.expect("an answer").agreement().expect("one to the offer"),
        }
    }
}

/// All frames in `bytes`, each whole and valid, and a close frame only as the last.
pub(crate) fn frames_in(mut bytes: &[u8], receiver: Role) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (frame, end) = frame_in(bytes, receiver);
        bytes = &bytes[end..];
        assert!(frame.opcode != OpCode::Close || bytes.is_empty(), "more after a close");
        frames.push(frame);
    }
    frames
}

/// The frame at the front of `bytes`, and where it ends.
fn frame_in(bytes: &[u8], receiver: Role) -> (Frame, usize) {
    let header = FrameHeader::parse(bytes, receiver);
    let (header, len) = header.expect("a valid header").expect("a whole header");
    let end = len + usize::try_from(header.len).expect("a length that was written");
    let mut payload = bytes[len..end].to_vec();
    if let Some(key) = header.mask {
        apply_mask(&mut payload, key, 0);
    }
    assert!(header.fin && header.opcode != OpCode::Continuation, "a fragment");
    (Frame { opcode: header.opcode, payload }, end)
}

pub(crate) fn other(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

/// The head that opens a connection in `role`.
pub(crate) fn opening_head(role: Role) -> &'static [u8] {
    static HEADS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
        let mut heads = [Vec::new(), Vec::new()];
        asked().write(&key(), &mut heads[0]);
        Acceptance::new().write(&key(), &mut heads[1]);
        heads
    });
    match role {
        Role::Server => &HEADS[0],
        Role::Client => &HEADS[1],
    }
}

/// Limits of which some are reached soon.
pub(crate) fn limits(choice: u8) -> &'static Arc<Limits> {
    static LIMITS: LazyLock<[Arc<Limits>; 6]> = LazyLock::new(|| {
        let roomy = Limits::default;
        [
            roomy(),
            roomy().max_message(100).max_frame(60).max_fragments(4).control_rate(10, 5),
            roomy().max_message(40_000).max_frame(20_000),
            roomy().max_message(usize::MAX).max_fragments(usize::MAX).control_rate(1, 1_000),
            roomy().max_message(0).max_fragments(0).ping_interval(None),
            roomy().head(HeadLimits { bytes: 400, line: 80, headers: 8 }),
        ]
        .map(Arc::new)
    });
    &LIMITS[usize::from(choice) % LIMITS.len()]
}

fn note(event: Event<'_>, pool: &mut BufferPool) -> Seen {
    match event {
        Event::ProxyHeader(_) => panic!("nobody announced a proxy"),
        Event::Request(head) => Seen::Request(head.into_owned()),
        Event::Body { .. } => unreachable!("no body was asked for"),
        Event::Tunnel => Seen::Tunnel,
        Event::Response(head) => Seen::Open(head.into_owned()),
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
