//! A session of Engine.IO against a model: what was sent to it, and what it may write.
//!
//! Input: the transport that the session begins with, then commands with their arguments.

use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::rc::Rc;

use bytes::Bytes;
use eventwire::socketio::engine_io::{
    Beat, Lost, Outgoing, Packet, Received, Refused, Session, Wire, packets,
};

use super::input::Input;

/// More packets are in no response, unless one message has more.
const POLL_PACKETS_MAX: usize = 16;

/// More polls than any run needs until all that waits has left.
const LAST_POLLS: usize = 10_000;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut test = Test::begin(input.byte() % 4 == 0);
    while !input.is_empty() {
        test.command(&mut input);
        test.check();
    }
    test.end();
}

/// Something that a session wrote.
enum Written {
    Answer(u32, Bytes),
    Packet(u32, String),
    Message(u32, String, Vec<Bytes>),
    Closed(u32),
}

#[derive(Default)]
struct Log(Vec<Written>);

impl Wire<u32, u32> for Log {
    fn answer(&mut self, poll: u32, payload: Bytes) {
        self.0.push(Written::Answer(poll, payload));
    }

    fn send(&mut self, socket: u32, packet: &Packet<'_>) {
        let mut text = String::new();
        packet.write_text(&mut text);
        self.0.push(Written::Packet(socket, text));
    }

    fn send_message(&mut self, socket: u32, message: &Outgoing) {
        let Outgoing { text, attachments } = message;
        self.0.push(Written::Message(socket, text.clone(), attachments.clone()));
    }

    fn close(&mut self, socket: u32) {
        self.0.push(Written::Closed(socket));
    }
}

struct Test {
    session: Session<u32, u32>,
    log: Log,
    /// The newest poll or socket.
    newest: u32,
    /// The poll that waits.
    waiting: Option<u32>,
    /// WebSockets that are open, as their clients see it.
    sockets: BTreeSet<u32>,
    /// Messages that were sent and did not leave.
    messages: VecDeque<Rc<Outgoing>>,
    sent: u32,
    /// Pings that are due and did not leave.
    pings: usize,
    /// It will not send what it is given.
    is_closing: bool,
    /// The client has got the end.
    has_end: bool,
}

impl Test {
    fn begin(on_socket: bool) -> Self {
        let session = if on_socket { Session::web_socket(0) } else { Session::polling() };
        let sockets = on_socket.then_some(0).into_iter().collect();
        Self {
            session,
            log: Log::default(),
            newest: 0,
            waiting: None,
            sockets,
            messages: VecDeque::new(),
            sent: 0,
            pings: 0,
            is_closing: false,
            has_end: false,
        }
    }

    fn next(&mut self) -> u32 {
        self.newest += 1;
        self.newest
    }

