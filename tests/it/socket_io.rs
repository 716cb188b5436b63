//! The Socket.IO server in a loop: restarts, shutdowns, panics, rooms as topics. The protocol
//! has tests of its own in `tests/socketio`.

use std::net::SocketAddr;

use eventwire::socketio::{
    Arguments, AskId, DisconnectReason, Event, NoAnswer, Recovery, Socket, SocketIoConfig,
    SocketIoHandler,
};
use eventwire::{
    CloseCode, Config, Durability, EventLoop, History, Journal, JournalConfig, OverflowPolicy,
    Routes, ServerConfig, TopicConfig, on_message,
};
use serde_json::{Value, json};

use crate::util::disk::Disk;
use crate::util::{PATIENCE, Peer, Server, drive, request};

/// Lets clients join rooms and speak to them.
struct Rooms;

/// What the handler has learned.
type Log = Vec<String>;

impl SocketIoHandler<Log> for Rooms {
    fn on_event(&mut self, socket: &mut Socket<'_>, event: Event<'_>, log: &mut Log) {
        let room: String = event.arguments.get(0).unwrap_or_default();
        match event.name {
            "join" => drop(socket.join(&room)),
            "leave" => drop(socket.leave(&room)),
            "say" => {
                let text: Value = event.arguments.get(1).unwrap_or_default();
                socket.everyone().to(&room).emit("said", (text,), socket);
            }
            "ask" => drop(socket.ask("question", (), PATIENCE)),
            "kick" => socket.disconnect(),
            "panic" => panic!("as the client asks"),
            _ => {}
        }
        let auth = socket.auth_json();
        log.push(format!("event {}", event.name));
        socket.acknowledge(event.ack, (socket.recovered(), auth.as_deref()));
    }

    fn on_answer(
        &mut self,
        _: &mut Socket<'_>,
        _: AskId,
        answer: Result<Arguments<'_>, NoAnswer>,
        log: &mut Log,
    ) {
        log.push(format!("answer {:?}", answer.err()));
    }

    fn on_disconnect(&mut self, socket: &mut Socket<'_>, reason: DisconnectReason, log: &mut Log) {
        assert!(!socket.is_connected());
        log.push(format!("end {reason}, {} rooms", socket.rooms().len()));
    }
}

/// A client that writes its packets itself.
enum Client {
    WebSocket(Box<Peer>),
    Polling { address: SocketAddr, path: String, received: Vec<String> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    WebSocket,
    Polling,
}

/// The status and the body of a request on a connection of its own.
fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut peer = Peer::open(address);
    let len = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n");
    peer.write(format!("{head}{body}").as_bytes());
    let head = peer.head();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |length| length.parse().expect("a length"));
    let status = head[9..12].parse().expect("a status");
    (status, String::from_utf8(peer.bytes(length)).expect("text"))
}

impl Client {
    fn open(address: SocketAddr, way: Way) -> Self {
        match way {
            Way::WebSocket => {
                let mut peer = Peer::open(address);
                peer.write(&request("/socket.io/?EIO=4&transport=websocket", ""));
                assert!(peer.head().starts_with("HTTP/1.1 101 "));
                let mut client = Self::WebSocket(Box::new(peer));
                assert!(client.packet().starts_with("0{"));
                client
            }
            Way::Polling => {
                let path = "/socket.io/?EIO=4&transport=polling".to_owned();
                let (status, open) = ask(address, "GET", &path, "");
                assert_eq!(status, 200, "{open}");
                let open: Value = serde_json::from_str(&open[1..]).expect("JSON");
                let path = format!("{path}&sid={}", open["sid"].as_str().expect("an id"));
                Self::Polling { address, path, received: Vec::new() }
            }
        }
    }

    /// Joins the namespace `/`. Returns the ids.
    fn join(address: SocketAddr, way: Way, auth: &Value) -> (Self, Value) {
        let mut client = Self::open(address, way);
        client.send(&format!("40{auth}"));
        let answer = client.packet();
        let ids = answer.strip_prefix("40").unwrap_or_else(|| panic!("{answer}"));
        (client, serde_json::from_str(ids).expect("JSON"))
    }

