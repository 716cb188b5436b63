//! Connections under test, in virtual time.

mod any_split;
mod closing;
#[cfg(feature = "deflate")]
mod compressed;
mod deadlines;
mod lengths;
mod limits;
mod messages;
mod opening;
mod reference;
mod refusals;

use std::sync::Arc;
use std::time::Duration;

use crate::proto::handshake::{Acceptance, ClientRequest, Key, UpgradeRequest, WsUrl};
use crate::proto::{
    BufferPool, CloseCode, Event, Handled, Incoming, Limits, MaskKeys, Message, OpCode, PeerError,
    ProtocolError, Role, State, TimedOut, WebSocket, Workspace, apply_mask,
};
use crate::time::Time;

const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// What a connection yielded.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Vec<u8>),
    Failed(PeerError),
}

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

fn failed(error: ProtocolError) -> Seen {
    Seen::Failed(PeerError::Protocol(error))
}

/// A connection with what its owner holds for it.
struct Harness {
    connection: WebSocket,
    out: Vec<u8>,
    mask_keys: MaskKeys,
    pool: BufferPool,
    now: Time,
    /// After how many events the application closes the connection.
    close_after: Option<usize>,
    seen: Vec<Seen>,
}

impl Harness {
    /// A connection whose opening handshake is done.
    fn open(role: Role, limits: &Limits) -> Self {
        let mut harness = Self::connecting(role, limits);
        let (mut head, key) = (Vec::new(), Key::from_nonce([7; 16]));
        match role {
            Role::Server => asked().write(&key, &mut head),
            Role::Client => Acceptance::new().write(&key, &mut head),
        }
        harness.feed(&head);
        assert_eq!(harness.connection.state(), State::Open);
        harness.out.clear();
        harness
    }

    fn connecting(role: Role, limits: &Limits) -> Self {
        let limits = Arc::new(limits.clone());
        let (mut out, mut pool, now) = (Vec::new(), BufferPool::default(), Time::BEGINNING);
        let mut count = 0_u32;
        let mut mask_keys = MaskKeys::new(move |bytes| {
            for key in bytes.chunks_exact_mut(4) {
                count = count.wrapping_add(0x9E37_79B9);
                key.copy_from_slice(&count.to_be_bytes());
            }
        });
        let connection = match role {
            Role::Server => WebSocket::server(limits, now),
            Role::Client => {
                let mut workspace =
                    Workspace { out: &mut out, mask_keys: &mut mask_keys, pool: &mut pool, now };
                WebSocket::client(asked(), Key::from_nonce([7; 16]), limits, &mut workspace)
            }
        };
        Self { connection, out, mask_keys, pool, now, close_after: None, seen: Vec::new() }
    }

    fn with<T>(&mut self, call: impl FnOnce(&mut WebSocket, &mut Workspace<'_>) -> T) -> T {
        let mut workspace = Workspace {
            out: &mut self.out,
            mask_keys: &mut self.mask_keys,
            pool: &mut self.pool,
            now: self.now,
        };
        call(&mut self.connection, &mut workspace)
    }

    /// Receives `bytes`, and returns what came of them.
    fn feed(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.receive(bytes);
        std::mem::take(&mut self.seen)
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut input = bytes.to_vec();
        let (mut at, end) = (0, input.len());
        while at < end {
            let mut workspace = Workspace {
                out: &mut self.out,
                mask_keys: &mut self.mask_keys,
                pool: &mut self.pool,
                now: self.now,
            };
            match self.connection.handle_input(&mut input[at..], &mut workspace) {
                Ok(Handled { consumed: used, event: Some(Event::Request(head)) }) => {
                    let request =
                        UpgradeRequest::parse(&head, Limits::default().head_limits()).unwrap();
                    self.connection.accept(&request, &Acceptance::default(), &mut workspace);
                    at += used;
                }
                Ok(Handled { consumed: used, event: Some(Event::Tunnel) }) => {
                    self.connection.handshake().request(&mut workspace);
                    at += used;
                }
                Ok(Handled { consumed: used, event: Some(Event::Response(_)) }) => {
                    self.connection.handshake().open(&mut workspace);
                    at += used;
                }
                Ok(Handled { consumed: used, event }) => {
                    at += used;
                    assert!(event.is_some() || at == end, "bytes are left, and nothing came of it");
                    let seen = event.and_then(|event| note(event, &mut self.pool));
                    seen.into_iter().for_each(|seen| self.push(seen));
                }
                Err(error) => {
                    self.seen.push(Seen::Failed(error));
                    return;
                }
            }
        }
    }

    /// Receives `bytes`, those of long payloads straight into their buffers.
    fn receive_direct(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(spare) = self.connection.payload_buffer(&mut self.pool) else {
                // Not all at once: a long payload may begin anywhere.
                let (piece, rest) = bytes.split_at(bytes.len().min(100));
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
                Ok(Some(event)) => {
                    let seen = note(event, &mut self.pool).expect("a message");
                    self.push(seen);
                }
                Ok(None) => {}
                Err(error) => self.seen.push(Seen::Failed(error)),
            }
            bytes = rest;
        }
    }