    fn command(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0 | 1 => self.poll(),
            2 => self.lose_poll(input.byte()),
            3 => self.receive(input),
            4 | 5 => self.open_socket(),
            6 | 7 => self.probe(input),
            8 => self.lose_socket(input.byte()),
            9 | 10 => self.send(input),
            11 => self.session.flush(&mut self.log),
            12 => self.beat(),
            13 => self.session.end_upgrade(&mut self.log),
            14 => {
                self.session.flush(&mut self.log);
                self.check();
                assert!(self.waiting.is_none() || self.messages.is_empty(), "it was not flushed");
            }
            _ => self.close(input.byte()),
        }
    }

    fn poll(&mut self) {
        let poll = self.next();
        let (was_open, on_socket) = (self.session.is_open(), self.session.socket().is_some());
        match self.session.poll(poll, &mut self.log) {
            Ok(()) => {
                assert!(self.waiting.is_none() && !on_socket);
                self.waiting = Some(poll);
            }
            Err(Refused::OtherTransport) => assert!(on_socket),
            Err(Refused::Unknown) => assert!(!was_open && self.session.is_closed()),
            Err(Refused::Overlapping) => {
                assert!(self.waiting.is_some() && self.session.is_closed());
                self.drop_messages();
            }
        }
    }

    /// The client of a poll leaves: of the one that waits, or of an earlier one.
    fn lose_poll(&mut self, choice: u8) {
        let lost = if choice % 4 == 0 { Some(self.newest / 2) } else { self.waiting };
        let Some(lost) = lost else {
            return;
        };
        let ends = self.session.poll_lost(lost, &mut self.log);
        assert_eq!(ends, self.waiting == Some(lost));
        if ends {
            self.waiting = None;
            assert!(self.session.is_closed());
            self.drop_messages();
        }
    }

    /// A packet comes by a request, or on the WebSocket of the session.
    fn receive(&mut self, input: &mut Input<'_>) {
        let text = String::from_utf8_lossy(input.chunk());
        let Ok(packet) = Packet::parse(&text) else {
            return;
        };
        let by_polling = self.session.check_post();
        let is_open = self.session.is_open();
        assert_eq!(is_open, by_polling.is_ok() || self.session.socket().is_some());
        match (self.session.receive(packet.clone()), packet) {
            (Received::Nothing, _) if !is_open => {}
            (Received::Text(received), Packet::Text(text)) => assert_eq!(received, text),
            (Received::Binary(received), Packet::Binary(bytes)) => assert_eq!(received, &bytes[..]),
            (Received::Pong | Received::Nothing, Packet::Pong(_)) => {}
            (Received::Closed, Packet::Close) | (Received::Nothing, Packet::Noop) => {}
            (Received::Violation, Packet::Ping(_) | Packet::Open(_) | Packet::Upgrade) => {}
            (received, packet) => panic!("{received:?} of {packet:?}"),
        }
    }

    fn open_socket(&mut self) {
        let socket = self.next();
        let is_upgrading = self.upgrading().is_some();
        let begins = self.session.socket_opened(socket);
        assert_eq!(begins, self.session.check_post().is_ok() && !is_upgrading);
        if begins {
            self.sockets.insert(socket);
        }
    }

    /// The socket to which the session is to move.
    fn upgrading(&self) -> Option<u32> {
        let mut upgrading = self.sockets.iter().filter(|it| self.session.is_upgrading_to(**it));
        let first = upgrading.next().copied();
        assert!(upgrading.next().is_none(), "two upgrades");
        first
    }

    fn probe(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let packet = match choice % 4 {
            0 => Some(Packet::Ping("probe")),
            1 => Some(Packet::Upgrade),
            2 => Some(Packet::Ping("")),
            _ => None,
        };
        let current = self.upgrading();
        let other = choice / 4 % 4 == 0;
        let Some(socket) = (if other { Some(self.newest / 2) } else { current }) else {
            return;
        };
        if self.session.socket() == Some(socket) {
            return;
        }
        let is_last = packet == Some(Packet::Upgrade) && current == Some(socket);
        let received = self.session.receive_probe(socket, packet, &mut self.log);
        assert_eq!(received == Received::Upgraded, is_last);
        assert_eq!(self.session.socket() == Some(socket), is_last);
        if is_last {
            self.check();
            assert!(self.waiting.is_none() && self.messages.is_empty() && self.pings == 0);
        } else if current != Some(socket) {
            assert_eq!(self.upgrading(), current, "another socket's upgrade was harmed");
        }
    }

    fn lose_socket(&mut self, choice: u8) {
        let index = usize::from(choice) % self.sockets.len().max(1);
        let Some(lost) = self.sockets.iter().nth(index).copied() else {
            return;
        };
        let expected = match (self.session.socket(), self.upgrading()) {
            (Some(socket), _) if socket == lost => Lost::Session,
            (_, Some(socket)) if socket == lost => Lost::Upgrade,
            _ => Lost::Nothing,
        };
        assert_eq!(self.session.socket_lost(lost), expected);
        self.sockets.remove(&lost);
        if expected == Lost::Session {
            assert!(self.session.is_closed());
            self.drop_messages();
        }
    }

    fn send(&mut self, input: &mut Input<'_>) {
        self.sent += 1;
        let (count, attached) = (input.byte(), self.sent.to_be_bytes());
        // Most have none.
        let count = if count < 160 { 0 } else { usize::from(count) % 19 };
        let attachments = vec![Bytes::copy_from_slice(&attached); count];
        let message = Rc::new(Outgoing { text: format!("4{}", self.sent), attachments });
        if self.session.is_open() {
            self.messages.push_back(Rc::clone(&message));
        }
        self.session.send(message, &mut self.log);
    }

    fn beat(&mut self) {
        if self.session.is_open() && self.session.beat(&mut self.log) == Beat::Pinged {
            // More than one, if the client sends pongs without reading.
            self.pings += 1;
        }
    }

    fn close(&mut self, choice: u8) {
        match choice % 8 {
            0 => self.session.abort(&mut self.log),
            1 => self.session.end(&mut self.log),
            2 => return self.session.close(&mut self.log),
            _ => return,
        }
        assert!(self.session.is_closed());
        self.drop_messages();
    }

    fn drop_messages(&mut self) {
        self.messages.clear();
        self.pings = 0;
    }
}

