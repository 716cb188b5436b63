//! What scripted peers do: the far ends of connections, with good manners or without.

use std::time::Duration;

use eventwire::Message;
use eventwire::proto::handshake::UpgradeRequest;
use eventwire::proto::http::HeadLimits;
use eventwire::proto::{OpCode, Role};
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::PeerId;

use super::app::{App, Job, Link};
use super::flow::Flow;
use super::script::{BAD_REQUESTS, Frames};
use crate::shared::{Arrived, Random, SimPeer, request};

/// What a peer does wrong, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Right,
    /// Its last frame breaks the protocol.
    BreaksProtocol,
    BadHandshake,
    /// Stops in the middle of its opening handshake.
    HalfHandshake,
    /// Stops in the middle of a frame.
    HalfFrame,
}

/// How a peer ends what the engine did not end before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Waits for the engine to end it.
    Stay,
    /// A close frame, once everything has arrived.
    Close,
    Fin,
    Reset,
    Vanish,
}

/// Less than what the engine takes for a stall or for a dead peer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// A peer with what it is to do, and what it has received.
pub(super) struct Peer {
    stream: SimPeer,
    /// `None`: a server's, before the request came.
    link: Option<usize>,
    pub(super) manner: Manner,
    ending: Ending,
    /// Answers neither pings nor close frames, and never ends its stream.
    mute: bool,
    /// Stops reading now and then.
    pub(super) pauses: bool,
    /// What the server's response said.
    status: Option<u16>,
    /// The code that a violation is to be answered with.
    due_code: Option<u16>,
    /// The code of the close frame that arrived, 0 for none.
    close_code: Option<u16>,
    sent_close: bool,
    pub(super) done: bool,
}

impl Peer {
    fn new(id: PeerId, role: Role, manner: Manner, ending: Ending) -> Self {
        Self {
            stream: SimPeer::new(id, role),
            link: None,
            manner,
            ending,
            mute: false,
            pauses: false,
            status: None,
            due_code: None,
            close_code: None,
            sent_close: false,
            done: false,
        }
    }

    /// A client which sends `count` messages of up to `longest` bytes to the loop.
    pub(super) fn client(
        id: PeerId,
        manner: Manner,
        ending: Ending,
        (count, longest): (usize, usize),
        app: &mut App,
        link: usize,
    ) -> Self {
        let mut peer = Self::new(id, Role::Client, manner, ending);
        peer.link = Some(link);
        peer.mute = manner != Manner::Right && app.random.percent(30);
        let link_state = &mut app.links[link];
        link_state.rude =
            manner != Manner::Right || !matches!(ending, Ending::Stay | Ending::Close) || peer.mute;
        let mut bytes = match manner {
            Manner::BadHandshake => app.random.pick(&BAD_REQUESTS).into(),
            _ => request(link),
        };
        let open = matches!(manner, Manner::Right | Manner::BreaksProtocol | Manner::HalfFrame);
        if manner == Manner::HalfHandshake {
            bytes.truncate(app.random.between(1, bytes.len() - 1));
        }
        let mut frames = Frames::behind(bytes, Role::Client, &mut app.random);
        if open {
            peer.write(count, longest, &mut frames, &mut link_state.up);
        }
        peer.stream.queue(frames.into_pieces());
        peer
    }

    /// A client that has the application close everything.
    pub(super) fn controller(id: PeerId, app: &mut App) -> Self {
        let link = app.add_link(Job::Control);
        let mut peer = Self::new(id, Role::Client, Manner::Right, Ending::Stay);
        peer.link = Some(link);
        let mut frames = Frames::new(Role::Client, &mut app.random);
        app.links[link].up.accept("close all".into());
        frames.frame(true, OpCode::Text, b"close all");
        peer.stream.queue([[request(link), frames.bytes].concat()]);
        peer
    }

    /// A server that a connection of the application's has reached.
    pub(super) fn server(id: PeerId, manner: Manner, ending: Ending, mute: bool) -> Self {
        Self { mute, ..Self::new(id, Role::Server, manner, ending) }
    }

    /// Writes messages, and behind them what this peer's manner has it.
    fn write(&mut self, count: usize, longest: usize, frames: &mut Frames<'_>, flow: &mut Flow) {
        for _ in 0..count {
            frames.message(longest, flow);
        }
        match self.manner {
            Manner::BreaksProtocol => self.due_code = Some(frames.violation()),
            Manner::HalfFrame => frames.half(),
            _ => {}
        }
    }

    const fn role(&self) -> Role {
        self.stream.role()
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.stream.is_paused()
    }

