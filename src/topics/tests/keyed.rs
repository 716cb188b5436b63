//! A model of conflation by key and by time: what each subscription got, and what it was to get.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::proto::{FrameHeader, Role};
use crate::time::Time;
use crate::topics::topic::Subscriber;

const CONNECTIONS: usize = 3;
const TOPICS: usize = 2;
const KEYS: [&str; 5] = ["", "a", "b", "c", "d"];
const INTERVALS: [Duration; 3] =
    [Duration::from_millis(10), Duration::from_millis(30), Duration::MAX];

const WIDE: TopicLimits =
    TopicLimits { topics: TOPICS, subscriptions: 2, keys: 8, backlog: 1 << 20, bytes: 1 << 20 };

#[derive(Clone, Debug)]
enum Act {
    Subscribe(usize, usize, OverflowPolicy),
    SubscribeEvery(usize, usize, Duration),
    /// Delivers what is pending first, as the loop does.
    Unsubscribe(usize, usize),
    Replace(usize),
    /// A message of this many bytes.
    Broadcast(usize, usize, usize, Option<usize>),
    Deliver,
    /// A direct message: what order requires comes first.
    Send(usize),
    /// After this many bytes, output waits.
    Slow(usize, usize),
    /// All waiting output is sent. After this many more bytes, output waits again.
    Drain(usize, Option<usize>),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let (conn, topic) = (|| 0..CONNECTIONS, || 0..TOPICS);
    let policy =
        || prop_oneof![1 => Just(OverflowPolicy::Close), 2 => Just(OverflowPolicy::KeepLatest)];
    let len = prop_oneof![3 => 4_usize..12, 1 => 4_usize..80, 1 => Just(1_200)];
    let except = prop::option::weighted(0.2, conn());
    prop_oneof![
        4 => (conn(), topic(), policy())
            .prop_map(|(conn, topic, policy)| Act::Subscribe(conn, topic, policy)),
        3 => (conn(), topic(), prop::sample::select(&INTERVALS[..]))
            .prop_map(|(conn, topic, interval)| Act::SubscribeEvery(conn, topic, interval)),
        1 => (conn(), topic()).prop_map(|(conn, topic)| Act::Unsubscribe(conn, topic)),
        1 => conn().prop_map(Act::Replace),
        20 => (topic(), 0..KEYS.len(), len, except)
            .prop_map(|(topic, key, len, except)| Act::Broadcast(topic, key, len, except)),
        8 => Just(Act::Deliver),
        1 => conn().prop_map(Act::Send),
        3 => (conn(), 0_usize..60).prop_map(|(conn, room)| Act::Slow(conn, room)),
        3 => (conn(), prop::option::weighted(0.5, 0_usize..60))
            .prop_map(|(conn, room)| Act::Drain(conn, room)),
        6 => (0_u64..25).prop_map(Act::Pass),
    ]
}

/// A message of a topic, as a subscription is to get it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Meant {
    serial: u32,
    key: usize,
    at: Time,
}

#[derive(Debug, Default)]
struct Subscription {
    policy: OverflowPolicy,
    interval: Option<Duration>,
    /// What was broadcast since the subscription began or changed, except what left it out.
    meant: Vec<Meant>,
    /// The last message of each key that left it out.
    left_out: BTreeMap<usize, u32>,
    got: BTreeSet<u32>,
    /// How many messages gaps have reported.
    reported: u64,
    /// The times at which messages came, except when the subscription ended or changed.
    times: Vec<Time>,
    is_flushed: bool,
}

struct Conn {
    key: Key,
    subscriptions: BTreeMap<usize, Subscription>,
    room: SendCapacity,
    /// Bytes until output waits; `None` if it does not.
    patience: Option<usize>,
    /// Output has waited, or all was sent at once, since the subscription began or changed.
    slow: bool,
    now: Time,
}

impl Output for Conn {
    fn capacity(&self, conn: Key) -> SendCapacity {
        assert_eq!(conn, self.key);
        self.room
    }

