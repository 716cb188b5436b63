//! A client that sends what a case wants, right or wrong. Every wait has a limit.

mod http;
mod packets;
mod polling;
mod websocket;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

pub(super) use self::http::{HttpConnection, Request, Response};
pub(super) use self::packets::{Message, Packet, binary, decode_payload, placeholder};
pub(super) use self::polling::Polling;
pub(super) use self::websocket::{WebSocket, frame, opening};

/// How long a case waits before it fails. It is shorter than the pings of most profiles are apart,
/// so that none of them ends a wait.
pub(super) const DEADLINE: Duration = Duration::from_secs(15);

/// A server, and how clients reach it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) transport: Transport,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Transport {
    Polling,
    WebSocket,
}

impl Target {
    pub(super) fn with(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    /// Sends a request over a connection of its own.
    #[track_caller]
    pub(super) fn request(&self, target: &str, request: Request<'_>) -> Response {
        HttpConnection::open(self.address).exchange(target, request)
    }

    #[track_caller]
    pub(super) fn get(&self, target: &str) -> Response {
        self.request(target, Request::GET)
    }

    /// The server answers.
    #[track_caller]
    pub(super) fn expect_alive(&self) {
        Client::connect(self).expect_echo();
    }
}

/// The payload of an open packet.
#[track_caller]
fn open_packet(packet: Option<Packet>) -> Value {
    let Some(Packet::Text(text)) = &packet else { panic!("no open packet: {packet:?}") };
    let json = text.strip_prefix('0').unwrap_or_else(|| panic!("no open packet: {text}"));
    serde_json::from_str(json).expect("JSON")
}

/// A session of Engine.IO.
#[derive(Debug)]
pub(super) enum Session {
    Polling(Polling),
    WebSocket(WebSocket),
}

impl Session {
    /// Opens a session with further parameters and headers, and returns its id, too.
    fn open(target: &Target, query: &str, headers: &str) -> (Self, String) {
        match target.transport {
            Transport::Polling => {
                let polling = Polling::open_with(target, query, headers);
                let sid = polling.sid.clone();
                (Self::Polling(polling), sid)
            }
            Transport::WebSocket => {
                let (socket, open) = WebSocket::open_with(target, query, headers);
                (Self::WebSocket(socket), open["sid"].as_str().expect("a session id").to_owned())
            }
        }
    }

    #[track_caller]
    fn send(&mut self, packets: &[Packet]) {
        match self {
            Self::Polling(polling) => polling.send(packets),
            Self::WebSocket(socket) => socket.send(packets),
        }
    }

    #[track_caller]
    fn next(&mut self) -> Option<Packet> {
        match self {
            Self::Polling(polling) => polling.next(),
            Self::WebSocket(socket) => socket.next(),
        }
    }
}

/// A client of Socket.IO.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) session: Session,
    /// The id of its session of Engine.IO.
    pub(super) session_id: String,
    /// Arrived before what a case waited for.
    arrived: VecDeque<Message>,
    last_ack: u64,
}

impl Client {
    /// Opens a session and joins no namespace.
    pub(super) fn open(target: &Target) -> Self {
        Self::open_with(target, "", "")
    }

    /// Opens a session with further parameters and headers.
    pub(super) fn open_with(target: &Target, query: &str, headers: &str) -> Self {
        let (session, session_id) = Session::open(target, query, headers);
        Self { session, session_id, arrived: VecDeque::new(), last_ack: 1_000 }
    }

    /// Opens a session and joins the main namespace.
    pub(super) fn connect(target: &Target) -> Self {
        Self::connect_to(target, "/").0
    }

    /// Opens a session and joins a namespace. Returns the id of its socket, too.
    pub(super) fn connect_to(target: &Target, namespace: &str) -> (Self, String) {
        let mut client = Self::open(target);
        let sid = client.join(namespace);
        (client, sid)
    }

    /// Joins a namespace, and takes the event that greets. Returns the id of the socket.
    #[track_caller]
    pub(super) fn join(&mut self, namespace: &str) -> String {
        let auth = if namespace == "/refuse" { json!({"token": "let-me-in"}) } else { json!({}) };
        let answer = self.join_with(namespace, &auth);
        if matches!(namespace, "/" | "/custom") {
            let event = self.event();
            assert_eq!(event.header, address("42", namespace));
            assert_eq!(event.data[0], "auth", "{event:?}");
        }
        answer["sid"].as_str().expect("the id of a socket").to_owned()
    }

    /// Sends CONNECT with a payload, and returns the payload of the answer.
    #[track_caller]
    pub(super) fn join_with(&mut self, namespace: &str, auth: &Value) -> Value {
        let connect = address("40", namespace);
        self.send(&format!("{connect}{auth}"));
        self.take(|message| message.header == connect).data
    }

    /// Sends a packet of text, with its type.
    #[track_caller]
    pub(super) fn send(&mut self, text: &str) {
        self.session.send(&[Packet::text(text)]);
    }

    /// Sends several packets at once.
    #[track_caller]
    pub(super) fn send_all(&mut self, packets: &[Packet]) {
        self.session.send(packets);
    }

    /// Sends packets that need not be messages.
    #[track_caller]
    pub(super) fn send_raw(&mut self, packets: &[Packet]) {
        self.session.send(packets);
    }

