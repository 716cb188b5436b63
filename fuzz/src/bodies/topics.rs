//! Topics against lists of the subscribers and of what is still to arrive, over a network in which
//! nothing goes wrong but that peers do not read.
//!
//! Input: a choice of limits, then commands with their arguments. Those for the application are
//! done in one handler, until a command has a turn pass.

use std::net::SocketAddr;
use std::time::Duration;

use eventwire::proto::handshake::UpgradeRequest;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{Choices, SimConfig};
use eventwire::{
    CloseCode, Config, Connection, ConnectionId, ConnectionMap, Context, Disconnect, EventLoop,
    Gap, Idle, Message, OnPanic, OverflowPolicy, Publisher, SendStatus, ServerConfig,
    SubscribeError, TopicId, Upgrade, WebSocketHandler,
};

use super::event_loop::app::payload;
use super::event_loop::link::{Down, Link, Phase, TOPICS};
use super::event_loop::peer::Peer;
use super::input::Input;

const PEERS: usize = 3;

/// The most subscriptions of a connection.
const MOST_SUBSCRIPTIONS: usize = 3;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new(input.byte());
    let mut steps = Vec::new();
    while !input.is_empty() {
        let (command, with) = (input.byte(), input.byte());
        let peer = usize::from(command >> 4) % PEERS;
        match command & 15 {
            what @ 0..=9 => {
                steps.push((what, peer, with));
                continue;
            }
            10 => world.stop_reading(peer),
            11 => world.resume(peer),
            _ => {}
        }
        world.step(std::mem::take(&mut steps));
    }
    world.step(steps);
    world.end();
}

/// What a handler is to do: what, for which peer, and a parameter.
struct Steps(Vec<(u8, usize, u8)>);

struct Check;

struct Topic {
    id: TopicId,
    broadcasts: u64,
    removed: bool,
}

struct App {
    links: Vec<Link>,
    conns: ConnectionMap<usize>,
    topics: Vec<Topic>,
    /// The topic whose messages have keys.
    keyed: TopicId,
    /// No limit is so low that the last message of a key may be given up.
    complete: bool,
    count: u32,
    checked: bool,
}

impl App {
    fn obey(&mut self, what: u8, peer: usize, with: u8, cx: &mut Context<'_>) {
        let conn = self.links[peer].conn.expect("it is open first");
        let topic = usize::from(with & 3) % self.topics.len();
        let len = usize::from(with >> 2) * 4;
        match what {
            0 | 1 => self.subscribe(peer, conn, topic, with >> 2, cx),
            2 if with & 4 != 0 => self.subscribe_keyed(peer, conn, with >> 3, cx),
            2 => {
                let id = self.topics[topic].id;
                let was = cx.connection(conn).unsubscribe(id);
                assert!(
                    was == self.links[peer].subscribed[topic] || !cx.connection(conn).is_open()
                );
                self.links[peer].subscribed[topic] = false;
            }
            3 | 4 => self.broadcast(topic, len, None, cx),
            5 if with & 4 != 0 => self.broadcast_keyed(with >> 3, cx),
            5 => self.broadcast(topic, len, Some(peer), cx),
            6 => self.send(peer, conn, len, cx),
            7 if with & 4 == 0 => self.remove(topic, cx),
            7 => self.add(cx),
            8 if with > 250 => {
                let open = cx.connection(conn).is_open();
                assert_eq!(cx.connection(conn).close(CloseCode::NORMAL, ""), open);
            }
            _ => self.look(cx),
        }
    }

    fn subscribe(
        &mut self,
        peer: usize,
        conn: ConnectionId,
        topic: usize,
        policy: u8,
        cx: &mut Context<'_>,
    ) {
        let policy = [
            OverflowPolicy::Close,
            OverflowPolicy::DropNewest,
            OverflowPolicy::DropOldest,
            OverflowPolicy::KeepLatest,
        ][usize::from(policy & 3)];
        let link = &mut self.links[peer];
        let had = link.subscribed[topic];
        match cx.connection(conn).subscribe_with(self.topics[topic].id, policy) {
            Ok(new) => {
                assert_eq!(new, !had);
                link.subscribed[topic] = true;
            }
            Err(SubscribeError::ConnectionGone) => assert!(!cx.connection(conn).is_open()),
            Err(SubscribeError::TopicGone) => assert!(self.topics[topic].removed),
            Err(SubscribeError::TooMany) => {
                let others = link.subscribed.iter().filter(|subscribed| **subscribed).count();
                let others = others + usize::from(link.keyed.is_some());
                assert_eq!((others, had), (MOST_SUBSCRIPTIONS, false));
            }
            Err(_) => unreachable!("no other errors"),
        }
    }

