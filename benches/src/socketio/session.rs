//! One session: its connections, and how it joins.
//!
//! ```text
//! Requested ─ 101 ─▶ Opening ─ `0{…}` ─▶ Joining ─ `40{…}` ─▶ Accepted ─ `42["auth",…]` ─▶ Joined
//!         └─ 101 without Socket.IO ──────────────────────────────────────────────────────▶ Joined
//! ```
//!
//! Over polling it posts on the connection of its GETs until it has joined, and on another one
//! afterwards, because a GET waits on the first. So do stock clients.

use std::net::SocketAddr;

use mio::{Registry, Token};

use super::link::{Awaited, Input, Link};
use super::wire::{self, SEPARATOR};
use crate::freshness::frame;
use crate::load::Target;

/// The event that a server emits to every session once.
const AUTH: &[u8] = b"42[\"auth\",";

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    WebSocket,
    Polling,
    /// As messages of a WebSocket without Socket.IO.
    Plain,
}

/// How often a session sends requests again.
const REPEATED_MAX: u32 = 100;

/// What becomes of the packets that come once a session has joined.
pub(super) trait Receiver {
    /// Takes one packet of a session. Returns a packet to send, if there is one.
    fn packet(&mut self, session: usize, packet: &[u8]) -> Result<Option<Vec<u8>>, String>;
}

/// The server of a session.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    pub(super) target: Target,
    pub(super) way: Way,
}

/// What a session needs to connect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) registry: &'a Registry,
}

/// Which of a session's connections something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The WebSocket, or the connection of the GETs.
    Main,
    /// The connection of the POSTs.
    Posts,
}

/// What a session is ready for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) side: Side,
    /// Whether the server has ended the connection.
    pub(super) has_ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Requested,
    Opening,
    Joining,
    Accepted,
    Joined,
}

#[derive(Debug)]
pub(super) struct Session {
    index: usize,
    state: State,
    way: Way,
    main: Link,
    posts: Option<Link>,
    /// The payload of the next POST.
    waiting: Vec<u8>,
    path: String,
    repeated: u32,
}

/// The connection that a token names.
pub(super) fn place(token: Token) -> (usize, Side) {
    (token.0 / 2, if token.0 % 2 == 0 { Side::Main } else { Side::Posts })
}

impl Session {
    pub(super) fn dial(index: usize, network: Network<'_>) -> Result<Self, String> {
        let Endpoint { address, target, way } = network.endpoint;
        let main = Link::dial(*address, Token(2 * index), network.registry)?;
        let (state, path) = match way {
            Way::WebSocket => (State::Requested, wire::websocket_path()),
            Way::Plain => (State::Requested, target.path.clone()),
            Way::Polling => (State::Opening, wire::polling_path(None)),
        };
        let waiting = Vec::new();
        let mut session =
            Self { index, state, way: *way, main, posts: None, waiting, path, repeated: 0 };
        match way {
            Way::Polling => session.go_on(network)?,
            Way::WebSocket | Way::Plain => {
                session.main.send(&wire::upgrade(target, &session.path))?;
            }
        }
        Ok(session)
    }

    pub(super) fn has_joined(&self) -> bool {
        self.state == State::Joined
    }

    /// Sends one packet.
    pub(super) fn send(&mut self, packet: &[u8], network: Network<'_>) -> Result<(), String> {
        self.queue(packet)?;
        self.go_on(network)
    }

    /// How many requests were sent again on another connection.
    pub(super) fn repeated(&self) -> u32 {
        self.repeated
    }

    /// Handles readiness of one connection.
    pub(super) fn advance(
        &mut self,
        Ready { side, has_ended }: Ready,
        network: Network<'_>,
        buffer: &mut [u8],
        receiver: &mut impl Receiver,
    ) -> Result<(), String> {
        loop {
            let Some(link) = self.link(side) else { return Ok(()) };
            link.flush()?;
            let len = match link.read(buffer)? {
                Input::Bytes(len) => len,
                Input::Nothing => return Ok(()),
                Input::End => return self.end(side, network),
            };
            self.take_behind_input(side, &buffer[..len], receiver)?;
            self.go_on(network)?;
            if len < buffer.len() && !has_ended {
                return Ok(());
            }
        }
    }

    /// Goes on without a connection, if that is possible.
    fn end(&mut self, side: Side, network: Network<'_>) -> Result<(), String> {
        let (way, repeated) = (self.way, self.repeated);
        let Some(link) = self.link(side) else { return Ok(()) };
        if way == Way::Polling && link.is_unanswered() && repeated < REPEATED_MAX {
            let mut other =
                Link::dial(network.endpoint.address, self.token(side), network.registry)?;
            if let Some(link) = self.link(side) {
                other.take_over(link)?;
                *link = other;
            }
            self.repeated += 1;
            return Ok(());
        }
        if side == Side::Posts && link.awaited == Awaited::Nothing {
            self.posts = None;
            return Ok(());
        }
        Err("the server closed the connection".to_owned())
    }

    const fn token(&self, side: Side) -> Token {
        match side {
            Side::Main => Token(2 * self.index),
            Side::Posts => Token(2 * self.index + 1),
        }
    }

    fn link(&mut self, side: Side) -> Option<&mut Link> {
        match side {
            Side::Main => Some(&mut self.main),
            Side::Posts => self.posts.as_mut(),
        }
    }

