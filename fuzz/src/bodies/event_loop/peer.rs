//! A client that is no more than bytes.

use std::net::SocketAddr;

use eventwire::proto::{FrameHeader, OpCode, Role, apply_mask};
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::PeerId;

use super::super::input::Input;
use super::link::Link;

pub(in super::super) struct Peer {
    pub(in super::super) id: PeerId,
    pub(in super::super) link: usize,
    /// Received and not yet understood.
    rest: Vec<u8>,
    opened: bool,
    /// A close frame came, or a refusal: nothing follows.
    closed: bool,
}

impl Peer {
    pub(in super::super) fn connect(
        reactor: &mut SimReactor,
        address: SocketAddr,
        link: usize,
    ) -> Self {
        let id = reactor.peer_connect(address);
        let head = format!(
            "GET /{link} HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        reactor.peer_send(id, head.as_bytes());
        Self { id, link, rest: Vec::new(), opened: false, closed: false }
    }

    /// Does what the script says.
    pub(in super::super) fn act(
        &mut self,
        what: u8,
        script: &mut Input<'_>,
        link: &mut Link,
        reactor: &mut SimReactor,
    ) {
        match what {
            4 => reactor.peer_stop_reading(self.id),
            5 => reactor.peer_resume(self.id),
            _ if link.ended => {}
            6 => {
                link.rude = true;
                reactor.peer_send(self.id, script.chunk());
            }
            7 => self.send(OpCode::Ping, script.take(1), reactor),
            8 => {
                link.ended = true;
                self.send(OpCode::Close, &[3, 232], reactor);
            }
            9 => {
                link.ended = true;
                reactor.peer_close(self.id);
            }
            10 if script.byte() % 2 == 0 => {
                link.ended = true;
                reactor.peer_reset(self.id);
            }
            10 => {
                link.ended = true;
                reactor.peer_drop(self.id);
            }
            11 => {
                let head = link.next_message(script.byte(), script.byte());
                let long = [&head[..], &[0; 3_000]].concat();
                self.send(OpCode::Binary, &long, reactor);
            }
            12 => {
                // Several in one go.
                for _ in 0..script.byte() % 16 {
                    let message = link.next_message(11, 2);
                    self.send(OpCode::Binary, &message, reactor);
                }
            }
            _ => {
                let message = link.next_message(script.byte(), script.byte());
                self.send(OpCode::Binary, &message, reactor);
            }
        }
    }

    fn send(&self, opcode: OpCode, payload: &[u8], reactor: &mut SimReactor) {
        let key = [1, 2, 3, 4];
        let header = FrameHeader {
            fin: true,
            compressed: false,
            opcode,
            mask: Some(key),
            len: payload.len() as u64,
        };
        let mut bytes = [0; FrameHeader::MAX_LEN];
        let len = header.encode(&mut bytes);
        let mut frame = [&bytes[..len], payload].concat();
        apply_mask(&mut frame[len..], key, 0);
        reactor.peer_send(self.id, &frame);
    }

    /// Takes what has arrived; whether anything has.
    pub(in super::super) fn receive(&mut self, link: &mut Link, reactor: &mut SimReactor) -> bool {
        let received = reactor.peer_received(self.id);
        self.rest.extend_from_slice(&received);
        if !self.opened && !self.closed {
            let end = self.rest.windows(4).position(|four| four == b"\r\n\r\n");
            let Some(end) = end else { return !received.is_empty() };
            self.opened = self.rest.starts_with(b"HTTP/1.1 101 ");
            self.closed = !self.opened;
            // Too late, by a jump of the clock, or while the loop drains.
            let refused = [b"HTTP/1.1 408 ", b"HTTP/1.1 503 "];
            let refused = refused.iter().any(|status| self.rest.starts_with(&status[..]));
            assert!(self.opened || refused || link.rude, "a request is refused");
            self.rest.drain(..end + 4);
        }
        let mut at = 0;
        while self.opened && at < self.rest.len() {
            assert!(!self.closed, "more after a close frame");
            let parsed = FrameHeader::parse(&self.rest[at..], Role::Client);
            let Some((header, len)) = parsed.expect("a valid header") else { break };
            let begin = at + len;
            let end = begin + header.len as usize;
            let Some(payload) = self.rest.get(begin..end) else { break };
            match header.opcode {
                OpCode::Close => self.closed = true,
                OpCode::Ping | OpCode::Pong => {}
                _ => link.arrived(payload),
            }
            at = end;
        }
        self.rest.drain(..at);
        !received.is_empty()
    }
}