impl Test {
    /// Compares what the session has written with what it may write.
    fn check(&mut self) {
        for written in mem::take(&mut self.log.0) {
            match written {
                Written::Answer(poll, payload) => {
                    assert_eq!(self.waiting.take(), Some(poll), "answered twice, or another one");
                    self.check_payload(&payload);
                }
                Written::Packet(socket, text) => {
                    assert!(self.sockets.contains(&socket), "it is closed");
                    match &*text {
                        "2" => self.pings = self.pings.checked_sub(1).expect("a ping is due"),
                        "3probe" => assert!(self.session.is_upgrading_to(socket)),
                        other => panic!("{other}"),
                    }
                }
                Written::Message(socket, text, attachments) => {
                    assert!(self.sockets.contains(&socket), "it is closed");
                    let message = self.messages.pop_front();
                    assert_eq!(message.as_deref(), Some(&Outgoing { text, attachments }));
                }
                Written::Closed(socket) => drop(self.sockets.remove(&socket)),
            }
        }
        assert!(!self.is_closing || !self.session.is_open(), "it was over");
        self.is_closing |= !self.session.is_open();
        assert!(!self.has_end || self.session.is_closed());
        let waits: usize = self.messages.iter().map(|message| message.len()).sum();
        if self.session.is_closed() {
            assert_eq!((self.waiting, self.session.queued_bytes()), (None, 0));
            assert!(self.upgrading().is_none() && self.session.socket().is_none());
        } else {
            assert_eq!(self.session.queued_bytes(), waits);
            let is_idle = self.waiting.is_some() && waits == 0 && self.pings == 0;
            assert_eq!(self.session.has_idle_poll(), is_idle);
        }
        if self.session.socket().is_some() {
            assert!(self.messages.is_empty() && self.pings == 0, "it did not leave at once");
        }
    }

    /// A response: messages in order, each with its attachments, and pings that are due.
    fn check_payload(&mut self, payload: &[u8]) {
        let all: Vec<_> = packets(payload).map(|packet| packet.expect("valid")).collect();
        let mut rest = all.iter();
        let mut messages = 0;
        while let Some(packet) = rest.next() {
            assert!(!self.has_end, "it follows the end");
            match packet {
                Packet::Text(text) => {
                    let message = self.messages.pop_front().expect("a message that was sent");
                    assert_eq!(message.text.strip_prefix('4'), Some(*text));
                    for attachment in &message.attachments {
                        let next = rest.next();
                        assert_eq!(next, Some(&Packet::Binary(attachment[..].into())));
                    }
                    messages += 1;
                }
                Packet::Ping("") => {
                    self.pings = self.pings.checked_sub(1).expect("a ping is due");
                    messages += 1;
                }
                Packet::Close => {
                    self.has_end = true;
                    assert!(self.session.is_closed());
                }
                Packet::Noop => assert_eq!(all.len(), 1),
                other => panic!("{other:?}"),
            }
        }
        assert!(all.len() - usize::from(self.has_end) <= POLL_PACKETS_MAX || messages == 1);
    }

    /// All that waits leaves in the end, and the session with it.
    fn end(&mut self) {
        self.session.close(&mut self.log);
        self.check();
        for _ in 0..LAST_POLLS {
            if self.session.is_closed() {
                break;
            }
            self.poll();
            self.check();
        }
        assert!(self.session.is_closed(), "no end");
        assert!(self.messages.is_empty() && self.sockets.is_empty(), "something is left");
        assert_eq!(self.session.poll(u32::MAX, &mut self.log), Err(Refused::Unknown));
        self.check();
    }
}