    /// Subscribes to the topic with keys, or ends that.
    fn subscribe_keyed(&mut self, peer: usize, conn: ConnectionId, with: u8, cx: &mut Context<'_>) {
        let interval = Duration::from_millis(7 * u64::from(with >> 2));
        let mut conn = cx.connection(conn);
        let link = &mut self.links[peer];
        let subscribed = match with & 3 {
            0 => {
                let was = conn.unsubscribe(self.keyed);
                assert!(was == link.keyed.is_some() || !conn.is_open());
                return link.end_keyed(self.complete && conn.is_open());
            }
            1 => conn.subscribe(self.keyed),
            2 => conn.subscribe_with(self.keyed, OverflowPolicy::KeepLatest),
            _ => conn.subscribe_every(self.keyed, interval),
        };
        match subscribed {
            Ok(new) => {
                assert_eq!(new, link.keyed.is_none());
                link.keyed.get_or_insert_default();
            }
            Err(SubscribeError::ConnectionGone) => assert!(!conn.is_open()),
            Err(error) => {
                assert_eq!((error, link.keyed.is_none()), (SubscribeError::TooMany, true));
            }
        }
    }

    fn broadcast_keyed(&mut self, with: u8, cx: &mut Context<'_>) {
        self.count += 1;
        let (key, len) = (with & 3, usize::from(with >> 2) * 40);
        let payload = payload(2, key, self.count, len);
        let name = ["", "a", "b", "c"][usize::from(key)];
        let status = cx.broadcast_keyed(self.keyed, name, Message::Binary(&payload));
        assert!(matches!(status, SendStatus::Sent | SendStatus::Dropped));
        let long = "k".repeat(257);
        assert_eq!(cx.broadcast_keyed(self.keyed, &long, "never"), SendStatus::Dropped);
        if status == SendStatus::Sent {
            for keyed in self.links.iter_mut().filter_map(|link| link.keyed.as_mut()) {
                keyed.meant.insert(key, self.count);
            }
        }
    }

    fn broadcast(&mut self, topic: usize, len: usize, but: Option<usize>, cx: &mut Context<'_>) {
        self.count += 1;
        let payload = payload(1, topic as u8, self.count, len);
        let (message, id) = (Message::Binary(&payload), self.topics[topic].id);
        let status = match but.and_then(|peer| self.links[peer].conn) {
            Some(conn) => cx.broadcast_except(id, conn, message),
            None => cx.broadcast(id, message),
        };
        let removed = self.topics[topic].removed;
        assert_eq!(status == SendStatus::Gone, removed);
        if status != SendStatus::Sent {
            return;
        }
        self.topics[topic].broadcasts += 1;
        let number = self.topics[topic].broadcasts;
        for (peer, link) in self.links.iter_mut().enumerate() {
            if link.subscribed[topic] && but != Some(peer) {
                link.broadcast(self.count, topic, number);
            }
        }
    }

    fn send(&mut self, peer: usize, conn: ConnectionId, len: usize, cx: &mut Context<'_>) {
        self.count += 1;
        match cx.send_to(conn, Message::Binary(&payload(0, 0, self.count, len))) {
            SendStatus::Sent | SendStatus::Queued => {
                self.links[peer].down.push_back(Down::Sent { count: self.count });
            }
            SendStatus::Dropped | SendStatus::Gone => assert!(!cx.connection(conn).is_open()),
        }
    }

    fn remove(&mut self, topic: usize, cx: &mut Context<'_>) {
        let subscribed = self.links.iter().any(|link| link.subscribed[topic]);
        let topic = &mut self.topics[topic];
        let removed = cx.remove_topic(topic.id);
        // One whose on_close is still to come may be subscribed, or not any more.
        assert!(!removed || !topic.removed, "it was removed before");
        assert!(removed || subscribed || topic.removed, "nobody is subscribed");
        topic.removed |= removed;
    }

    fn add(&mut self, cx: &mut Context<'_>) {
        if self.topics.len() < TOPICS {
            let id = cx.topic(&self.topics.len().to_string()).expect("room for it");
            assert!(self.topics.iter().all(|topic| topic.id != id), "an id is in use twice");
            self.topics.push(Topic { id, broadcasts: 0, removed: false });
        }
    }

    /// What may be asked about topics is as the lists have it.
    fn look(&self, cx: &mut Context<'_>) {
        for (number, topic) in self.topics.iter().enumerate() {
            if topic.removed {
                assert_eq!(cx.topic_sequence(topic.id), None);
                assert_eq!(cx.subscriber_count(topic.id), 0);
                continue;
            }
            assert_eq!(cx.topic_sequence(topic.id), Some(topic.broadcasts));
            assert_eq!(cx.topic(&number.to_string()).ok(), Some(topic.id));
            let subscribed = self.links.iter().filter(|link| link.subscribed[number]);
            let is_open =
                |link: &&Link| link.conn.is_some_and(|conn| cx.connection(conn).is_open());
            let (open, all) = (subscribed.clone().filter(is_open).count(), subscribed.count());
            assert!((open..=all).contains(&cx.subscriber_count(topic.id)));
        }
    }

    fn check(&mut self, cx: &mut Context<'_>) {
        self.checked = true;
        self.look(cx);
        for link in &mut self.links {
            if link.conn.is_some_and(|conn| cx.connection(conn).is_open()) {
                link.check_complete();
                link.check_keyed(self.complete);
            }
        }
    }
}