    /// Takes what is whole, and keeps the rest.
    fn take_behind_input(
        &mut self,
        side: Side,
        bytes: &[u8],
        receiver: &mut impl Receiver,
    ) -> Result<(), String> {
        let Some(link) = self.link(side) else { return Ok(()) };
        let mut input = std::mem::take(&mut link.input);
        if input.is_empty() {
            let taken = self.take(side, bytes, receiver)?;
            input.extend_from_slice(&bytes[taken..]);
        } else {
            input.extend_from_slice(bytes);
            let taken = self.take(side, &input, receiver)?;
            input.drain(..taken);
        }
        if let Some(link) = self.link(side) {
            link.input = input;
        }
        Ok(())
    }

    /// Takes what is whole, and returns its length.
    fn take(
        &mut self,
        side: Side,
        input: &[u8],
        receiver: &mut impl Receiver,
    ) -> Result<usize, String> {
        let mut at = 0;
        if self.way == Way::Polling || self.state == State::Requested {
            while let Some(response) = wire::response(&input[at..])? {
                at += response.len;
                if response.status == 101 && self.state == State::Requested {
                    let is_plain = self.way == Way::Plain;
                    self.state = if is_plain { State::Joined } else { State::Opening };
                    break;
                }
                self.take_response(side, response, receiver)?;
            }
        }
        if self.way != Way::Polling && self.state != State::Requested {
            while let Some((payload, len)) = frame(&input[at..]) {
                let opcode = input[at] & 0x0f;
                at += len;
                self.take_frame(opcode, payload, receiver)?;
            }
        }
        Ok(at)
    }

    fn take_frame(
        &mut self,
        opcode: u8,
        payload: &[u8],
        receiver: &mut impl Receiver,
    ) -> Result<(), String> {
        match opcode {
            0x1 => self.take_packet(payload, receiver),
            0x9 => self.main.send(&wire::frame(0xa, payload)),
            0x8 => Err("the server closed the WebSocket".to_owned()),
            _ => Err(format!("the server sent a frame of the type {opcode}")),
        }
    }

    fn take_response(
        &mut self,
        side: Side,
        response: wire::Response<'_>,
        receiver: &mut impl Receiver,
    ) -> Result<(), String> {
        let Some(link) = self.link(side) else { return Ok(()) };
        let awaited = std::mem::replace(&mut link.awaited, Awaited::Nothing);
        if response.status != 200 {
            let body = String::from_utf8_lossy(response.body);
            return Err(format!("the server answered {}: {body}", response.status));
        }
        match awaited {
            Awaited::Receipt => Ok(()),
            Awaited::Payload => {
                let mut packets = response.body.split(|byte| *byte == SEPARATOR);
                packets.try_for_each(|packet| self.take_packet(packet, receiver))
            }
            Awaited::Nothing => Err("the server answered a request that was not sent".to_owned()),
        }
    }

    fn take_packet(&mut self, packet: &[u8], receiver: &mut impl Receiver) -> Result<(), String> {
        match self.state {
            State::Joined if self.way == Way::Plain || packet.starts_with(b"4") => {
                return match receiver.packet(self.index, packet)? {
                    Some(reply) => self.queue(&reply),
                    None => Ok(()),
                };
            }
            State::Opening if packet.starts_with(b"0") => {
                let sid = wire::sid(packet).ok_or("the session has no id")?;
                if self.way == Way::Polling {
                    self.path = wire::polling_path(Some(&sid));
                }
                self.state = State::Joining;
                return self.queue(b"40");
            }
            State::Joining if packet.starts_with(b"40{") => self.state = State::Accepted,
            State::Accepted if packet.starts_with(AUTH) => self.state = State::Joined,
            _ if packet == b"2" => return self.queue(b"3"),
            _ if packet == b"6" => {}
            _ => return Err(unexpected(packet)),
        }
        Ok(())
    }

    /// Sends a packet over the WebSocket, or lets it wait for the next POST.
    fn queue(&mut self, packet: &[u8]) -> Result<(), String> {
        if self.way != Way::Polling {
            return self.main.send(&wire::frame(0x1, packet));
        }
        if !self.waiting.is_empty() {
            self.waiting.push(SEPARATOR);
        }
        self.waiting.extend_from_slice(packet);
        Ok(())
    }

    /// Over polling, sends the requests that are due.
    fn go_on(&mut self, network: Network<'_>) -> Result<(), String> {
        if self.way != Way::Polling {
            return Ok(());
        }
        let target = &network.endpoint.target;
        let is_free = self.main.awaited == Awaited::Nothing;
        if !self.has_joined() && is_free && !self.waiting.is_empty() {
            let request = wire::post(target, &self.path, &self.waiting);
            self.waiting.clear();
            return self.main.request(request, Awaited::Receipt);
        }
        if is_free {
            self.main.request(wire::get(target, &self.path), Awaited::Payload)?;
        }
        if self.has_joined() && !self.waiting.is_empty() {
            self.post(network)?;
        }
        Ok(())
    }

    fn post(&mut self, network: Network<'_>) -> Result<(), String> {
        let Endpoint { address, target, .. } = network.endpoint;
        let token = self.token(Side::Posts);
        let posts = match &mut self.posts {
            Some(posts) => posts,
            none => none.insert(Link::dial(*address, token, network.registry)?),
        };
        if posts.awaited == Awaited::Nothing {
            let request = wire::post(target, &self.path, &self.waiting);
            self.waiting.clear();
            posts.request(request, Awaited::Receipt)?;
        }
        Ok(())
    }
}

/// The complaint about a packet that should not have come.
pub(super) fn unexpected(packet: &[u8]) -> String {
    const SHOWN: usize = 100;
    let shown = String::from_utf8_lossy(&packet[..packet.len().min(SHOWN)]);
    format!("the server sent {shown:?}, which was not expected")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_a_connection() {
        assert_eq!(place(Token(6)), (3, Side::Main));
        assert_eq!(place(Token(7)), (3, Side::Posts));
    }
}