    fn push(&mut self, seen: Seen) {
        self.seen.push(seen);
        if self.close_after == Some(self.seen.len()) {
            self.close(CloseCode::GOING_AWAY, "enough");
        }
    }

    fn close(&mut self, code: CloseCode, reason: &str) {
        self.with(|connection, workspace| connection.close(code, reason, workspace));
    }

    fn send(&mut self, message: &str) -> bool {
        self.with(|connection, workspace| connection.send(Message::Text(message), workspace))
    }

    /// Lets time pass, and acts on a deadline if it has come.
    fn pass(&mut self, time: Duration) -> Result<(), TimedOut> {
        self.now += time;
        self.with(WebSocket::handle_timeout)
    }

    /// How long it is until the deadline.
    fn time_left(&self) -> Option<Duration> {
        self.connection.deadline().map(|deadline| deadline.since(self.now))
    }

    fn state(&self) -> State {
        self.connection.state()
    }

    /// The frames that were written since this was last asked.
    fn sent(&mut self) -> Vec<(OpCode, Vec<u8>)> {
        let receiver = match self.connection.role() {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        };
        let out = std::mem::take(&mut self.out);
        reference::frames(&out, receiver)
    }
}

fn asked() -> ClientRequest {
    ClientRequest::new(WsUrl::parse("ws://example.com/chat").unwrap())
}

fn note(event: Event<'_>, pool: &mut BufferPool) -> Option<Seen> {
    let seen = match event {
        Event::Message(incoming) => {
            let seen = match incoming.message() {
                Message::Text(text) => Seen::Text(text.to_owned()),
                Message::Binary(bytes) => Seen::Binary(bytes.to_vec()),
            };
            if let Incoming::Assembled(_, buffer) = incoming {
                pool.recycle(buffer);
            }
            seen
        }
        Event::Ping(payload) => Seen::Ping(payload.to_vec()),
        Event::Pong(payload) => Seen::Pong(payload.to_vec()),
        Event::Close(payload) => Seen::Close(payload.to_vec()),
        Event::ProxyHeader(_)
        | Event::Request(_)
        | Event::Body { .. }
        | Event::Tunnel
        | Event::Response(_) => {
            return None;
        }
    };
    Some(seen)
}

/// A frame for a connection in `role`, its length in the shortest form.
fn frame(role: Role, fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(role, fin, opcode, payload.len() as u64);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if role == Role::Server {
        apply_mask(&mut bytes[start..], KEY, 0);
    }
    bytes
}

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// The header of such a frame.
fn header(role: Role, fin: bool, opcode: OpCode, len: u64) -> Vec<u8> {
    let mut bytes = vec![opcode as u8 + if fin { 0x80 } else { 0 }];
    match len {
        0..=125 => bytes.push(len as u8),
        126..=0xFFFF => {
            bytes.push(126);
            bytes.extend((len as u16).to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend(len.to_be_bytes());
        }
    }
    if role == Role::Server {
        bytes[1] += 0x80;
        bytes.extend(KEY);
    }
    bytes
}