    /// Sends, receives and ends; returns whether anything happened.
    pub(super) fn step(&mut self, reactor: &mut SimReactor, app: &mut App) -> bool {
        if self.done {
            return false;
        }
        self.pause(reactor, &mut app.random);
        let mut active = self.send(reactor, &mut app.random);
        active |= self.stream.receive(reactor);
        self.receive(app);
        if self.stream.is_closed(reactor) {
            // Mute peers leave the engine to wait for an end that does not come.
            self.done = true;
            if !self.mute {
                self.stream.finish(reactor);
            }
        } else if self.stream.has_sent_all() && self.has_begun() {
            active |= self.end(reactor, app);
        }
        active
    }

    fn pause(&mut self, reactor: &mut SimReactor, random: &mut Random) {
        match self.stream.paused_for(reactor) {
            Some(time) if random.percent(5) || time > LONGEST_PAUSE => self.stream.resume(reactor),
            None if self.pauses && random.percent(5) => self.stream.stop_reading(reactor),
            _ => {}
        }
    }

    pub(super) fn resume(&mut self, reactor: &mut SimReactor) {
        self.pauses = false;
        self.stream.resume(reactor);
    }

    fn send(&mut self, reactor: &mut SimReactor, random: &mut Random) -> bool {
        let is_active = !self.stream.has_sent_all();
        self.stream.send_some(reactor, random);
        is_active
    }

    /// A server has nothing to end before a request came.
    const fn has_begun(&self) -> bool {
        self.link.is_some() || !matches!(self.manner, Manner::Right | Manner::BreaksProtocol)
    }

    fn receive(&mut self, app: &mut App) {
        while self.link.is_none() || (self.role() == Role::Client && self.status.is_none()) {
            let Some(head) = self.stream.take_head() else { return };
            if self.role() == Role::Server {
                self.answer(&head, app);
            } else {
                let status = std::str::from_utf8(&head[9..12]).ok();
                self.status = status.and_then(|status| status.parse().ok());
                assert!(self.status.is_some(), "a response without a status");
            }
        }
        let refused = self.role() == Role::Client && self.status != Some(101);
        let unopened = matches!(self.manner, Manner::BadHandshake | Manner::HalfHandshake);
        if refused || unopened {
            return;
        }
        while self.close_code.is_none() {
            let Some(arrived) = self.stream.take_frame() else { return };
            self.arrived(arrived, app);
        }
        let rest = self.stream.input();
        assert!(rest.is_empty(), "bytes behind the close frame: {rest:?}");
    }

    /// Answers a client's opening request.
    fn answer(&mut self, head: &[u8], app: &mut App) {
        let request = UpgradeRequest::parse(head, &HeadLimits::default()).expect("a right request");
        let link: usize = request.path().trim_start_matches('/').parse().expect("a link");
        self.link = Some(link);
        let mut accept = request.key().accept();
        let status = match self.manner {
            Manner::BadHandshake => app.random.pick(&["101 OK", "200 OK", "404 No", "abc", ""]),
            _ => "101 Switching Protocols",
        };
        if self.manner == Manner::BadHandshake {
            accept.swap(0, 1);
            accept[2] ^= 1;
        }
        let accept = String::from_utf8_lossy(&accept).into_owned();
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        if self.manner == Manner::HalfHandshake {
            bytes.truncate(app.random.between(0, bytes.len() - 1));
        }
        let Link { job, down, .. } = &mut app.links[link];
        let count = if matches!(job, Job::Chaos) { app.random.below(6) } else { 0 };
        let mut frames = Frames::behind(bytes, Role::Server, &mut app.random);
        if !matches!(self.manner, Manner::BadHandshake | Manner::HalfHandshake) {
            self.write(count, 2000, &mut frames, down);
        }
        self.stream.queue(frames.into_pieces());
    }

    fn arrived(&mut self, arrived: Arrived, app: &mut App) {
        let Some(link) = self.link else { return };
        let Link { job, up, down, .. } = &mut app.links[link];
        let (incoming, outgoing) =
            if self.role() == Role::Client { (down, up) } else { (up, down) };
        match arrived {
            Arrived::Message(text, bytes) => {
                let message = if text {
                    Message::Text(std::str::from_utf8(&bytes).expect("the engine sends UTF-8"))
                } else {
                    Message::Binary(&bytes)
                };
                incoming.arrive(message);
                let echoes = self.role() == Role::Server && matches!(job, Job::Echo(_));
                if echoes && self.manner == Manner::Right && !self.sent_close {
                    outgoing.accept(message);
                    let mut frames = Frames::new(self.role(), &mut app.random);
                    frames.message_frames(message);
                    self.stream.queue(frames.into_pieces());
                }
            }
            Arrived::Ping(payload) if !self.mute && self.manner == Manner::Right => {
                self.control(OpCode::Pong, &payload, &mut app.random);
            }
            Arrived::Ping(_) | Arrived::Pong => {}
            Arrived::Close(code) => {
                incoming.arrive_close(code);
                self.close_code = Some(code.unwrap_or(0));
                if !self.sent_close && !self.mute && self.manner == Manner::Right {
                    self.sent_close = true;
                    let payload = code.map_or(Vec::new(), |code| code.to_be_bytes().to_vec());
                    self.control(OpCode::Close, &payload, &mut app.random);
                }
            }
        }
    }

