//! What a scripted peer sends: streams of frames, right and wrong, as raw bytes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use eventwire::Message;
use eventwire::proto::{OpCode, Role};

use super::flow::Flow;
use super::payload::Payload;
use crate::shared::Random;
use crate::shared::frames::encode;

/// Where scripted servers listen.
pub(super) const SERVERS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

/// Requests that a server must refuse.
pub(super) const BAD_REQUESTS: [&str; 8] = [
    "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: sim\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: sim\r\nOrigin: http://elsewhere\r\nUpgrade: websocket\r\n\
     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Version: 13\r\n\r\n",
    "GET / HTTP/1.1\nHost: sim\n\n",
];

/// Bytes of frames of one end.
pub(super) struct Frames<'a> {
    /// The end that writes them: a client masks.
    pub(super) role: Role,
    pub(super) random: &'a mut Random,
    pub(super) bytes: Vec<u8>,
    /// Places within headers of frames, where to cut is most worth while.
    pub(super) cuts: Vec<usize>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(role: Role, random: &'a mut Random) -> Self {
        Self::behind(Vec::new(), role, random)
    }

    /// Behind an opening handshake.
    pub(super) const fn behind(bytes: Vec<u8>, role: Role, random: &'a mut Random) -> Self {
        Self { role, random, bytes, cuts: Vec::new() }
    }

    /// The bytes as they are to be sent.
    pub(super) fn into_pieces(self) -> Vec<Vec<u8>> {
        if self.random.percent(60) {
            let most = self.random.pick(&[1, 2, 5, 30]);
            return self.random.cut(&self.bytes, most);
        }
        let mut pieces = Vec::new();
        let mut from = 0;
        for &cut in &self.cuts {
            pieces.push(self.bytes[from..cut].to_vec());
            from = cut;
        }
        pieces.push(self.bytes[from..].to_vec());
        pieces
    }

    pub(super) fn frame(&mut self, fin: bool, opcode: OpCode, payload: &[u8]) {
        let mask = (self.role == Role::Client).then(|| (self.random.next() as u32).to_le_bytes());
        let frame = encode(fin, opcode, mask, payload);
        let len = frame.len() - payload.len();
        let from = self.bytes.len() + len;
        self.bytes.extend_from_slice(&frame);
        if self.random.percent(30) {
            self.cuts.push(from - self.random.below(len));
        }
    }

    /// A message up to `longest`, whole or in fragments with control frames between them.
    pub(super) fn message(&mut self, longest: usize, flow: &mut Flow) {
        let len = self.random.len(longest);
        let payload = Payload::random(self.random, len);
        flow.accept(payload.message());
        self.message_frames(payload.message());
    }

    pub(super) fn message_frames(&mut self, message: Message<'_>) {
        let first = if message.as_text().is_some() { OpCode::Text } else { OpCode::Binary };
        let most = if self.random.percent(30) { 6 } else { 1 };
        let pieces = self.random.cut(message.as_bytes(), most);
        for (place, piece) in pieces.iter().enumerate() {
            if self.random.percent(15) {
                let opcode = self.random.pick(&[OpCode::Ping, OpCode::Pong]);
                self.frame(true, opcode, b"in between");
            }
            let opcode = if place == 0 { first } else { OpCode::Continuation };
            self.frame(place + 1 == pieces.len(), opcode, piece);
        }
    }

    /// A frame whose rest does not come.
    pub(super) fn half(&mut self) {
        let start = self.bytes.len();
        let len = self.random.between(1, 2000);
        self.frame(true, OpCode::Binary, &vec![1; len]);
        let end = self.random.between(start + 1, self.bytes.len() - 1);
        self.bytes.truncate(end);
        self.cuts.retain(|cut| *cut < end);
    }

    /// A frame that breaks the protocol; the close code that it must be answered with.
    pub(super) fn violation(&mut self) -> u16 {
        const MASK: u8 = 0x80;
        let mask = if self.role == Role::Client { MASK } else { 0 };
        let wrong: (&[u8], u16) = match self.random.below(12) {
            // A mask where there must be none, or none where there must be one.
            0 => (&[0x82, MASK ^ mask, 0, 0, 0, 0], 1002),
            1 => (&[0xc2, mask, 0, 0, 0, 0], 1002),
            2 => (&[0x83, mask, 0, 0, 0, 0], 1002),
            // A ping in fragments, and one that is too long.
            3 => (&[0x09, mask, 0, 0, 0, 0], 1002),
            4 => (&[0x89, mask | 126, 0, 126, 0, 0, 0, 0], 1002),
            // A length that is not the shortest, and one above every limit.
            5 => (&[0x82, mask | 126, 0, 5, 0, 0, 0, 0], 1002),
            6 => (&[0x82, mask | 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009),
            7 => {
                self.frame(true, OpCode::Continuation, b"of nothing");
                (&[], 1002)
            }
            8 => {
                self.frame(false, OpCode::Text, b"half ");
                self.frame(true, OpCode::Text, b"interrupted");
                (&[], 1002)
            }
            9 => {
                self.frame(true, OpCode::Text, b"not \xff UTF-8");
                (&[], 1007)
            }
            10 => {
                self.frame(true, OpCode::Close, &[3]);
                (&[], 1002)
            }
            _ => {
                self.frame(true, OpCode::Close, &1005_u16.to_be_bytes());
                (&[], 1002)
            }
        };
        self.bytes.extend_from_slice(wrong.0);
        wrong.1
    }
}