    fn append(&mut self, conn: Key, run: &Run<'_>) -> bool {
        assert_eq!(conn, self.key);
        let mut bytes = run.as_slice();
        assert!(!bytes.is_empty());
        while !bytes.is_empty() {
            let (header, len) = FrameHeader::parse(bytes, Role::Client).unwrap().unwrap();
            let end = len + header.len as usize;
            self.take(&bytes[len..end]);
            bytes = &bytes[end..];
        }
        if let Some(patience) = &mut self.patience {
            *patience = patience.saturating_sub(run.as_slice().len());
            if *patience == 0 {
                self.patience = None;
                self.wait();
            }
        }
        true
    }
}

impl Conn {
    fn new(key: Key, now: Time) -> Self {
        let (room, patience) = (SendCapacity::Unlimited, None);
        Self { key, subscriptions: BTreeMap::new(), room, patience, slow: false, now }
    }

    fn wait(&mut self) {
        (self.room, self.slow) = (WAITING, true);
    }

    fn take(&mut self, payload: &[u8]) {
        let (topic, serial) = (payload[0] as usize, &payload[1..4]);
        let serial = u32::from_le_bytes([serial[0], serial[1], serial[2], 0]);
        let subscription = self.subscriptions.get_mut(&topic).expect("subscribed");
        let meant = subscription.meant.iter().find(|it| it.serial == serial);
        let key = meant.unwrap_or_else(|| panic!("{serial} is not for it")).key;
        // Nothing twice, and of each key nothing older after something newer.
        let newer = subscription.meant.iter().filter(|it| it.key == key && it.serial >= serial);
        let newer = newer.filter(|it| subscription.got.contains(&it.serial)).count();
        assert_eq!(newer, 0, "{serial} comes late");
        let by_key = subscription.policy == OverflowPolicy::KeepLatest && self.slow;
        if !by_key && subscription.interval.is_none() {
            let missing =
                |it: &&Meant| it.serial < serial && !subscription.got.contains(&it.serial);
            assert_eq!(subscription.meant.iter().find(missing), None, "before {serial}");
        }
        subscription.got.insert(serial);
        if subscription.times.last() != Some(&self.now) && !subscription.is_flushed {
            subscription.times.push(self.now);
        }
    }
}

const WAITING: SendCapacity = SendCapacity::Waiting { backed_up: true, bytes: 1 << 20 };

struct World {
    topics: Topics,
    keys: Slots<()>,
    made: Vec<Key>,
    conns: Vec<Conn>,
    serial: u32,
    now: Time,
    /// Values may be given up for their number, their bytes or all memory.
    tight: bool,
}

