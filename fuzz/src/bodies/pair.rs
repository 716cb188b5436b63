//! A client and a server over a pipe that loses nothing: what one sends the other gets, and the
//! closing handshake ends both.
//!
//! Input: commands with their arguments.

use std::sync::{Arc, LazyLock};

use eventwire::proto::{CloseCode, CloseFrame, Limits, Message, OpCode, Role, State};

use super::endpoint::{Endpoint, Seen};
use super::input::Input;

/// Longer than what is received into a buffer of its own, and no longer, for the time it takes.
const LONGEST: usize = 20_000;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    static LIMITS: LazyLock<Arc<Limits>> =
        LazyLock::new(|| Arc::new(Limits::default().control_rate(1_000_000, 1_000_000)));
    let mut ends = [Role::Client, Role::Server].map(|role| End::new(role, &LIMITS));
    while !input.is_empty() {
        let command = input.byte();
        let from = usize::from(command & 1);
        let [one, other] = &mut ends;
        let (end, peer) = if from == 0 { (one, other) } else { (other, one) };
        match command >> 1 & 7 {
            0 | 1 => end.deliver(peer, input.byte().into()),
            2 => end.deliver(peer, input.number().into()),
            3 => end.send(Message::Binary(input.chunk())),
            4 => end.send(Message::Text(&String::from_utf8_lossy(input.chunk()))),
            5 => end.send(Message::Binary(&vec![command; input.length() % LONGEST])),
            6 => end.ping(input.chunk()),
            _ => end.close(CloseCode::new(3000 + u16::from(input.byte()))),
        }
    }
    drain(&mut ends);
    if ends.iter().all(|end| end.closed_with.is_none()) {
        assert!(ends.iter().all(|end| end.peer.connection.is_open()));
        assert_eq!(ends[0].received(), ends[1].sent);
        assert_eq!(ends[1].received(), ends[0].sent);
        ends[data.len() % 2].close(CloseCode::NORMAL);
        drain(&mut ends);
    }
    check_end(&ends);
}

struct End {
    peer: Endpoint,
    /// How much of what the peer wrote the other end has.
    delivered: usize,
    /// What the application sent: messages and pings.
    sent: Vec<(OpCode, Vec<u8>)>,
    /// The code of the close frame, if the application was the first to close at this end.
    closed_with: Option<CloseCode>,
}

impl End {
    fn new(role: Role, limits: &Arc<Limits>) -> Self {
        let peer = Endpoint::new(role, limits);
        Self { peer, delivered: 0, sent: Vec::new(), closed_with: None }
    }

    /// Delivers up to `count` bytes to the other end.
    fn deliver(&mut self, other: &mut Self, count: usize) {
        let rest = &self.peer.out[self.delivered..];
        let bytes = &rest[..count.min(rest.len())];
        self.delivered += bytes.len();
        other.peer.receive_direct(bytes);
    }

    fn send(&mut self, message: Message<'_>) {
        let opcode = match message {
            Message::Text(_) => OpCode::Text,
            Message::Binary(_) => OpCode::Binary,
        };
        if self.peer.with(|connection, workspace| connection.send(message, workspace)) {
            self.sent.push((opcode, message.as_bytes().to_vec()));
        }
    }

    fn ping(&mut self, payload: &[u8]) {
        let payload = &payload[..payload.len().min(125)];
        if self.peer.with(|connection, workspace| connection.ping(payload, workspace)) {
            self.sent.push((OpCode::Ping, payload.to_vec()));
        }
    }

    fn close(&mut self, code: CloseCode) {
        if self.peer.connection.is_open() {
            self.closed_with = Some(code);
            self.peer.with(|connection, workspace| connection.close(code, "done", workspace));
        }
    }

    /// Messages and pings of the other end's application.
    fn received(&self) -> Vec<(OpCode, Vec<u8>)> {
        let received = self.peer.seen.iter().filter_map(|seen| match seen {
            Seen::Message(opcode, payload) => Some((*opcode, payload.clone())),
            Seen::Ping(payload) => Some((OpCode::Ping, payload.clone())),
            _ => None,
        });
        received.collect()
    }

    /// The code of the other end's close frame, which is the last thing that is seen.
    fn close_code(&self) -> Option<CloseCode> {
        let Some(Seen::Close(payload)) = self.peer.seen.last() else {
            return None;
        };
        CloseFrame::parse(payload).expect("a valid one").map(|close| close.code)
    }
}

/// Delivers everything, until nothing is left to be said.
fn drain(ends: &mut [End; 2]) {
    let [client, server] = ends;
    for _ in 0..4 {
        client.deliver(server, usize::MAX);
        server.deliver(client, usize::MAX);
    }
}

fn check_end(ends: &[End; 2]) {
    for (end, other) in [(&ends[0], &ends[1]), (&ends[1], &ends[0])] {
        assert_eq!(end.peer.connection.state(), State::Closed);
        let (received, sent) = (end.received(), &other.sent);
        if end.closed_with.is_none() {
            assert_eq!(&received, sent);
        }
        // An end that closes stops listening.
        assert_eq!(received, sent[..received.len()]);
        let code = other.closed_with.or(end.closed_with);
        assert_eq!(end.close_code(), code);
    }
}