    fn send(&mut self, packet: &str) {
        match self {
            Self::WebSocket(peer) => peer.send(packet),
            Self::Polling { address, path, .. } => {
                let (status, answer) = ask(*address, "POST", path, packet);
                assert_eq!((status, &*answer), (200, "ok"));
            }
        }
    }

    fn packet(&mut self) -> String {
        match self {
            Self::WebSocket(peer) => String::from_utf8(peer.frame().payload).expect("text"),
            Self::Polling { address, path, received } => {
                while received.is_empty() {
                    let (status, answer) = ask(*address, "GET", path, "");
                    assert_eq!(status, 200, "{answer}");
                    received.extend(answer.split('\x1e').map(str::to_owned));
                }
                received.remove(0)
            }
        }
    }

    /// Sends an event, and waits for its acknowledgement.
    #[track_caller]
    fn call(&mut self, event: &Value) -> Value {
        self.send(&format!("427{event}"));
        let answer = self.packet();
        let answer = answer.strip_prefix("437").unwrap_or_else(|| panic!("{answer}"));
        serde_json::from_str(answer).expect("JSON")
    }

    /// The next event without its offset, and the offset.
    #[track_caller]
    fn event(&mut self) -> (Value, String) {
        let packet = self.packet();
        let event = packet.strip_prefix("42").unwrap_or_else(|| panic!("{packet}"));
        let mut event: Vec<Value> = serde_json::from_str(event).expect("an array");
        let offset = event.pop().expect("an offset");
        (Value::from(event), offset.as_str().expect("an offset").to_owned())
    }

    /// Loses the connection.
    fn lose(self) {
        match self {
            Self::WebSocket(peer) => peer.reset(),
            Self::Polling { address, path, .. } => {
                let mut peer = Peer::open(address);
                peer.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
                peer.reset();
            }
        }
    }
}

fn recovering() -> SocketIoConfig {
    SocketIoConfig::default().recovery(Recovery::default())
}

/// A server whose namespace remembers its events on a disk.
fn durable(disk: &Disk) -> Server<(SocketAddr, Option<Journal>)> {
    let disk = disk.clone();
    let topic = TopicConfig::default().history(History::of(1000));
    let config =
        Config::default().topics("/socket.io/!events", topic.durable(Durability::DeliverFirst));
    Server::start(config, move |event_loop: &mut EventLoop<Log>| {
        let journal = event_loop.journal(disk.storage(), JournalConfig::default());
        let routes = Routes::new().socket_io("/socket.io/", recovering(), Rooms);
        let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
        let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
        (address, Some(journal.expect("a journal")))
    })
}

#[test]
fn clients_recover_from_an_orderly_restart_and_not_from_a_crash() {
    for (way, is_orderly) in [(Way::WebSocket, true), (Way::Polling, true), (Way::WebSocket, false)]
    {
        let disk = Disk::default();
        let mut server = durable(&disk);
        let address = server.ready.0;
        let (mut anna, ids) = Client::join(address, way, &json!({"name": "anna"}));
        anna.call(&json!(["join", "room"]));
        let (mut ben, _) = Client::join(address, Way::WebSocket, &json!({}));
        ben.call(&json!(["say", "room", 1]));
        let (event, offset) = anna.event();
        assert_eq!(event, json!(["said", 1]));
        if is_orderly {
            let journal = server.ready.1.take().expect("a journal");
            server.handle.shutdown(PATIENCE);
            drop((anna, ben));
            server.wait();
            journal.close(PATIENCE).expect("the journal's end");
        } else {
            disk.kill();
            drop(server);
        }

        let server = durable(&disk);
        let address = server.ready.0;
        let (mut ben, _) = Client::join(address, Way::WebSocket, &json!({}));
        ben.call(&json!(["say", "room", 2]));
        let claim = json!({"pid": ids["pid"], "offset": offset});
        let (mut anna, again) = Client::join(address, way, &claim);
        assert_eq!(again == ids, is_orderly, "{way:?}: {again}");
        if is_orderly {
            assert_eq!(anna.event().0, json!(["said", 2]));
            let known = json!([true, "{\"name\":\"anna\"}"]);
            assert_eq!(anna.call(&json!(["who"])), known);
        } else {
            assert_eq!(anna.call(&json!(["who"]))[0], json!(false));
        }
    }
}