impl World {
    fn new(limits: TopicLimits, tight: bool) -> Self {
        let mut topics = Topics::new(limits, TopicConfigs::default(), 0);
        let mut keys = Slots::with_capacity(CONNECTIONS);
        let made = NAMES[..TOPICS].iter().map(|name| topics.topic(name).unwrap()).collect();
        let conn = |_| Conn::new(keys.insert(()), Time::BEGINNING);
        let conns = (0..CONNECTIONS).map(conn).collect();
        Self { topics, keys, made, conns, serial: 0, now: Time::BEGINNING, tight }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Subscribe(conn, topic, policy) => self.subscribe(conn, topic, policy, None),
            Act::SubscribeEvery(conn, topic, interval) => {
                self.subscribe(conn, topic, OverflowPolicy::KeepLatest, Some(interval));
            }
            Act::Unsubscribe(conn, topic) => {
                self.flush(conn, topic);
                let held = self.conns[conn].subscriptions.remove(&topic).is_some();
                assert_eq!(self.topics.unsubscribe(self.conns[conn].key, self.made[topic]), held);
            }
            Act::Replace(conn) => {
                let key = self.conns[conn].key;
                self.topics.remove_connection(key);
                self.keys.remove(key);
                self.conns[conn] = Conn::new(self.keys.insert(()), self.now);
            }
            Act::Broadcast(topic, key, len, except) => self.broadcast(topic, key, len, except),
            Act::Deliver => while self.deliver() {},
            Act::Send(conn) => {
                let conn = &mut self.conns[conn];
                self.topics.deliver_pending(conn.key, conn);
            }
            Act::Slow(conn, room) => {
                let conn = &mut self.conns[conn];
                match room {
                    0 => conn.wait(),
                    _ if conn.room == SendCapacity::Unlimited => conn.patience = Some(room),
                    _ => {}
                }
            }
            Act::Drain(conn, patience) => self.drain(conn, patience),
            Act::Pass(ms) => {
                self.now += Duration::from_millis(ms);
                self.conns.iter_mut().for_each(|conn| conn.now = self.now);
                self.tick(2);
                for conn in self.conns.iter().filter(|conn| !conn.slow && !self.tight) {
                    for subscription in conn.subscriptions.values() {
                        let interval = subscription.interval;
                        interval.into_iter().for_each(|it| subscription.check_age(it, self.now));
                    }
                }
            }
        }
        // At the end of each turn.
        self.tick(2);
        self.report_gaps();
        self.check();
    }

    fn subscribe(
        &mut self,
        conn: usize,
        topic: usize,
        policy: OverflowPolicy,
        interval: Option<Duration>,
    ) {
        let (key, name) = (self.conns[conn].key, self.made[topic]);
        let former = self.conns[conn].subscriptions.get(&topic).map(|it| (it.policy, it.interval));
        let held =
            self.topics.policy(key, name).map(|it| (it, self.topics.conflation().pace(key, name)));
        assert_eq!(held, former);
        if former == Some((policy, interval)) {
            return;
        }
        self.flush(conn, topic);
        let subscribed = match interval {
            Some(interval) => self.topics.conflation().subscribe_every(key, name, interval),
            None => self.topics.subscribe(key, name, policy),
        };
        assert_eq!(subscribed, Ok(former.is_none()));
        let subscription = Subscription { policy, interval, ..Subscription::default() };
        self.conns[conn].subscriptions.insert(topic, subscription);
    }

    /// Delivers all that is pending for a subscription, which ends or changes.
    fn flush(&mut self, conn: usize, topic: usize) {
        let held = &mut self.conns[conn];
        if let Some(subscription) = held.subscriptions.get_mut(&topic) {
            subscription.is_flushed = true;
        }
        self.topics.deliver_pending(held.key, held);
        self.topics.conflation().flush(held.key, Some(self.made[topic]), held);
        self.topics.end_gaps(held.key);
        self.report_gaps();
        if let Some(subscription) = self.conns[conn].subscriptions.get(&topic) {
            subscription.check_settled(self.tight);
        }
    }

    fn broadcast(&mut self, topic: usize, key: usize, len: usize, except: Option<usize>) {
        self.serial += 1;
        let serial = self.serial.to_le_bytes();
        let mut payload = vec![topic as u8, serial[0], serial[1], serial[2]];
        payload.resize(len, 7);
        let left_out = except.map(|conn| self.conns[conn].key);
        let message = Message::Binary(&payload);
        let (name, key_name) = (self.made[topic], KEYS[key]);
        let taken = match (key, left_out) {
            (0, left_out) => self.topics.broadcast(name, message.into(), left_out),
            _ => self.topics.broadcast_keyed(name, key_name, message.into(), left_out),
        };
        if taken.is_err() {
            assert!(self.tight);
            return;
        }
        for (index, conn) in self.conns.iter_mut().enumerate() {
            if let Some(subscription) = conn.subscriptions.get_mut(&topic) {
                if except == Some(index) {
                    subscription.left_out.insert(key, self.serial);
                } else {
                    subscription.meant.push(Meant { serial: self.serial, key, at: self.now });
                }
            }
        }
    }

    fn deliver(&mut self) -> bool {
        let conns = &mut self.conns;
        let find = |conns: &[Conn], key| conns.iter().position(|it| it.key == key).unwrap();
        let served = self.topics.deliver_sealed(2, |key, run| {
            let conn = find(conns, key);
            conns[conn].append(key, run)
        });
        if served > 0 {
            return true;
        }
        let rooms: Vec<_> = conns.iter().map(|conn| (conn.key, conn.room)).collect();
        match self
            .topics
            .deliver(Time::BEGINNING, |key| rooms.iter().find(|(it, _)| *it == key).unwrap().1)
        {
            None => return false,
            Some(Delivery::Run { conn: key, run, .. }) => {
                let conn = find(&self.conns, key);
                self.conns[conn].append(key, &run);
            }
            Some(Delivery::CatchUp(key)) => {
                let conn = find(&self.conns, key);
                self.topics.catch_up(key, &mut self.conns[conn]);
            }
            Some(Delivery::Skipped) => {}
        }
        true
    }

    fn drain(&mut self, conn: usize, patience: Option<usize>) {
        let conn = &mut self.conns[conn];
        (conn.room, conn.patience) = (SendCapacity::Unlimited, patience.filter(|it| *it > 0));
        self.topics.catch_up(conn.key, conn);
        while self.topics.conflation().catch_up(conn.key, conn).has_more {}
        if conn.room == SendCapacity::Unlimited {
            assert!(!self.topics.conflation().is_behind(conn.key));
            self.topics.end_gaps(conn.key);
        }
    }

    fn tick(&mut self, max: usize) {
        // As the loop does: each tick takes several turns.
        for _ in 0..100 {
            let mut all = AllConns(&mut self.conns);
            self.topics.conflation().serve_ticks(self.now, max, 40, &mut all);
            if self.topics.ticks.next() > self.now {
                return;
            }
        }
        panic!("ticks do not end");
    }

    fn report_gaps(&mut self) {
        while let Some((key, gap)) = self.topics.next_gap() {
            assert!(gap.first <= gap.last && gap.count() > 0);
            let topic = self.made.iter().position(|it| *it == gap.topic).unwrap();
            let conn = self.conns.iter_mut().find(|conn| conn.key == key);
            if let Some(subscription) = conn.and_then(|conn| conn.subscriptions.get_mut(&topic)) {
                assert!(subscription.interval.is_none() || self.tight);
                subscription.reported += gap.count();
            }
        }
    }

    fn check(&self) {
        let limits = &self.topics.limits;
        for conn in self.conns.iter().filter(|conn| !conn.slow) {
            for subscription in conn.subscriptions.values() {
                match subscription.interval {
                    Some(interval) => subscription.check_pace(interval),
                    None if self.topics.is_delivering() => {}
                    None => subscription.check_settled(self.tight),
                }
            }
        }
        for (_, topic) in self.topics.registry.topics.iter() {
            assert_eq!(topic.counted.memory, topic.memory());
            let Some(values) = &topic.values else { continue };
            assert!(values.len() <= limits.keys);
            assert!(values.frame_bytes() <= limits.backlog || values.len() == 1);
            let policy = |it: &&Subscriber| it.policy == OverflowPolicy::KeepLatest;
            assert!(topic.subscribers.iter().any(|it| policy(&it)));
            let followers = topic.subscribers.iter().filter(|it| it.follower().is_some());
            assert_eq!(followers.count(), values.followers.len());
        }
        assert!(self.topics.memory_bytes() <= limits.bytes);
        let following: u32 = self.topics.registry.members.iter().map(|it| it.following).sum();
        let topics = self.topics.registry.topics.iter();
        let followers =
            topics.filter_map(|(_, it)| it.values.as_ref()).map(|it| it.followers.len());
        assert_eq!(following as usize, followers.sum::<usize>());
    }

    /// Everything arrives in the end.
    fn end(&mut self) {
        while self.deliver() {}
        for conn in 0..CONNECTIONS {
            self.drain(conn, None);
        }
        self.now += Duration::from_millis(100);
        self.conns.iter_mut().for_each(|conn| conn.now = self.now);
        self.tick(1);
        self.report_gaps();
        for conn in 0..CONNECTIONS {
            let lasting = |it: &Subscription| it.interval == Some(Duration::MAX);
            for topic in 0..TOPICS {
                if self.conns[conn].subscriptions.get(&topic).is_some_and(lasting) {
                    self.flush(conn, topic);
                }
            }
            let settled = self.conns[conn].subscriptions.values();
            settled.for_each(|it| it.check_settled(self.tight));
            assert!(!self.topics.conflation().is_behind(self.conns[conn].key));
            self.act(&Act::Replace(conn));
        }
        assert!(self.topics.registry.topics.iter().all(|(_, topic)| topic.values.is_none()));
    }
}

