//! A session as its client sees it: polling with or without kept connections, a WebSocket, and the
//! way from one to the other.

use std::collections::VecDeque;
use std::net::SocketAddr;

use eventwire::proto::{OpCode, Role};
use eventwire::reactor::SimReactor;

use super::packets::{Part, Response, Stream, parts, payload};
use super::truth::Outcomes;
use crate::shared::{Arrived, Random, frame, request, take_frame};

/// How a client polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    KeepsConnections,
    /// A connection for every request.
    ConnectsAnew,
    /// It begins on a WebSocket.
    WebSocket,
}

#[derive(Debug)]
pub(super) struct Session {
    address: SocketAddr,
    manner: Manner,
    /// What its requests say of it.
    query: String,
    id: Option<String>,
    get: Option<Stream>,
    post: Option<Stream>,
    idle: Vec<Stream>,
    socket: Option<(Stream, Stage)>,
    /// What it is to send.
    pub(super) out: VecDeque<Part>,
    pub(super) is_silent: bool,
    /// It does not read its WebSocket.
    is_paused: bool,
}

/// What a WebSocket is for its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The request was sent.
    Opening,
    /// The probe was sent.
    Probing,
    /// The probe was answered: it moves once no request is under way.
    Moving,
    Current,
}

/// What has come.
#[derive(Debug)]
pub(super) enum Came {
    Part(Part),
    /// The session is over for this client.
    End(&'static str),
}

impl Session {
    pub(super) fn begin(
        address: SocketAddr,
        (manner, query): (Manner, String),
        reactor: &mut SimReactor,
    ) -> Self {
        let mut session = Self {
            address,
            manner,
            query,
            id: None,
            get: None,
            post: None,
            idle: Vec::new(),
            socket: None,
            out: VecDeque::new(),
            is_silent: false,
            is_paused: false,
        };
        if manner == Manner::WebSocket {
            session.open_socket(reactor);
        }
        session
    }

    fn path(&self, transport: &str) -> String {
        let id = self.id.as_ref().map(|id| format!("&sid={id}")).unwrap_or_default();
        format!("socket.io/?EIO=4&transport={transport}&{}{id}", self.query)
    }

    fn open_socket(&mut self, reactor: &mut SimReactor) {
        let stream = Stream::connect(reactor, self.address);
        reactor.peer_send(stream.id, &request(self.path("websocket")));
        self.socket = Some((stream, Stage::Opening));
    }

    fn begins_on_socket(&self) -> bool {
        self.manner == Manner::WebSocket
    }

    pub(super) fn is_open(&self) -> bool {
        self.id.is_some()
    }

    /// Reads everything.
    pub(super) fn receive(&mut self, reactor: &mut SimReactor) -> Vec<Came> {
        let mut came = Vec::new();
        self.receive_answers(reactor, &mut came);
        self.receive_frames(reactor, &mut came);
        came
    }

    fn receive_answers(&mut self, reactor: &mut SimReactor, came: &mut Vec<Came>) {
        for is_post in [false, true] {
            let request = if is_post { &mut self.post } else { &mut self.get };
            let Some(mut stream) = request.take() else {
                continue;
            };
            stream.receive(reactor);
            match stream.take_response() {
                Some(response) => {
                    self.take_answer(response, is_post, came);
                    assert!(stream.input.is_empty(), "more than an answer");
                    match self.manner {
                        Manner::KeepsConnections => self.idle.push(stream),
                        _ => reactor.peer_close(stream.id),
                    }
                }
                None if reactor.peer_is_closed(stream.id) => came.push(Came::End("lost")),
                None => *(if is_post { &mut self.post } else { &mut self.get }) = Some(stream),
            }
        }
        let mut idle = std::mem::take(&mut self.idle);
        idle.retain(|stream| !reactor.peer_is_closed(stream.id));
        self.idle = idle;
    }

