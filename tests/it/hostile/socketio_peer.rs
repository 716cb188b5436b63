//! Clients of Socket.IO that do what a test wants, and the server that they attack.

use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::socketio::{Event, Recovery, Socket, SocketIo, SocketIoConfig, SocketIoHandler};
use eventwire::{Config, Context, Routes, ServerConfig};

use super::rig::{MIB, Rig, SESSION};
use super::service::Profile;
use crate::util::{Peer, Target, request};

/// The longest body and message.
pub(super) const PAYLOAD: usize = 100_000;

pub(super) const SESSIONS: usize = 300;
pub(super) const UNCONFIRMED: usize = 50;
pub(super) const NAMESPACES: usize = 8;
pub(super) const ROOMS: usize = 16;
pub(super) const QUEUED: usize = 256 * 1024;

/// What the process may hold more than is accounted for. The code of requests and of Socket.IO
/// comes into memory only after the rig has first looked at it.
pub(super) const NOISE: u64 = 6 * MIB;

/// Topics of the loop.
const TOPICS: usize = 1000;

/// What may wait for a WebSocket.
pub(super) const OUTBOX: usize = 128 * 1024;

const PATH: &str = "/socket.io/?EIO=4&transport=";

fn config() -> SocketIoConfig {
    SocketIoConfig::default()
        .admit_namespaces(|name| name.starts_with("/x"))
        .max_payload(PAYLOAD)
        .max_sessions(SESSIONS)
        .max_unconfirmed(UNCONFIRMED)
        .max_namespaces(NAMESPACES)
        .max_rooms(ROOMS)
        .max_queued(QUEUED)
}

/// Nobody is pinged while a test runs.
pub(super) fn profile() -> Profile {
    let loop_config = Config::default().outbox(16 * 1024, OUTBOX).max_topics(TOPICS);
    Profile::new(loop_config, ServerConfig::default()).socket_io(config())
}

/// Clients may recover for a moment.
pub(super) fn recovering() -> Profile {
    let recovery = Recovery::within(Duration::from_millis(100));
    Profile { socket_io: Some(config().recovery(recovery)), ..profile() }
}

/// Whoever does nothing is soon disconnected.
pub(super) fn impatient() -> Profile {
    let millis = Duration::from_millis;
    let config = config()
        .ping_interval(millis(300))
        .ping_timeout(millis(300))
        .connect_timeout(millis(1000))
        .upgrade_timeout(millis(500));
    Profile { socket_io: Some(config), ..profile() }
}

/// Answers `echo`, joins rooms, and sends as much as it is asked for.
struct Handler;

impl SocketIoHandler<()> for Handler {
    fn on_event(&mut self, socket: &mut Socket<'_>, event: Event<'_>, _: &mut ()) {
        let Event { name, arguments, ack, .. } = event;
        match name {
            "join" => {
                let room: String = arguments.get(0).expect("a name");
                let has_joined = socket.join(&room);
                ack.map(|ack| socket.acknowledge(ack, (has_joined,)));
            }
            "flood" => {
                let (count, len): (usize, usize) = arguments.read().expect("two numbers");
                for _ in 0..count {
                    socket.emit("news", ("x".repeat(len),));
                }
            }
            _ => drop(ack.map(|ack| socket.acknowledge(ack, arguments))),
        }
    }
}

pub(super) fn routes(io: SocketIo) -> Routes<()> {
    Routes::new().socket_io("/socket.io/", io, Handler)
}

/// How many topics there are: as many as make no further one possible.
fn topics(cx: &mut Context<'_>) -> usize {
    let further: Vec<_> =
        (0..TOPICS).map_while(|it| cx.topic(&format!("probe {it}")).ok()).collect();
    for topic in &further {
        cx.remove_topic(*topic);
    }
    TOPICS - further.len()
}

/// What the server counts, in the form of the other numbers.
pub(super) fn stats(io: &SocketIo, cx: &mut Context<'_>) -> String {
    let (stats, topics) = (io.stats(), topics(cx));
    let (sessions, sockets, events) = (stats.sessions, stats.sockets, stats.events);
    let (refused, violations) = (stats.refused, stats.violations);
    format!(
        " sessions={sessions} sockets={sockets} events={events} refused={refused} \
         violations={violations} topics={topics}"
    )
}