/// A server with the settings that the function makes.
fn serving(config: fn() -> SocketIoConfig) -> Server {
    Server::start(Config::default(), move |event_loop: &mut EventLoop<Log>| {
        let routes = Routes::new().socket_io("/socket.io/", config(), Rooms);
        let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
        event_loop.local_addr(listener.expect("listen")).expect("an address")
    })
}

#[test]
fn events_are_recovered_by_the_rooms_of_their_time() {
    for way in [Way::WebSocket, Way::Polling] {
        let server = serving(recovering);
        let address = server.address();
        let (mut ben, _) = Client::join(address, Way::WebSocket, &json!({}));
        let (mut anna, ids) = Client::join(address, way, &json!({}));
        anna.call(&json!(["join", "first"]));
        ben.call(&json!(["say", "first", 0]));
        let (_, offset) = anna.event();
        // She is not in the second room at first, and leaves the first one at the end.
        ben.call(&json!(["say", "second", 1]));
        anna.call(&json!(["join", "second"]));
        ben.call(&json!(["say", "second", 2]));
        ben.call(&json!(["say", "first", 3]));
        let heard = [anna.event().0, anna.event().0];
        assert_eq!(heard, [json!(["said", 2]), json!(["said", 3])]);
        anna.call(&json!(["leave", "first"]));
        ben.call(&json!(["say", "first", 4]));
        // As if what came behind the first event had been lost with the connection.
        anna.lose();
        let claim = json!({"pid": ids["pid"], "offset": offset});
        let (mut anna, again) = loop {
            let (client, again) = Client::join(address, way, &claim);
            // Until the loop has noticed the loss, the claim is of no use.
            if again == ids {
                break (client, again);
            }
        };
        assert_eq!(again, ids);
        let missed = [anna.event().0, anna.event().0];
        assert_eq!(missed, [json!(["said", 2]), json!(["said", 3])], "{way:?}");
        assert_eq!(anna.call(&json!(["who"]))[0], json!(true));
    }
}

#[test]
fn a_packet_that_a_disconnection_overtakes_does_no_harm() {
    for way in [Way::WebSocket, Way::Polling] {
        let server = serving(SocketIoConfig::default);
        let (mut client, _) = Client::join(server.address(), way, &json!({}));
        client.send("42[\"kick\"]");
        client.send("427[\"who\"]");
        assert_eq!(client.packet(), "41");
        client.send("40");
        assert!(client.packet().starts_with("40{"), "{way:?}");
        client.call(&json!(["who"]));
        // It was never in this one.
        let mut other = Client::open(server.address(), Way::WebSocket);
        other.send("42/never,[\"who\"]");
        let Client::WebSocket(mut peer) = other else { panic!("it is on a WebSocket") };
        peer.expect_close(CloseCode::NORMAL);
    }
}

#[test]
fn attachments_that_wait_for_their_packets_are_bounded() {
    let server = serving(|| SocketIoConfig::default().max_partial(1000));
    let placeholder = |num| json!({"_placeholder": true, "num": num});
    for _ in 0..5 {
        let (client, _) = Client::join(server.address(), Way::WebSocket, &json!({}));
        let Client::WebSocket(mut peer) = client else { panic!("it is on a WebSocket") };
        let event = json!(["who", placeholder(0), placeholder(1)]);
        peer.send(&*format!("452-7{event}"));
        peer.send(&[0; 600][..]);
        peer.send(&[0; 600][..]);
        peer.expect("437[false,\"{}\"]");
        let event = json!(["who", placeholder(0), placeholder(1), placeholder(2)]);
        peer.send(&*format!("453-7{event}"));
        peer.send(&[0; 600][..]);
        peer.send(&[0; 600][..]);
        peer.expect_close(CloseCode::NORMAL);
    }
}