    /// Sends a packet of text with attachments.
    #[track_caller]
    pub(super) fn send_binary(&mut self, text: &str, attachments: &[&[u8]]) {
        let binaries = attachments.iter().map(|bytes| Packet::Binary(bytes.to_vec()));
        let packets: Vec<_> = [Packet::text(text)].into_iter().chain(binaries).collect();
        self.session.send(&packets);
    }

    /// Sends an event in the main namespace.
    #[track_caller]
    pub(super) fn emit(&mut self, event: &Value) {
        self.emit_in("/", event);
    }

    #[track_caller]
    pub(super) fn emit_in(&mut self, namespace: &str, event: &Value) {
        self.send(&format!("{}{event}", address("42", namespace)));
    }

    /// Sends an event in the main namespace, and returns the arguments of its acknowledgement.
    #[track_caller]
    pub(super) fn call(&mut self, event: &Value) -> Value {
        self.call_in("/", event)
    }

    #[track_caller]
    pub(super) fn call_in(&mut self, namespace: &str, event: &Value) -> Value {
        self.last_ack += 1;
        let id = self.last_ack;
        self.send(&format!("{}{id}{event}", address("42", namespace)));
        let [text, binary] = ["43", "46"].map(|kind| format!("{}{id}", address(kind, namespace)));
        self.take(|message| message.header == text || message.header == binary).data
    }

    /// The next message; `None` once the session is closed.
    #[track_caller]
    pub(super) fn next(&mut self) -> Option<Message> {
        self.arrived.pop_front().or_else(|| self.receive())
    }

    /// The next message.
    #[track_caller]
    pub(super) fn event(&mut self) -> Message {
        self.next().expect("a message instead of the end of the session")
    }

    /// The next message is this one.
    #[track_caller]
    pub(super) fn expect(&mut self, header: &str, data: Value) {
        assert_eq!(self.event(), Message { header: header.to_owned(), data });
    }

    /// The next message that `is_wanted`. Others stay for later.
    #[track_caller]
    fn take(&mut self, is_wanted: impl Fn(&Message) -> bool) -> Message {
        loop {
            let message = self.receive().expect("a message instead of the end of the session");
            if is_wanted(&message) {
                return message;
            }
            self.arrived.push_back(message);
        }
    }

    #[track_caller]
    fn receive(&mut self) -> Option<Message> {
        let text = match self.session.next()? {
            Packet::Text(text) => text,
            Packet::Binary(bytes) => panic!("an attachment of nothing: {bytes:?}"),
        };
        let mut attachments = Vec::new();
        for _ in 0..packets::attachments(&text) {
            match self.session.next().expect("an attachment instead of the end") {
                Packet::Binary(bytes) => attachments.push(bytes),
                Packet::Text(other) => panic!("{other:?} within {text:?}"),
            }
        }
        Some(Message::new(&text, &attachments))
    }

    /// The server answers an event.
    #[track_caller]
    pub(super) fn expect_echo(&mut self) {
        self.expect_echo_in("/");
    }

    #[track_caller]
    pub(super) fn expect_echo_in(&mut self, namespace: &str) {
        let event = json!(["message-with-ack", "still there?"]);
        assert_eq!(self.call_in(namespace, &event), json!(["still there?"]));
    }

    /// Nothing has been sent to this client that it has not taken.
    #[track_caller]
    pub(super) fn expect_nothing(&mut self) {
        self.expect_nothing_in("/");
    }

    #[track_caller]
    pub(super) fn expect_nothing_in(&mut self, namespace: &str) {
        self.expect_echo_in(namespace);
        assert_eq!(self.arrived, []);
    }

    /// Sends what closes the session.
    #[track_caller]
    pub(super) fn send_malformed(&mut self, packets: &[Packet]) {
        match &mut self.session {
            Session::Polling(polling) => {
                polling.wait_in_advance();
                let response = polling.post(&packets::encode_payload(packets));
                let status = response.status;
                assert!(matches!(status, 200 | 400), "{status}: {}", response.text());
            }
            Session::WebSocket(socket) => socket.send(packets),
        }
    }

    /// The session is closed. What arrives before is skipped.
    #[track_caller]
    pub(super) fn expect_closed(&mut self) {
        while self.session.next().is_some() {}
    }

    /// Cuts the connection as a network does.
    pub(super) fn cut(self) {
        if let Session::Polling(mut polling) = self.session {
            polling.cancel();
        }
    }
}

/// The beginning of a packet of this kind.
pub(super) fn address(kind: &str, namespace: &str) -> String {
    if namespace == "/" { kind.to_owned() } else { format!("{kind}{namespace},") }
}

/// Waits until the server has noticed the end of a socket. Returns how often it was noticed.
#[track_caller]
pub(super) fn await_end(observer: &mut Client, sid: &str) -> usize {
    let start = std::time::Instant::now();
    loop {
        let ended = observer.call(&json!(["disconnects"]));
        let ended = ended[0].as_array().expect("a list");
        let count = ended.iter().filter(|end| end["sid"] == sid).count();
        if count > 0 {
            return count;
        }
        assert!(start.elapsed() < DEADLINE, "the end of {sid} is not noticed");
    }
}
