//! Clients of Socket.IO that recover: what they missed, over restarts, and what claims leave.

use std::net::SocketAddr;
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::socketio::{
    Audience, Event, JoinRefused, JoinRequest, Recovery, Socket, SocketIo, SocketIoConfig,
    SocketIoHandler,
};
use eventwire::{
    Config, Context, Durability, EventLoop, History, JournalConfig, OnPanic, Routes, RunEnd,
    ServerConfig, TopicConfig,
};
use serde_json::{Value, json};

use crate::shared::{Arrived, SimPeer, frame, request};
use crate::util::disk::{Disk, Fault};

/// Longer than anything takes that does not wait for a heartbeat.
const SOON: u64 = 1000;

struct Handler;

impl SocketIoHandler<()> for Handler {
    fn on_join(
        &mut self,
        _: &mut Context<'_>,
        request: &JoinRequest<'_>,
        _: &mut (),
    ) -> Result<(), JoinRefused> {
        match request.namespace.starts_with("/x") {
            true => Err("no".into()),
            false => Ok(()),
        }
    }

    fn on_event(&mut self, socket: &mut Socket<'_>, event: Event<'_>, _: &mut ()) {
        let room: String = event.arguments.get(0).expect("a room");
        match event.name {
            "join" => assert!(socket.join(&room)),
            _ => assert!(socket.leave(&room)),
        }
        socket.emit("done", ());
    }
}

struct Server {
    event_loop: EventLoop<(), SimReactor>,
    io: SocketIo,
    address: SocketAddr,
}

/// A client over a WebSocket.
struct Client {
    peer: SimPeer,
    id: String,
    pid: String,
    offset: Option<String>,
}

impl Server {
    fn new(config: Config) -> Self {
        Self::with_disk(config, 0, None)
    }

    /// The seed decides the ids.
    fn with_disk(config: Config, seed: u64, disk: Option<&Disk>) -> Self {
        let reactor = SimReactor::new(seed, SimConfig::calm());
        let config = config.on_panic(OnPanic::Propagate);
        let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
        if let Some(disk) = disk {
            event_loop.journal(disk.storage(), JournalConfig::default()).expect("a journal");
        }
        let config = SocketIoConfig::default()
            .admit_namespaces(|_| true)
            .recovery(Recovery::within(Duration::from_secs(60)));
        let io = SocketIo::new(config);
        let routes = Routes::new().socket_io("/socket.io/", io.clone(), Handler);
        let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes);
        let address = listener.ok().and_then(|it| event_loop.local_addr(it)).expect("an address");
        Self { event_loop, io, address }
    }

    /// Lets time pass.
    fn run(&mut self, millis: u64) {
        let end = self.event_loop.reactor_mut().elapsed() + Duration::from_millis(millis);
        while self.event_loop.reactor_mut().elapsed() < end {
            let left = end - self.event_loop.reactor_mut().elapsed();
            self.event_loop.turn(Some(left), &mut ()).expect("a poll");
        }
    }

    fn emit(&mut self, room: Option<&str>, value: u64) {
        let audience = self.io.of("/");
        let audience = room.into_iter().fold(audience, Audience::to);
        audience.emit("news", (value,), &mut self.event_loop.context());
    }

    fn send(&mut self, client: &Client, text: &str) {
        let reactor = self.event_loop.reactor_mut();
        client.peer.send(&frame(OpCode::Text, text.as_bytes()), reactor);
        self.run(1);
    }

    /// The texts that have come.
    fn received(&mut self, peer: &mut SimPeer) -> Vec<String> {
        peer.receive(self.event_loop.reactor_mut());
        let mut texts = Vec::new();
        while let Some(arrived) = peer.take_frame() {
            if let Arrived::Message(true, text) = arrived {
                texts.push(String::from_utf8(text).expect("text"));
            }
        }
        texts
    }

    /// A client joins, with this to say.
    fn join(&mut self, auth: &str) -> Client {
        let mut peer = self.open();
        peer.send(
            &frame(OpCode::Text, format!("40{auth}").as_bytes()),
            self.event_loop.reactor_mut(),
        );
        // What was missed comes in slices.
        self.run(1);
        peer.receive(self.event_loop.reactor_mut());
        let Some(Arrived::Message(true, text)) = peer.take_frame() else {
            panic!("no answer");
        };
        let text = String::from_utf8(text).expect("text");
        let welcome: Value = serde_json::from_str(&text[2..]).expect("JSON");
        let [id, pid] = ["sid", "pid"].map(|key| welcome[key].as_str().expect(key).to_owned());
        Client { peer, id, pid, offset: None }
    }

    fn open(&mut self) -> SimPeer {
        let mut peer = SimPeer::connect(self.event_loop.reactor_mut(), self.address);
        let path = "socket.io/?EIO=4&transport=websocket";
        peer.send(&request(path), self.event_loop.reactor_mut());
        self.run(1);
        peer.receive(self.event_loop.reactor_mut());
        assert!(peer.take_head().expect("a head").starts_with(b"HTTP/1.1 101"));
        assert!(matches!(peer.take_frame(), Some(Arrived::Message(true, text)) if text[0] == b'0'));
        peer
    }

    /// The client comes back. Returns whether it has recovered.
    fn come_back(&mut self, client: &mut Client) -> bool {
        let mut auth = json!({"pid": client.pid});
        if let Some(offset) = &client.offset {
            auth["offset"] = offset.as_str().into();
        }
        let former = std::mem::replace(client, self.join(&auth.to_string()));
        client.offset = former.offset.filter(|_| client.id == former.id);
        client.id == former.id
    }

    /// The numbers of the news that have come.
    fn news(&mut self, client: &mut Client) -> Vec<u64> {
        let mut news = Vec::new();
        for text in self.received(&mut client.peer) {
            let Some(data) = text.strip_prefix("42") else { continue };
            let data: Vec<Value> = serde_json::from_str(data).expect("JSON");
            client.offset = data.last().and_then(Value::as_str).map(str::to_owned);
            news.extend(data[1].as_u64());
        }
        news
    }

    fn lose(&mut self, client: &Client) {
        client.peer.reset(self.event_loop.reactor_mut());
        self.run(1);
    }
}