impl Subscription {
    /// Checks that nothing that it was to get is missing.
    fn check_settled(&self, tight: bool) {
        for (key, name) in KEYS.iter().enumerate() {
            let last = self.meant.iter().rfind(|it| it.key == key).map_or(0, |it| it.serial);
            let is_replaced = self.left_out.get(&key).is_some_and(|it| *it > last);
            let is_there = last == 0 || self.got.contains(&last) || is_replaced;
            assert!(is_there || tight, "the last message of {name:?} is missing");
        }
        if self.interval.is_none() {
            let (meant, got) = (self.meant.len() as u64, self.got.len() as u64);
            assert_eq!(got + self.reported, meant, "got and reported of all");
        }
    }

    /// Checks that messages came at most once in each interval.
    fn check_pace(&self, interval: Duration) {
        let tick = |time: &Time| time.since_beginning().as_nanos() / interval.as_nanos();
        assert!(self.times.is_sorted_by(|earlier, later| tick(earlier) < tick(later)));
    }

    /// Checks that of each key, what was broadcast an interval ago has arrived or was replaced.
    fn check_age(&self, interval: Duration, now: Time) {
        for key in 0..KEYS.len() {
            let is_old = |it: &&Meant| it.key == key && it.at + interval <= now;
            let Some(old) = self.meant.iter().rfind(is_old) else { continue };
            let later = self.meant.iter().filter(|it| it.key == key && it.serial >= old.serial);
            let is_replaced = self.left_out.get(&key).is_some_and(|it| *it > old.serial);
            let is_there = later.into_iter().any(|it| self.got.contains(&it.serial));
            assert!(is_there || is_replaced, "{old:?} is late at {now:?}");
        }
    }
}