    fn take_answer(&self, response: Response, is_post: bool, came: &mut Vec<Came>) {
        match response.status {
            200 if is_post => assert_eq!(response.body, "ok"),
            200 => came.extend(parts(&response.body).map(Came::Part)),
            400 => came.push(Came::End("refused")),
            503 => came.push(Came::End("too many")),
            other => panic!("{other}: {response:?}"),
        }
    }

    fn receive_frames(&mut self, reactor: &mut SimReactor, came: &mut Vec<Came>) {
        let Some((mut stream, mut stage)) = self.socket.take() else {
            return;
        };
        stream.receive(reactor);
        if stage == Stage::Opening {
            if let Some(head) = stream.take_head() {
                if !head.starts_with("HTTP/1.1 101") {
                    came.extend(self.begins_on_socket().then_some(Came::End("refused")));
                    return reactor.peer_close(stream.id);
                }
                stage = Stage::Current;
                if !self.begins_on_socket() {
                    stage = Stage::Probing;
                    reactor.peer_send(stream.id, &frame(OpCode::Text, b"2probe"));
                }
            }
        }
        let mut is_closed = false;
        while let Some(arrived) = take_arrived(&mut stream, stage) {
            match arrived {
                Arrived::Message(true, text) if stage == Stage::Probing => {
                    assert_eq!(text, b"3probe");
                    stage = Stage::Moving;
                }
                Arrived::Message(is_text, bytes) => {
                    assert_eq!(stage, Stage::Current, "a message before the upgrade");
                    came.push(Came::Part(match is_text {
                        true => Part::Text(String::from_utf8(bytes).expect("text")),
                        false => Part::Binary(bytes),
                    }));
                }
                Arrived::Close(_) => is_closed = true,
                Arrived::Ping(_) | Arrived::Pong => panic!("the protocol has its own heartbeats"),
            }
        }
        if is_closed || (reactor.peer_is_closed(stream.id) && !self.is_paused) {
            reactor.peer_close(stream.id);
            let is_end = stage == Stage::Current || self.begins_on_socket();
            came.extend(is_end.then_some(Came::End("closed")));
            return;
        }
        self.socket = Some((stream, stage));
    }

    /// What the packet that opens the session says.
    pub(super) fn open(&mut self, id: &str) {
        assert_eq!(self.id.replace(id.to_owned()), None, "it is open");
    }

    /// Sends what is to be sent, and polls.
    pub(super) fn pump(&mut self, reactor: &mut SimReactor, random: &mut Random) {
        match &mut self.socket {
            Some((stream, Stage::Current)) => {
                for part in self.out.drain(..) {
                    let bytes = match part {
                        Part::Text(text) => frame(OpCode::Text, text.as_bytes()),
                        Part::Binary(bytes) => frame(OpCode::Binary, &bytes),
                    };
                    reactor.peer_send(stream.id, &bytes);
                }
                return;
            }
            Some((stream, stage @ Stage::Moving)) => {
                if self.get.is_none() && self.post.is_none() {
                    reactor.peer_send(stream.id, &frame(OpCode::Text, b"5"));
                    *stage = Stage::Current;
                }
                return;
            }
            _ => {}
        }
        if self.begins_on_socket() {
            return;
        }
        if self.get.is_none() && random.percent(90) {
            self.get = Some(self.request("GET", "", reactor));
        }
        if self.post.is_none() && !self.out.is_empty() && self.id.is_some() {
            let count = random.between(1, self.out.len().min(20));
            let parts: Vec<_> = self.out.drain(..count).collect();
            self.post = Some(self.request("POST", &payload(&parts), reactor));
        }
    }

    fn request(&mut self, method: &str, body: &str, reactor: &mut SimReactor) -> Stream {
        let stream = self.idle.pop().unwrap_or_else(|| Stream::connect(reactor, self.address));
        let (path, len) = (self.path("polling"), body.len());
        let head = format!("{method} /{path} HTTP/1.1\r\nHost: sim\r\nContent-Length: {len}");
        reactor.peer_send(stream.id, format!("{head}\r\n\r\n{body}").as_bytes());
        stream
    }