#[test]
fn a_client_recovers_without_waiting_for_anything_else() {
    let mut server = Server::new(Config::default());
    let mut client = server.join("");
    server.emit(None, 1);
    server.run(1);
    assert_eq!(server.news(&mut client), [1]);
    server.lose(&client);
    for _ in 0..20 {
        (0..1000).for_each(|_| server.emit(Some("elsewhere"), 0));
        server.run(1);
    }
    server.emit(None, 2);
    assert!(server.come_back(&mut client));
    // Nobody else is served meanwhile.
    server.run(SOON);
    assert_eq!(server.news(&mut client), [2]);
}

#[test]
fn a_claim_that_is_refused_leaves_no_namespace() {
    // Two are of the main namespace, and two of another one.
    let mut server = Server::new(Config::default().max_topics(4));
    let client = server.join("");
    for number in 0..10 {
        let claim = r#"{"pid":"AAAQIDBAUGBwgJCgsMDQ4PEA"}"#;
        // The handler does not let it in.
        server.send(&client, &format!("40/x{number},{claim}"));
    }
    let mut client = client;
    assert_eq!(server.received(&mut client.peer).len(), 10);
    let mut cx = server.event_loop.context();
    assert!(cx.topic("one").is_ok() && cx.topic("two").is_ok());
}