    /// A control frame goes behind what is queued: that may be half a frame.
    fn control(&mut self, opcode: OpCode, payload: &[u8], random: &mut Random) {
        if !self.sent_close || opcode == OpCode::Close {
            let mut frames = Frames::new(self.role(), random);
            frames.frame(true, opcode, payload);
            self.stream.queue([frames.bytes]);
        }
    }

    fn end(&mut self, reactor: &mut SimReactor, app: &mut App) -> bool {
        match self.ending {
            Ending::Stay => return false,
            Ending::Close => return self.begin_close(app),
            _ if app.random.percent(90) => return true,
            Ending::Fin => self.stream.finish(reactor),
            Ending::Reset => self.stream.reset(reactor),
            Ending::Vanish => {
                self.stream.vanish(reactor);
                self.done = true;
                return true;
            }
        }
        self.ending = Ending::Stay;
        true
    }

    /// Closes in order, once everything has arrived on both ways.
    fn begin_close(&mut self, app: &mut App) -> bool {
        let Some(link) = self.link else { return false };
        let Link { up, down, .. } = &mut app.links[link];
        let is_early = self.role() == Role::Client && !(up.is_complete() && down.is_complete());
        let is_open = self.role() == Role::Server || self.status == Some(101);
        if self.sent_close || is_early || !is_open || self.manner != Manner::Right {
            return false;
        }
        if app.random.percent(80) {
            return true;
        }
        let code = app.random.between(3000, 3999) as u16;
        let outgoing = if self.role() == Role::Client { up } else { down };
        outgoing.close(code);
        self.control(OpCode::Close, &code.to_be_bytes(), &mut app.random);
        self.sent_close = true;
        true
    }

    /// Why this peer has not got what it must have when the network is quiet.
    pub(super) fn complaint(&self, reactor: &SimReactor, app: &App) -> Option<String> {
        if self.done || self.stream.is_paused() || self.stream.was_reset(reactor) {
            return self.unanswered().filter(|_| !self.stream.was_reset(reactor) && self.done);
        }
        let link = self.link.map(|link| &app.links[link]);
        let complaint = if !reactor.peer_has_sent_all(self.stream.id()) {
            "its bytes are not received".to_owned()
        } else if let Some(unanswered) = self.unanswered() {
            unanswered
        } else if self.close_code.is_some() && !self.mute && self.manner == Manner::Right {
            "its stream is not ended behind the close frames".to_owned()
        } else if let Some(link) = link.filter(|_| self.manner == Manner::Right) {
            let engine = if self.role() == Role::Client { link.server } else { link.client };
            let complete = link.up.is_complete() && link.down.is_complete();
            if !app.is_open(engine) || (complete && !app.waits(engine)) {
                return None;
            }
            format!("messages or on_drained are missing: {}", link.progress())
        } else {
            return None;
        };
        Some(format!("{:?} {:?} of link {:?}: {complaint}", self.role(), self.manner, self.link))
    }

    /// The link of a server that does not complete the opening handshake, once it has a link.
    pub(super) fn link_of_wrong_handshake(&self) -> Option<usize> {
        let is_wrong = matches!(self.manner, Manner::BadHandshake | Manner::HalfHandshake);
        self.link.filter(|_| is_wrong && self.role() == Role::Server)
    }

    fn unanswered(&self) -> Option<String> {
        if self.role() == Role::Server || self.ending == Ending::Vanish {
            return None;
        }
        let refused = self.status.is_some_and(|status| status >= 400);
        match self.manner {
            Manner::Right if self.status.is_none() && !self.done => Some("no response".to_owned()),
            Manner::BadHandshake if !refused => Some(format!("not refused: {:?}", self.status)),
            Manner::BreaksProtocol if self.close_code != self.due_code => {
                Some(format!("closed with {:?}, not {:?}", self.close_code, self.due_code))
            }
            _ => None,
        }
    }
}
