//! A visitor of a site: it requests pages, reads slowly or not at all, may open a WebSocket after
//! them, and knows every byte that it must receive.

use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::reactor::SimReactor;

use crate::shared::{Random, SimPeer, frame, request};

/// A page that is longer than all that may wait, and one that is shared and not copied.
pub(super) const LONG: usize = 30_000;
pub(super) const SHARED: usize = 5_000;

pub(super) const HOME: &str = "<!doctype html><title>Home</title>";

/// The longest message to a WebSocket of the site.
pub(super) const MESSAGE: usize = 500;

/// Less than what an answer may wait for without being read.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Steps between two pauses: by then something has come.
const PACE: usize = 50;

/// How a visitor leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Waits for the server to end the connection.
    Stay,
    /// Ends its half of the stream behind its last request.
    Fin,
    /// In the midst of anything.
    Reset,
    Vanish,
}

/// What may end the stream of a visitor that has done nothing wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Excuses {
    /// The loop is shutting down.
    pub(super) drained: bool,
    /// Deadlines came early.
    pub(super) late: bool,
    /// All connections together hold too much.
    pub(super) full: bool,
    /// There are places for few, so that some make room between two answers.
    pub(super) crowded: bool,
}

pub(super) struct Visitor {
    stream: SimPeer,
    leaving: Leaving,
    /// What is sent once a WebSocket has opened, and after how many bytes that is.
    frames: Vec<Vec<u8>>,
    opens_at: usize,
    /// All that must come, and where in it answers and frames end.
    due: Vec<u8>,
    ends: Vec<usize>,
    /// Requests that are answered and open nothing, and of those the ones that a handler answers.
    pub(super) answers: u64,
    pub(super) asks: u64,
    /// The server ends the connection behind its last answer.
    closes: bool,
    /// How much of what was received is due; the rest is what interrupted it.
    right: usize,
    pauses: usize,
    steps: usize,
    pub(super) done: bool,
}

impl Visitor {
    pub(super) fn new(stream: SimPeer, leaving: Leaving, random: &mut Random) -> Self {
        let mut visitor = Self {
            stream,
            leaving,
            frames: Vec::new(),
            opens_at: 0,
            due: Vec::new(),
            ends: vec![0],
            answers: 0,
            asks: 0,
            closes: false,
            right: 0,
            pauses: random.pick(&[0, 0, 1, 4]),
            steps: 0,
            done: false,
        };
        let mut bytes = Vec::new();
        let count = random.pick(&[1, 3, 12, 40]);
        for _ in 0..random.between(1, count) {
            visitor.ask(false, &mut bytes, random);
        }
        match random.below(4) {
            0 => visitor.ask(true, &mut bytes, random),
            1 if leaving != Leaving::Fin => visitor.open(&mut bytes, random),
            2 => visitor.ask_wrongly(&mut bytes, random),
            _ => {}
        }
        let most = random.pick(&[1, 2, 10, 60]);
        visitor.stream.queue(random.cut(&bytes, most));
        visitor
    }

    /// One request, and its answer.
    fn ask(&mut self, is_last: bool, bytes: &mut Vec<u8>, random: &mut Random) {
        let method = random.pick(&["GET", "GET", "GET", "HEAD", "PUT"]);
        let path = random.pick(&["/", "/long", "/shared", "/empty", "/none", "/ask/"]);
        let path =
            if path == "/ask/" { format!("/ask/{}", random.below(1000)) } else { path.into() };
        let close = if is_last { "Connection: close\r\n" } else { "" };
        bytes.extend(format!("{method} {path} HTTP/1.1\r\nHost: sim\r\n{close}\r\n").bytes());
        let html =
            |body: Vec<u8>| ("200 OK", "Content-Type: text/html; charset=utf-8\r\n", Some(body));
        let (status, header, body) = match (method, &path[..]) {
            (_, "/none") => ("404 Not Found", "", Some(Vec::new())),
            ("PUT", _) => ("405 Method Not Allowed", "Allow: GET, HEAD\r\n", Some(Vec::new())),
            (_, "/") => html(HOME.into()),
            (_, "/long") => html(page(LONG)),
            (_, "/shared") => html(page(SHARED)),
            (_, "/empty") => ("204 No Content", "", None),
            _ => {
                self.asks += 1;
                let header = "Content-Type: text/plain; charset=utf-8\r\n";
                ("200 OK", header, Some(format!("{method} {path}").into_bytes()))
            }
        };
        let length = body.as_ref().map(|body| format!("Content-Length: {}\r\n", body.len()));
        let length = length.unwrap_or_default();
        self.due.extend(format!("HTTP/1.1 {status}\r\n{close}{header}{length}\r\n").bytes());
        if method != "HEAD" {
            self.due.extend(body.unwrap_or_default());
        }
        self.answers += 1;
        self.closes = is_last;
        self.ends.push(self.due.len());
    }

