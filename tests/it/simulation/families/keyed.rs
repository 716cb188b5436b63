//! Broadcasts with keys to subscribers that read, that read now and then, and that want the values
//! at intervals.

use std::collections::BTreeMap;
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::Fault;
use eventwire::{
    Connection, ConnectionMap, Context, Disconnect, EventLoop, Gap, Message, OverflowPolicy,
    Publisher, SendStatus, ServerConfig, TopicId, WebSocketHandler,
};

use super::{Family, LOSSES, OF_CONNECTS, Simulated, UNLIMITED, config, network};
use crate::shared::{Arrived, Random, SimPeer, frame, request};
use crate::simulation::world::{Report, print_trace};

/// How long updates are broadcast.
const RUNNING: Duration = Duration::from_millis(200);

/// How long the loop is let sleep.
const STEP: Duration = Duration::from_millis(2);

/// How long each turn takes besides.
const BUSY: Duration = Duration::from_micros(500);

/// The longest interval.
const INTERVAL_MAX: usize = 50;

/// The memory of the values and of the batches being delivered, and 1 MiB that is kept for others.
const MEMORY_MAX: u64 = 1_200_000;

/// Invariant: of each key, a subscriber gets the last message, and nothing older after something
/// newer; what it does not get was replaced, and was reported unless it asked for an interval. The
/// memory is that of the values, whatever waits.
#[test]
fn the_last_message_of_every_key_arrives() {
    let invariant = every_last_message_arrived;
    // No connection ends before the invariant is checked.
    let ends = [Fault::EarlyHangup, Fault::Stale];
    let absent = LOSSES.into_iter().chain(OF_CONNECTS).chain(ends).collect();
    Family { name: "keyed", absent, world, invariant }.run();
}

/// What a subscriber asks for: a policy, or an interval in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    All,
    Latest,
    Every(u64),
}

struct Subscriber {
    stream: SimPeer,
    wish: Wish,
    /// It does not read now and then.
    is_slow: bool,
    opened: bool,
    /// The number of the last message of each key.
    got: BTreeMap<u8, u64>,
    received: u64,
}

struct App {
    topic: TopicId,
    wishes: Vec<Wish>,
    /// The number of each subscriber.
    numbers: ConnectionMap<usize>,
    /// The key of each broadcast.
    broadcasts: Vec<u8>,
    /// How many broadcasts there had been when each subscribed.
    since: Vec<Option<usize>>,
    /// How many messages each missed.
    missed: Vec<u64>,
}

/// Makes broadcasts: for each, its key and length.
struct Updates(Vec<(u8, usize)>);

struct Feed;

impl WebSocketHandler<App> for Feed {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, app: &mut App) {
        let number = usize::from(message.as_bytes()[0]);
        let subscribed = match app.wishes[number] {
            Wish::All => conn.subscribe(app.topic),
            Wish::Latest => conn.subscribe_with(app.topic, OverflowPolicy::KeepLatest),
            Wish::Every(ms) => conn.subscribe_every(app.topic, Duration::from_millis(ms)),
        };
        assert_eq!(subscribed, Ok(true));
        app.numbers.insert(conn.id(), number);
        app.since[number] = Some(app.broadcasts.len());
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, app: &mut App) {
        let number = *app.numbers.get(conn.id()).expect("it has subscribed");
        assert_eq!(app.wishes[number], Wish::Latest, "{gap:?}");
        app.missed[number] += gap.missed();
    }

    fn on_close(&mut self, _: &mut Connection<'_>, end: &Disconnect, _: &mut App) {
        panic!("{end:?}");
    }
}

fn broadcast(cx: &mut Context<'_>, updates: &Updates, app: &mut App) {
    for &(key, len) in &updates.0 {
        let number = app.broadcasts.len() as u64;
        let mut payload = vec![key; len];
        payload[1..9].copy_from_slice(&number.to_le_bytes());
        let name = ["", "a", "b", "c"].get(usize::from(key)).copied();
        let name = name.map_or_else(|| key.to_string(), str::to_owned);
        let status = match name.as_str() {
            "" => cx.broadcast(app.topic, &payload[..]),
            name => cx.broadcast_keyed(app.topic, name, &payload[..]),
        };
        assert_eq!(status, SendStatus::Sent);
        app.broadcasts.push(key);
    }
}

struct World {
    event_loop: EventLoop<App, SimReactor>,
    app: App,
    random: Random,
    updates: Publisher<Updates>,
    subscribers: Vec<Subscriber>,
    keys: usize,
    turns: usize,
    tracing: bool,
}