    // The upgrade.

    /// Begins an upgrade, if none goes on and the session is by polling.
    pub(super) fn upgrade(&mut self, reactor: &mut SimReactor) {
        if self.id.is_some() && self.socket.is_none() && !self.begins_on_socket() {
            self.open_socket(reactor);
        }
    }

    /// Abandons an upgrade that goes on.
    pub(super) fn abandon_upgrade(
        &mut self,
        reactor: &mut SimReactor,
        random: &mut Random,
        outcomes: &mut Outcomes,
    ) {
        if self.begins_on_socket() {
            return;
        }
        let Some((stream, stage)) = self.socket.take_if(|(_, stage)| *stage != Stage::Current)
        else {
            return;
        };
        outcomes.count(match stage {
            Stage::Opening => "abandoned before the probe",
            Stage::Probing => "abandoned before its answer",
            _ => "abandoned after its answer",
        });
        match random.below(5) {
            0 => reactor.peer_close(stream.id),
            1 => reactor.peer_reset(stream.id),
            2 => reactor.peer_drop(stream.id),
            // It stays open and silent, or breaks the rules. The server is to close it.
            3 if stage != Stage::Opening => {
                reactor.peer_send(stream.id, &frame(OpCode::Text, b"4no"));
                reactor.peer_close(stream.id);
            }
            _ => reactor.peer_send(stream.id, &frame(OpCode::Close, &1000_u16.to_be_bytes())),
        }
    }

    pub(super) fn is_upgraded(&self) -> bool {
        matches!(self.socket, Some((_, Stage::Current))) && !self.begins_on_socket()
    }

    /// Stops reading its WebSocket, or goes on.
    pub(super) fn toggle(&mut self, reactor: &mut SimReactor) {
        if let Some((stream, Stage::Current)) = &self.socket {
            match self.is_paused {
                true => reactor.peer_resume(stream.id),
                false => reactor.peer_stop_reading(stream.id),
            }
            self.is_paused = !self.is_paused;
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) fn read_on(&mut self, reactor: &mut SimReactor) {
        if self.is_paused {
            self.toggle(reactor);
        }
    }

    // The end.

    fn streams(&self) -> impl Iterator<Item = &Stream> {
        let socket = self.socket.as_ref().map(|(stream, _)| stream);
        self.get.iter().chain(&self.post).chain(&self.idle).chain(socket)
    }

    /// Ends every connection.
    pub(super) fn finish(&self, reactor: &mut SimReactor) {
        self.streams().for_each(|stream| reactor.peer_close(stream.id));
    }

    pub(super) fn reset(&self, reactor: &mut SimReactor) {
        self.streams().for_each(|stream| reactor.peer_reset(stream.id));
    }

    /// Vanishes without a word.
    pub(super) fn vanish(&self, reactor: &mut SimReactor) {
        self.streams().for_each(|stream| reactor.peer_drop(stream.id));
    }

    /// Closes the session in order: with a packet by polling, or with its WebSocket.
    pub(super) fn close(&mut self, reactor: &mut SimReactor) {
        match &self.socket {
            Some((stream, Stage::Current)) => {
                let close = frame(OpCode::Close, &1000_u16.to_be_bytes());
                reactor.peer_send(stream.id, &close);
            }
            _ if self.id.is_some() && self.post.is_none() => {
                let stream = self.request("POST", "1", reactor);
                reactor.peer_close(stream.id);
                if let Some(stream) = self.socket.take() {
                    reactor.peer_close(stream.0.id);
                }
            }
            _ => self.finish(reactor),
        }
    }
}

fn take_arrived(stream: &mut Stream, stage: Stage) -> Option<Arrived> {
    if stage == Stage::Opening { None } else { take_frame(&mut stream.input, Role::Client) }
}