#[test]
fn as_many_may_be_away_as_there_may_be_sessions() {
    let server = serving(|| recovering().max_sessions(2));
    let address = server.address();
    let mut claims = Vec::new();
    for _ in 0..3 {
        let (client, ids) = Client::join(address, Way::WebSocket, &json!({}));
        claims.push(ids);
        client.lose();
        // It is away once its connection is gone.
        while server.handle.stats().closed_by_failure < claims.len() as u64 {
            std::thread::yield_now();
        }
    }
    let (_client, first) = Client::join(address, Way::WebSocket, &json!({"pid": claims[0]["pid"]}));
    let (_other, last) = Client::join(address, Way::WebSocket, &json!({"pid": claims[2]["pid"]}));
    assert_eq!((first == claims[0], last == claims[2]), (false, true));
}

#[cfg(feature = "deflate")]
#[test]
fn polls_are_compressed_for_clients_that_accept_it() {
    use eventwire::DeflateConfig;

    let server = serving(|| SocketIoConfig::default().deflate(DeflateConfig::default()));
    let address = server.address();
    for (accepted, is_compressed) in [("br, gzip", true), ("br", false)] {
        let get = |path: &str| {
            let mut peer = Peer::open(address);
            let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accepted}");
            peer.write(format!("{head}\r\n\r\n").as_bytes());
            let head = peer.head();
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let body = peer.bytes(length.map_or(0, |length| length.parse().expect("a length")));
            (head.contains("\r\nContent-Encoding: gzip\r\n"), body)
        };
        let (_, open) = get("/socket.io/?EIO=4&transport=polling");
        let open: Value = serde_json::from_slice(&open[1..]).expect("JSON");
        let sid = open["sid"].as_str().expect("an id");
        let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
        assert_eq!(ask(address, "POST", &path, "40").0, 200);
        get(&path);
        assert_eq!(ask(address, "POST", &path, "42[\"join\",\"room\"]").0, 200);
        let text = "x".repeat(5000);
        let say = format!("42[\"say\",\"room\",\"{text}\"]");
        assert_eq!(ask(address, "POST", &path, &say).0, 200);
        let (has_coding, body) = get(&path);
        assert_eq!(has_coding, is_compressed, "{accepted}");
        match is_compressed {
            true => assert!(body.starts_with(&[0x1f, 0x8b]) && body.len() < 200),
            false => assert_eq!(body, format!("42[\"said\",\"{text}\"]").as_bytes()),
        }
    }
}

#[test]
fn a_shutdown_does_not_wait_for_polls() {
    let server = serving(SocketIoConfig::default);
    let address = server.address();
    let (client, _) = Client::join(address, Way::Polling, &json!({}));
    let Client::Polling { path, .. } = client else { panic!("it polls") };
    let mut poll = Peer::open(address);
    poll.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    // The poll waits once it shows that a second one overlaps with it, which another session does.
    let (mut other, _) = Client::join(address, Way::WebSocket, &json!({}));
    other.call(&json!(["who"]));
    server.handle.shutdown(PATIENCE * 10);
    let head = poll.head();
    assert!(head.starts_with("HTTP/1.1 200 ") || head.starts_with("HTTP/1.1 503 "), "{head}");
    drop((poll, other));
    server.wait();
}