/// The output of all connections.
struct AllConns<'a>(&'a mut [Conn]);

impl Output for AllConns<'_> {
    fn capacity(&self, conn: Key) -> SendCapacity {
        self.0.iter().find(|it| it.key == conn).map_or(SendCapacity::Unlimited, |it| it.room)
    }

    fn append(&mut self, conn: Key, run: &Run<'_>) -> bool {
        self.0.iter_mut().find(|it| it.key == conn).expect("a live one").append(conn, run)
    }
}

fn run(limits: TopicLimits, tight: bool, acts: &[Act]) {
    let mut world = World::new(limits, tight);
    acts.iter().for_each(|act| world.act(act));
    world.end();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_latest_message_of_every_key_arrives_once_and_in_time(
        acts in prop::collection::vec(act(), 0..120),
    ) {
        run(WIDE, false, &acts);
    }

    #[test]
    fn values_that_are_given_up_are_reported_as_missed(
        acts in prop::collection::vec(act(), 0..120),
        keys in 1_usize..4,
        backlog in prop_oneof![Just(1 << 20), 60_usize..200],
        bytes in prop_oneof![Just(1 << 20), 600_usize..4_000],
    ) {
        run(TopicLimits { keys, backlog, bytes, ..WIDE }, true, &acts);
    }
}