#[test]
fn a_client_recovers_what_was_sent_to_the_rooms_that_it_was_in_then() {
    let mut server = Server::new(Config::default());
    let mut client = server.join("");
    server.send(&client, r#"42["join","left"]"#);
    // What follows is lost with the connection.
    server.news(&mut client);
    server.event_loop.reactor_mut().peer_stop_reading(client.peer.id());
    server.emit(Some("left"), 1);
    server.emit(Some("joined"), 2);
    server.send(&client, r#"42["leave","left"]"#);
    server.send(&client, r#"42["join","joined"]"#);
    server.emit(Some("left"), 3);
    server.emit(Some("joined"), 4);
    server.lose(&client);
    assert!(server.come_back(&mut client));
    server.run(SOON);
    assert_eq!(server.news(&mut client), [1, 4]);
}

#[test]
fn no_namespace_has_the_topics_of_another_one() {
    let mut server = Server::new(Config::default());
    let mut client = server.join("");
    server.send(&client, r#"42["join","room"]"#);
    server.received(&mut client.peer);
    for name in ["/!events", "/#room"] {
        server.send(&client, &format!("40{name},"));
        let answers = server.received(&mut client.peer);
        assert!(answers[0].starts_with(&format!("44{name},")), "{answers:?}");
    }
}

#[test]
fn an_offset_that_two_events_have_is_no_claim() {
    let mut server = Server::new(Config::default().max_topic_bytes(50_000));
    let mut client = server.join("");
    server.emit(None, 1);
    let all = server.io.of("/");
    // More than the history may hold.
    all.emit("news", (2, "x".repeat(60_000)), &mut server.event_loop.context());
    server.run(SOON);
    assert_eq!(server.news(&mut client), [1, 2]);
    server.lose(&client);
    server.emit(None, 3);
    server.emit(None, 4);
    assert!(!server.come_back(&mut client), "3 is missing");
    server.emit(None, 5);
    server.run(SOON);
    assert_eq!(server.news(&mut client), [5]);
}

/// The events of the main namespace are on a disk.
fn durable() -> Config {
    let topic = TopicConfig::default().history(History::of(1000));
    Config::default().topics("/socket.io/!events", topic.durable(Durability::DeliverFirst))
}

#[test]
fn clients_recover_from_a_restart_in_order() {
    let disk = Disk::default();
    let mut server = Server::with_disk(durable(), 0, Some(&disk));
    let [mut lost, mut present] = [(); 2].map(|()| server.join(""));
    for client in [&lost, &present] {
        server.send(client, r#"42["join","room"]"#);
    }
    server.emit(Some("room"), 1);
    server.run(1);
    for client in [&mut lost, &mut present] {
        assert_eq!(server.news(client), [1]);
    }
    server.lose(&lost);
    server.emit(Some("room"), 2);
    server.emit(Some("elsewhere"), 3);
    server.run(1);
    assert_eq!(server.news(&mut present), [2]);
    server.event_loop.context().shutdown(Duration::from_secs(3600));
    // The client closes, too.
    present.peer.finish(server.event_loop.reactor_mut());
    assert_eq!(server.event_loop.run(&mut ()).expect("a run").end, RunEnd::ShutDown);
    drop(server);

    let mut server = Server::with_disk(durable(), 1, Some(&disk));
    // The history is there before the first client.
    server.run(SOON);
    assert!(server.come_back(&mut lost), "it was away before the end");
    assert!(server.come_back(&mut present), "it was there at the end");
    server.emit(Some("room"), 4);
    server.run(SOON);
    assert_eq!(server.news(&mut lost), [2, 4]);
    assert_eq!(server.news(&mut present), [4]);
    // It works once more without a restart.
    server.lose(&lost);
    server.emit(Some("room"), 5);
    assert!(server.come_back(&mut lost));
    server.run(SOON);
    assert_eq!(server.news(&mut lost), [5]);
}

#[test]
fn what_was_not_kept_is_missed_after_a_restart_too() {
    let disk = Disk::default();
    let config = || durable().max_topic_bytes(50_000);
    let mut server = Server::with_disk(config(), 0, Some(&disk));
    let mut client = server.join("");
    server.emit(None, 1);
    server.run(SOON);
    assert_eq!(server.news(&mut client), [1]);
    server.lose(&client);
    let all = server.io.of("/");
    all.emit("news", (2, "x".repeat(60_000)), &mut server.event_loop.context());
    server.emit(None, 3);
    server.run(SOON);
    server.event_loop.context().shutdown(Duration::from_secs(3600));
    assert_eq!(server.event_loop.run(&mut ()).expect("a run").end, RunEnd::ShutDown);
    drop(server);

    let mut server = Server::with_disk(config(), 1, Some(&disk));
    assert!(!server.come_back(&mut client), "2 is missing");
}

#[test]
fn clients_recover_nothing_from_before_a_failure_of_the_disk() {
    let disk = Disk::default();
    let mut server = Server::with_disk(durable(), 0, Some(&disk));
    for number in 0..20 {
        server.emit(None, number);
    }
    let [mut early, mut late] = [(); 2].map(|()| server.join(""));
    server.send(&early, r#"42["join","room"]"#);
    server.run(SOON);
    server.news(&mut early);
    disk.fail([Fault::Failure]);
    server.emit(None, 20);
    server.run(SOON);
    server.lose(&late);
    // The first event afterwards begins another epoch.
    for number in 21..25 {
        server.emit(Some("room"), number);
    }
    server.run(SOON);
    assert_eq!(server.news(&mut early), [20, 21, 22, 23, 24]);
    server.lose(&early);
    server.emit(Some("room"), 25);
    server.emit(Some("elsewhere"), 26);
    assert!(server.come_back(&mut early));
    assert!(!server.come_back(&mut late));
    server.run(SOON);
    assert_eq!(server.news(&mut early), [25]);
}

#[test]
fn clients_begin_anew_after_a_crash() {
    let disk = Disk::default();
    let mut server = Server::with_disk(durable(), 2, Some(&disk));
    let [mut lost, mut present] = [(); 2].map(|()| server.join(""));
    server.emit(None, 1);
    server.run(SOON);
    for client in [&mut lost, &mut present] {
        assert_eq!(server.news(client), [1]);
    }
    server.lose(&lost);
    server.emit(None, 2);
    server.run(SOON);
    disk.kill();
    drop(server);

    let mut server = Server::with_disk(durable(), 3, Some(&disk));
    server.run(SOON);
    assert!(!server.come_back(&mut lost));
    assert!(!server.come_back(&mut present));
    server.emit(None, 3);
    server.run(SOON);
    assert_eq!(server.news(&mut lost), [3]);
}