#[test]
fn a_panic_of_the_handler_costs_the_session_and_is_reported() {
    for way in [Way::WebSocket, Way::Polling] {
        let mut event_loop = EventLoop::new(Config::default()).expect("make a loop");
        let routes = Routes::new().socket_io("/socket.io/", SocketIoConfig::default(), Rooms);
        let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
        let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
        let mut log = Log::new();
        drive(&mut event_loop, &mut log, || {
            let (mut client, _) = Client::join(address, way, &json!({}));
            client.call(&json!(["join", "room"]));
            match client {
                Client::WebSocket(mut peer) => {
                    peer.send("42[\"panic\"]");
                    peer.expect_close(CloseCode::INTERNAL);
                }
                Client::Polling { path, .. } => {
                    assert_eq!(ask(address, "POST", &path, "42[\"panic\"]").0, 500);
                }
            }
            // Others are served as before, and see what was left behind.
            let (mut other, _) = Client::join(address, Way::WebSocket, &json!({}));
            other.call(&json!(["who"]));
        });
        let ends: Vec<_> = log.iter().filter(|line| line.starts_with("end")).collect();
        assert_eq!(ends[0], "end forced close, 1 rooms", "{way:?}");
    }
}

#[test]
fn questions_end_with_their_client() {
    let mut event_loop = EventLoop::new(Config::default()).expect("make a loop");
    let routes = Routes::new().socket_io("/socket.io/", SocketIoConfig::default(), Rooms);
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let mut log = Log::new();
    drive(&mut event_loop, &mut log, || {
        let (mut client, _) = Client::join(address, Way::WebSocket, &json!({}));
        client.send("42[\"ask\"]");
        assert_eq!(client.packet(), "421[\"question\"]");
        client.send("431[]");
        // Nobody has asked that.
        client.send("4399[]");
        client.send("42[\"ask\"]");
        assert_eq!(client.packet(), "422[\"question\"]");
        client.send("41");
        let (mut client, _) = Client::join(address, Way::WebSocket, &json!({}));
        client.call(&json!(["who"]));
    });
    let expected = [
        "event ask",
        "answer None",
        "event ask",
        "answer Some(Disconnected)",
        "end client namespace disconnect, 0 rooms",
        "event who",
    ];
    // The end of the last client may follow.
    assert_eq!(log[..expected.len()], expected);
}

#[test]
fn a_room_is_a_topic_that_others_can_hear_and_speak_to() {
    let server =
        Server::start(Config::default(), |event_loop: &mut EventLoop<Log>| {
            let topic = event_loop.topic("/socket.io/#room").expect("a topic");
            let plain = on_message(move |conn, message, _: &mut Log| match message.as_text() {
                Some("subscribe") => {
                    conn.subscribe_with(topic, OverflowPolicy::Close).expect("a subscription");
                    conn.send("subscribed");
                }
                _ => drop(conn.broadcast(topic, message)),
            });
            let routes = Routes::new()
                .websocket("/plain", ServerConfig::default(), plain)
                .socket_io("/socket.io/", SocketIoConfig::default(), Rooms);
            let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
            event_loop.local_addr(listener.expect("listen")).expect("an address")
        });
    let mut plain = Peer::open(server.address());
    plain.write(&request("/plain", ""));
    assert!(plain.head().starts_with("HTTP/1.1 101 "));
    plain.send("subscribe");
    plain.expect("subscribed");
    // The members by polling are no subscribers of the topic.
    let (mut polling, _) = Client::join(server.address(), Way::Polling, &json!({}));
    polling.call(&json!(["join", "room"]));
    polling.send("42[\"say\",\"room\",0]");
    assert_eq!(polling.packet(), "42[\"said\",0]");
    plain.expect("42[\"said\",0]");
    let (mut client, _) = Client::join(server.address(), Way::WebSocket, &json!({}));
    client.call(&json!(["join", "room"]));
    client.send("42[\"say\",\"room\",1]");
    assert_eq!(client.packet(), "42[\"said\",1]");
    plain.expect("42[\"said\",1]");
    plain.send("42[\"said\",2]");
    assert_eq!(client.packet(), "42[\"said\",2]");
}