/// Sends a request of polling. Does not wait for the response.
pub(super) fn send(peer: &mut Peer, method: &str, query: &str, body: &str) {
    let len = body.len();
    let head = format!("{method} {PATH}polling{query} HTTP/1.1\r\nHost: localhost");
    peer.write(format!("{head}\r\nContent-Length: {len}\r\n\r\n{body}").as_bytes());
}

/// The status and the body of the next response.
pub(super) fn response(peer: &mut Peer) -> (u16, String) {
    let head = peer.head().to_lowercase();
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
    let len = head.split("content-length: ").nth(1).expect("a length");
    let len = len.split("\r\n").next().and_then(|it| it.parse().ok()).expect("a number");
    (status, String::from_utf8(peer.bytes(len)).expect("text"))
}

/// A session by polling, with the connection that it began on.
pub(super) struct Polling {
    pub(super) peer: Peer,
    /// `&sid=` and its id.
    pub(super) query: String,
}

impl Polling {
    pub(super) fn open(target: Target) -> Self {
        let mut peer = Peer::open(target);
        let query = open(&mut peer);
        Self { peer, query }
    }

    /// The same in the main namespace.
    pub(super) fn joined(target: Target) -> Self {
        let mut polling = Self::open(target);
        assert_eq!(polling.post("40"), 200);
        assert!(polling.get().1.starts_with("40{"));
        polling
    }

    pub(super) fn get(&mut self) -> (u16, String) {
        send(&mut self.peer, "GET", &self.query, "");
        response(&mut self.peer)
    }

    pub(super) fn post(&mut self, body: &str) -> u16 {
        send(&mut self.peer, "POST", &self.query, body);
        response(&mut self.peer).0
    }

    /// Has an event come back.
    pub(super) fn echo(&mut self) {
        assert_eq!(self.post(r#"421["echo","a"]"#), 200);
        assert_eq!(self.get(), (200, r#"431["a"]"#.to_owned()));
    }
}

/// Opens a session by polling. Returns what its requests are to say.
pub(super) fn open(peer: &mut Peer) -> String {
    send(peer, "GET", "", "");
    let (status, open) = response(peer);
    assert_eq!(status, 200, "{open}");
    let id = open.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next());
    format!("&sid={}", id.expect("an id"))
}

/// Asks for a WebSocket with this query. Returns the peer and the head of the response.
pub(super) fn ask(target: Target, query: &str) -> (Peer, String) {
    let mut peer = Peer::open(target);
    peer.write(&request(&format!("{PATH}websocket{query}"), ""));
    let head = peer.head();
    (peer, head)
}

/// Opens a WebSocket with this query on a connection.
pub(super) fn upgrade(mut peer: Peer, query: &str) -> Peer {
    peer.write(&request(&format!("{PATH}websocket{query}"), ""));
    let head = peer.head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    peer
}

/// A WebSocket with this query.
pub(super) fn socket(target: Target, query: &str) -> Peer {
    upgrade(Peer::open(target), query)
}

/// A session over a WebSocket, in the main namespace.
pub(super) fn joined(target: Target) -> Peer {
    join(socket(target, ""))
}

/// Joins the main namespace on a WebSocket that has just opened.
pub(super) fn join(mut peer: Peer) -> Peer {
    assert!(text(&mut peer).starts_with("0{"));
    peer.send("40");
    assert!(text(&mut peer).starts_with("40{"));
    peer
}

/// The next message.
pub(super) fn text(peer: &mut Peer) -> String {
    let frame = peer.frame();
    assert_eq!(frame.opcode, OpCode::Text);
    String::from_utf8(frame.payload).expect("text")
}

/// Has an event come back.
pub(super) fn echo(peer: &mut Peer) {
    peer.send(r#"421["echo","a"]"#);
    assert_eq!(text(peer), r#"431["a"]"#);
}

/// A server, and a client that does nothing wrong.
pub(super) fn start(profile: &str) -> (Rig, Peer) {
    let rig = Rig::start(profile).sessions(SESSIONS, SESSION);
    let guest = joined(rig.socket_io());
    (rig, guest)
}

/// The client that does nothing wrong is served, and leaves; the server holds nothing of others.
#[track_caller]
pub(super) fn end(mut rig: Rig, mut guest: Peer, kept: u64) {
    rig.progress(2);
    echo(&mut guest);
    rig.until(|rig| rig.peers() == 1);
    guest.send_close(1000, "");
    guest.frame();
    drop(guest);
    rig.until(|rig| rig.stat("sessions") == 0 && rig.stat("sockets") == 0);
    rig.end(kept);
}