fn world(seed: u64, tracing: bool) -> World {
    let mut random = Random::new(seed);
    let window = random.pick(&[900, 4096, 65_536]);
    let sim = network(&mut random, window, true);
    let mut reactor = SimReactor::new(seed, sim);
    if tracing {
        reactor.keep_trace_lines();
    }
    let config = config(&mut random).outbox(random.pick(&[500, 4_000]), UNLIMITED);
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let topic = event_loop.topic("values").expect("a topic");
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Feed);
    let address = listener.ok().and_then(|it| event_loop.local_addr(it)).expect("an address");
    event_loop.on(broadcast);
    let updates = event_loop.publisher();
    let subscribers: Vec<_> = (0..random.between(1, 8))
        .map(|number| {
            let stream = SimPeer::connect(event_loop.reactor_mut(), address);
            stream.send(&request(number), event_loop.reactor_mut());
            let every = Wish::Every(random.between(1, INTERVAL_MAX) as u64);
            let wish = random.pick(&[Wish::All, Wish::Latest, Wish::Latest, every]);
            let is_slow = random.percent(60);
            Subscriber { stream, wish, is_slow, opened: false, got: BTreeMap::new(), received: 0 }
        })
        .collect();
    let app = App {
        topic,
        wishes: subscribers.iter().map(|it| it.wish).collect(),
        numbers: ConnectionMap::new(),
        broadcasts: Vec::new(),
        since: vec![None; subscribers.len()],
        missed: vec![0; subscribers.len()],
    };
    let (keys, turns) = (random.pick(&[1, 5, 100]), 0);
    World { event_loop, app, random, updates, subscribers, keys, turns, tracing }
}

impl World {
    fn update(&mut self) {
        let count = self.random.below(12);
        let random = &mut self.random;
        let update = |_| (random.below(self.keys) as u8, random.between(9, 600));
        let updates = Updates((0..count).map(update).collect());
        assert!(self.updates.publish(updates).is_ok());
    }

    fn turn(&mut self, is_busy: bool) {
        self.event_loop.turn(Some(STEP), &mut self.app).expect("a poll");
        self.turns += 1;
        for (number, subscriber) in self.subscribers.iter_mut().enumerate() {
            let reactor = self.event_loop.reactor_mut();
            subscriber.receive(number, &self.app.broadcasts, reactor);
            if !is_busy {
                subscriber.stream.resume(reactor);
            } else if subscriber.is_slow && subscriber.opened && self.random.percent(20) {
                match subscriber.stream.is_paused() {
                    true => subscriber.stream.resume(reactor),
                    false => subscriber.stream.stop_reading(reactor),
                }
            }
        }
        let bytes = self.event_loop.stats().topic_bytes;
        assert!(bytes <= MEMORY_MAX, "{bytes} bytes of topics");
    }
}

impl Subscriber {
    fn receive(&mut self, number: usize, broadcasts: &[u8], reactor: &mut SimReactor) {
        self.stream.receive(reactor);
        if !self.opened {
            let Some(head) = self.stream.take_head() else { return };
            assert!(head.starts_with(b"HTTP/1.1 101"));
            self.opened = true;
            self.stream.send(&frame(OpCode::Binary, &[number as u8]), reactor);
        }
        while let Some(arrived) = self.stream.take_frame() {
            let Arrived::Message(_, payload) = arrived else { continue };
            let key = payload[0];
            let number = u64::from_le_bytes(payload[1..9].try_into().expect("a number"));
            assert_eq!(broadcasts[number as usize], key);
            let before = self.got.insert(key, number);
            assert!(before.is_none_or(|before| before < number), "{number} after {before:?}");
            self.received += 1;
        }
    }
}

fn every_last_message_arrived(world: &mut World) {
    for (number, subscriber) in world.subscribers.iter().enumerate() {
        let since = world.app.since[number].expect("it has subscribed");
        let meant = &world.app.broadcasts[since..];
        let mut last = BTreeMap::new();
        last.extend(meant.iter().copied().zip(since as u64..));
        assert_eq!(subscriber.got, last, "the last messages at {number}");
        let missed = world.app.missed[number];
        match subscriber.wish {
            Wish::Every(_) => assert_eq!(missed, 0),
            _ => assert_eq!(subscriber.received + missed, meant.len() as u64),
        }
    }
}

impl Simulated for World {
    fn run(mut self, invariant: fn(&mut Self)) -> Report {
        let elapsed = |world: &mut Self| world.event_loop.reactor_mut().elapsed();
        while elapsed(&mut self) < RUNNING {
            self.update();
            self.turn(true);
            // A loop that does not sleep takes its time, too.
            self.event_loop.reactor_mut().stand_still(BUSY);
        }
        // Nothing more is broadcast, and all is read.
        let end = elapsed(&mut self) + 10 * Duration::from_millis(INTERVAL_MAX as u64);
        while elapsed(&mut self) < end
            || !self.event_loop.reactor_mut().is_quiescent()
            || self.event_loop.context().buffered_total() > 0
        {
            self.turn(false);
        }
        invariant(&mut self);
        let (turns, reactor) = (self.turns, self.event_loop.reactor_mut());
        Report { trace_hash: reactor.trace_hash(), faults: reactor.fault_counts(), turns }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.tracing {
            print_trace(self.event_loop.reactor_mut());
        }
    }
}
