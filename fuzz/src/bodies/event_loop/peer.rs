//! What a scripted client does.

use std::net::SocketAddr;

use eventwire::proto::OpCode;
use eventwire::reactor::SimReactor;

use super::super::input::Input;
use super::link::Link;
use crate::shared::{Arrived, SimPeer, frame, request};

pub(in super::super) struct Peer {
    pub(in super::super) stream: SimPeer,
    pub(in super::super) link: usize,
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
        let stream = SimPeer::connect(reactor, address);
        stream.send(&request(link), reactor);
        Self { stream, link, opened: false, closed: false }
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
            4 => self.stream.stop_reading(reactor),
            5 => self.stream.resume(reactor),
            _ if link.ended => {}
            6 => {
                link.rude = true;
                self.stream.send(script.chunk(), reactor);
            }
            7 => self.send(OpCode::Ping, script.take(1), reactor),
            8 => {
                link.ended = true;
                self.send(OpCode::Close, &[3, 232], reactor);
            }
            9 => {
                link.ended = true;
                self.stream.finish(reactor);
            }
            10 if script.byte() % 2 == 0 => {
                link.ended = true;
                self.stream.reset(reactor);
            }
            10 => {
                link.ended = true;
                self.stream.vanish(reactor);
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
        self.stream.send(&frame(opcode, payload), reactor);
    }

    /// Receives what has arrived; returns whether anything has.
    pub(in super::super) fn receive(&mut self, link: &mut Link, reactor: &mut SimReactor) -> bool {
        let active = self.stream.receive(reactor);
        if !self.opened && !self.closed {
            let Some(head) = self.stream.take_head() else { return active };
            self.opened = head.starts_with(b"HTTP/1.1 101 ");
            self.closed = !self.opened;
            // Too late, by a jump of the clock, or while the loop shuts down.
            let refused = [b"HTTP/1.1 408 ", b"HTTP/1.1 503 "];
            let refused = refused.iter().any(|status| head.starts_with(&status[..]));
            assert!(self.opened || refused || link.rude, "a request is refused");
        }
        while self.opened && !self.closed {
            match self.stream.take_frame() {
                Some(Arrived::Message(_, payload)) => link.arrived(&payload),
                Some(Arrived::Ping(_) | Arrived::Pong) => {}
                Some(Arrived::Close(_)) => self.closed = true,
                None => return active,
            }
        }
        assert!(!self.opened || self.stream.input().is_empty(), "more after a close frame");
        active
    }
}