struct Handler;

impl WebSocketHandler<App> for Handler {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        request: &UpgradeRequest<'_>,
        app: &mut App,
    ) -> Upgrade {
        let link = request.path().trim_start_matches('/').parse().expect("a link's number");
        app.conns.insert(conn.id(), link);
        Upgrade::accept()
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        let link = &mut app.links[*app.conns.get(conn.id()).expect("it upgraded")];
        (link.conn, link.server) = (Some(conn.id()), Phase::Open);
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, app: &mut App) {
        if gap.topic == app.keyed {
            return assert!(gap.missed() > 0 && gap.first <= gap.last);
        }
        let topic = app.topics.iter().position(|topic| topic.id == gap.topic).expect("a topic");
        let link = &mut app.links[*app.conns.get(conn.id()).expect("it is open")];
        link.report(topic, &gap);
        assert!(link.is_count_right(topic, &gap) || !conn.is_open(), "{gap:?}");
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, app: &mut App) {
        let link = &mut app.links[*app.conns.get(conn.id()).expect("it was open")];
        (link.server, link.subscribed) = (Phase::Closed, [false; TOPICS]);
        link.end_keyed(false);
    }
}

struct World {
    event_loop: EventLoop<App, SimReactor>,
    app: App,
    peers: Vec<Peer>,
    steps: Publisher<Steps>,
    check: Publisher<Check>,
}

impl World {
    fn new(choice: u8) -> Self {
        let window = if choice & 1 == 0 { 600 } else { 65_536 };
        let sim = SimConfig::calm().window(window);
        let reactor = SimReactor::with_choices(Choices::from_bytes([]), sim);
        let mut config = Config::default()
            .idle(Idle::Block)
            .on_panic(OnPanic::Propagate)
            .receive_buffer(1_024)
            .inbox(4)
            .max_subscriptions(MOST_SUBSCRIPTIONS);
        if choice & 2 == 0 {
            config = config.outbox(300, 2_000).topic_backlog(500);
        }
        if choice & 4 != 0 {
            config = config.max_topic_bytes(2_500);
        }
        let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
        let server = ServerConfig::default();
        let listener = event_loop.listen("127.0.0.1:0", server, Handler).expect("a port");
        let address = event_loop.local_addr(listener).expect("a listener");
        event_loop.on(|cx: &mut Context<'_>, steps: &Steps, app: &mut App| {
            steps.0.iter().for_each(|&(what, peer, with)| app.obey(what, peer, with, cx));
        });
        event_loop.on(|cx: &mut Context<'_>, _: &Check, app: &mut App| app.check(cx));
        let topics = (0..2).map(|number: usize| {
            let id = event_loop.topic(&number.to_string()).expect("room for it");
            Topic { id, broadcasts: 0, removed: false }
        });
        let app = App {
            topics: topics.collect(),
            links: (0..PEERS).map(|_| Link::new(None)).collect(),
            conns: ConnectionMap::new(),
            keyed: event_loop.topic("keyed").expect("room for it"),
            complete: choice & 6 == 2,
            count: 0,
            checked: false,
        };
        let (steps, check) = (event_loop.publisher(), event_loop.publisher());
        let mut world = Self { event_loop, app, peers: Vec::new(), steps, check };
        world.open(address);
        world
    }

    fn open(&mut self, address: SocketAddr) {
        let reactor = self.event_loop.reactor_mut();
        self.peers = (0..PEERS).map(|link| Peer::connect(reactor, address, link)).collect();
        for _ in 0..6 {
            self.turn(Duration::from_millis(1));
        }
        assert!(self.app.links.iter().all(|link| link.server == Phase::Open));
    }

    fn stop_reading(&mut self, peer: usize) {
        self.peers[peer].stream.stop_reading(self.event_loop.reactor_mut());
    }

    fn resume(&mut self, peer: usize) {
        self.peers[peer].stream.resume(self.event_loop.reactor_mut());
    }

    fn step(&mut self, steps: Vec<(u8, usize, u8)>) {
        assert!(self.steps.publish(Steps(steps)).is_ok());
        self.turn(Duration::from_millis(1));
    }

    fn turn(&mut self, wait: Duration) {
        self.event_loop.turn(Some(wait), &mut self.app).expect("a poll");
        for peer in &mut self.peers {
            peer.receive(&mut self.app.links[peer.link], self.event_loop.reactor_mut());
        }
    }

    fn end(mut self) {
        (0..PEERS).for_each(|peer| self.resume(peer));
        let mut turns = 0;
        let mut wait = Duration::from_millis(1);
        while wait < Duration::from_millis(50) {
            self.turn(wait);
            let reactor = self.event_loop.reactor_mut();
            let quiet = reactor.is_quiescent();
            wait = if quiet { wait * 3 } else { Duration::from_millis(1) };
            turns += 1;
            assert!(turns < 5_000, "no end");
        }
        assert!(self.check.publish(Check).is_ok());
        self.turn(Duration::ZERO);
        assert!(self.app.checked);
    }
}