    /// A request that is refused.
    fn ask_wrongly(&mut self, bytes: &mut Vec<u8>, random: &mut Random) {
        let (request, status, text) = random.pick(&[
            ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "missing Host"),
            ("GET / HTTP/1.1\r\nHost: a\n", "400 Bad Request", "line ending that is not CR LF"),
            (
                "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
                "505 HTTP Version Not Supported",
                "version of HTTP is not 1.1",
            ),
        ]);
        bytes.extend(request.bytes());
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
        let kind = "Content-Type: text/plain; charset=utf-8\r\n";
        self.due.extend(format!("{head}{kind}Content-Length: {}\r\n\r\n", text.len()).bytes());
        self.due.extend(text.bytes());
        self.closes = true;
        self.ends.push(self.due.len());
    }

    /// A WebSocket, some messages that come back, and its end in order.
    fn open(&mut self, bytes: &mut Vec<u8>, random: &mut Random) {
        bytes.extend(request("echo"));
        // RFC 6455 §1.3.
        let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        self.due.extend(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .bytes(),
        );
        self.ends.push(self.due.len());
        self.opens_at = self.due.len();
        // The closing handshake has its time, whatever waits before it.
        self.pauses = self.pauses.min(1);
        let mut bytes = Vec::new();
        for _ in 0..random.below(20) {
            let message = vec![b'm'; random.len(MESSAGE)];
            bytes.extend(frame(OpCode::Binary, &message));
            match message.len() as u16 {
                len if len < 126 => self.due.extend([0x82, len as u8]),
                len => self.due.extend([&[0x82, 126], &len.to_be_bytes()[..]].concat()),
            }
            self.due.extend(message);
            self.ends.push(self.due.len());
        }
        bytes.extend(frame(OpCode::Close, &[3, 232]));
        let most = random.pick(&[1, 2, 10]);
        self.frames.extend(random.cut(&bytes, most));
        self.due.extend([0x88, 2, 3, 232]);
        self.closes = true;
        self.ends.push(self.due.len());
    }

    /// Sends, receives and leaves; whether anything happened.
    pub(super) fn step(
        &mut self,
        reactor: &mut SimReactor,
        random: &mut Random,
        excuses: Excuses,
    ) -> bool {
        if self.done {
            return false;
        }
        self.pause(reactor, random);
        let mut active = !self.stream.has_sent_all();
        self.stream.send_some(reactor, random);
        active |= self.stream.receive(reactor);
        self.compare(excuses);
        if self.right >= self.opens_at && !self.frames.is_empty() {
            // After its close frame it has a few seconds to read the rest.
            self.pauses = 0;
            self.stream.queue(self.frames.drain(..));
        }
        match self.leaving {
            Leaving::Fin if self.stream.has_sent_all() => {
                self.stream.finish(reactor);
                self.leaving = Leaving::Stay;
            }
            Leaving::Reset if random.percent(1) => {
                self.stream.reset(reactor);
                self.done = true;
            }
            Leaving::Vanish if random.percent(1) => {
                self.stream.vanish(reactor);
                self.done = true;
            }
            _ => {}
        }
        if self.stream.is_closed(reactor) && !self.done {
            self.done = true;
            active = true;
            self.stream.finish(reactor);
        }
        active
    }

    fn pause(&mut self, reactor: &mut SimReactor, random: &mut Random) {
        self.steps += 1;
        match self.stream.paused_for(reactor) {
            Some(time) if time > LONGEST_PAUSE || random.percent(2) => {
                self.steps = 0;
                self.stream.resume(reactor);
            }
            None if self.pauses > 0 && self.steps > PACE && random.percent(5) => {
                self.pauses -= 1;
                self.stream.stop_reading(reactor);
            }
            _ => {}
        }
    }

    /// Reads from now on.
    pub(super) fn resume(&mut self, reactor: &mut SimReactor) {
        self.pauses = 0;
        if self.stream.is_paused() {
            self.stream.resume(reactor);
        }
    }

    /// Looks whether what came is what is due, or whatever may interrupt it.
    fn compare(&mut self, excuses: Excuses) {
        let received = self.stream.input();
        let (due, came) = (&self.due[self.right..], &received[self.right..]);
        self.right += due.iter().zip(came).take_while(|(due, came)| due == came).count();
        if self.right == received.len() {
            return;
        }
        // It may begin like what was due instead.
        let end = self.ends.iter().rfind(|end| **end <= self.right).copied().unwrap_or_default();
        let rest = &received[end..];
        let mut interruptions: Vec<&[u8]> = Vec::new();
        if excuses.drained {
            interruptions.extend([b"HTTP/1.1 503 ", &b"\x88\x02\x03\xE9"[..]]);
        }
        if excuses.late {
            let unfinished = &b"\x88\x14\x03\xF0message unfinished"[..];
            interruptions.extend([b"HTTP/1.1 408 ", &b"\x89\x00"[..], unfinished]);
        }
        // In a peer that does not read, or seems not to.
        if excuses.full || excuses.late {
            interruptions.push(b"\x88\x02\x03\xF5");
        }
        let is_excused = interruptions.iter().any(|one| rest.iter().zip(*one).all(|(a, b)| a == b));
        assert!(is_excused, "{excuses:?}: at {} of {}", self.right, self.progress());
    }

    /// Why this visitor has not got all that it must have by now; with `excuses`, it may end early,
    /// but for answers that had begun.
    pub(super) fn complaint(&self, reactor: &SimReactor, excuses: Excuses) -> Option<String> {
        let left = matches!(self.leaving, Leaving::Reset | Leaving::Vanish);
        let received = self.stream.input();
        if left || self.stream.was_reset(reactor) && excuses.drained && received.is_empty() {
            return None;
        }
        let is_whole = self.right == self.due.len();
        if excuses.drained || excuses.crowded {
            let ends_in_order = self.right < received.len() || self.ends.contains(&self.right);
            return (!ends_in_order).then(|| format!("half an answer: {}", self.progress()));
        }
        if !is_whole {
            return Some(format!("answers are missing: {}", self.progress()));
        }
        (!self.done).then(|| "its stream is not ended".to_owned())
    }

    fn progress(&self) -> String {
        let received = self.stream.input();
        let (came, due) = (received.len(), self.due.len());
        let tail = &received[came.saturating_sub(100)..];
        format!("{came} of {due} bytes, ending in \"{}\"", tail.escape_ascii())
    }
}

/// The body of a page of that length.
pub(super) fn page(len: usize) -> Vec<u8> {
    (0..len).map(|at| b'a' + (at % 26) as u8).collect()
}
