//! What subscribers get that are always behind: no key may wait for ever.

use std::collections::BTreeMap;

use super::*;
use crate::proto::{FrameHeader, Role};

const KEYS: usize = 20;

const WIDE: TopicLimits =
    TopicLimits { topics: 2, subscriptions: 2, keys: 64, backlog: 1 << 20, bytes: 1 << 20 };

/// A subscriber whose output waits after each share.
struct Reader {
    is_waiting: bool,
    /// The keys and serial numbers of what it has got of each topic.
    got: Vec<(u8, u8, u32)>,
}

impl Output for Reader {
    fn capacity(&self, _: Key) -> SendCapacity {
        match self.is_waiting {
            true => SendCapacity::Waiting { backed_up: true, bytes: 1 << 20 },
            false => SendCapacity::Unlimited,
        }
    }

    fn append(&mut self, _: Key, run: &Run<'_>) -> bool {
        let mut bytes = run.as_slice();
        while !bytes.is_empty() {
            let (header, len) = FrameHeader::parse(bytes, Role::Client).unwrap().unwrap();
            let (frame, rest) = bytes.split_at(len + header.len as usize);
            let payload = &frame[len..];
            let serial = u32::from_le_bytes(payload[2..6].try_into().unwrap());
            self.got.push((payload[0], payload[1], serial));
            bytes = rest;
        }
        true
    }
}

struct World {
    topics: Topics,
    conn: Key,
    made: Vec<Key>,
    reader: Reader,
    serial: u32,
    /// The length of a key's messages.
    len: fn(u8) -> usize,
}

impl World {
    /// The reader follows the values of so many topics.
    fn new(count: usize, len: fn(u8) -> usize) -> Self {
        let mut topics = Topics::new(WIDE, TopicConfigs::default(), 0);
        let conn = Slots::with_capacity(1).insert(());
        let made: Vec<_> = NAMES[..count].iter().map(|it| topics.topic(it).unwrap()).collect();
        for topic in &made {
            assert_eq!(topics.subscribe(conn, *topic, OverflowPolicy::KeepLatest), Ok(true));
        }
        let reader = Reader { is_waiting: true, got: Vec::new() };
        let mut world = Self { topics, conn, made, reader, serial: 0, len };
        (0..count).for_each(|topic| world.broadcast(topic, 0));
        world.deliver();
        world
    }

    fn broadcast(&mut self, topic: usize, key: u8) {
        self.serial += 1;
        let mut payload = vec![topic as u8, key];
        payload.extend_from_slice(&self.serial.to_le_bytes());
        payload.resize((self.len)(key), 7);
        let message = Message::Binary(&payload).into();
        let (name, key) = (self.made[topic], key.to_string());
        assert_eq!(self.topics.broadcast_keyed(name, &key, message, None), Ok(()));
    }

    fn deliver(&mut self) {
        while let Some(delivery) =
            self.topics.deliver(Time::BEGINNING, |conn| self.reader.capacity(conn))
        {
            assert!(matches!(delivery, Delivery::Skipped), "{delivery:?}");
        }
    }

    /// The reader gets a share, and returns what it was.
    fn share(&mut self) -> Vec<(u8, u8, u32)> {
        self.deliver();
        self.reader.is_waiting = false;
        self.topics.conflation().catch_up(self.conn, &mut self.reader);
        self.reader.is_waiting = true;
        std::mem::take(&mut self.reader.got)
    }

    /// Checks that every key comes at least once in so many shares, while `change` changes keys
    /// between them. Of each key, nothing comes twice.
    fn check(&mut self, within: usize, mut change: impl FnMut(&mut Self)) {
        let mut last = BTreeMap::new();
        for round in 0..20 * within {
            change(self);
            for (topic, key, serial) in self.share() {
                if let Some((_, before)) = last.insert((topic, key), (round, serial)) {
                    assert!(before < serial, "{serial} of {key} after {before}");
                }
            }
            for topic in 0..self.made.len() as u8 {
                for key in 0..KEYS as u8 {
                    let since = last.get(&(topic, key)).map_or(0, |(round, _)| *round);
                    assert!(round - since <= within, "{topic} {key} waits in round {round}");
                }
            }
        }
    }
}

/// The shares in which a reader that is always behind gets every key.
const SHARES_MAX: usize = 2 * KEYS;

#[test]
fn a_key_that_changes_all_the_time_arrives_and_does_not_delay_others() {
    World::new(1, |_| 6).check(SHARES_MAX, |world| {
        for key in 1..KEYS as u8 {
            world.broadcast(0, key);
            world.broadcast(0, 0);
        }
    });
}

#[test]
fn keys_that_change_seldom_and_often_arrive() {
    let mut round = 0_usize;
    World::new(1, |_| 6).check(SHARES_MAX, |world| {
        round += 1;
        for key in 0..KEYS {
            // The first keys change several times between two shares, the last ones seldom.
            let times = (KEYS / (key + 1)).max(usize::from(round % (key + 1) == 0));
            (0..times).for_each(|_| world.broadcast(0, key as u8));
        }
    });
}

#[test]
fn keys_that_change_all_the_time_arrive_from_every_topic() {
    World::new(2, |_| 6).check(2 * SHARES_MAX, |world| {
        for key in 1..KEYS as u8 {
            (0..2).for_each(|topic| world.broadcast(topic, key));
            (0..2).for_each(|topic| world.broadcast(topic, 0));
        }
    });
}

#[test]
fn large_values_that_change_all_the_time_arrive() {
    let len = |key: u8| if key == 0 { 2_000 } else { 6 };
    World::new(1, len).check(SHARES_MAX, |world| {
        for key in 1..KEYS as u8 {
            world.broadcast(0, key);
            world.broadcast(0, 0);
        }
    });
}

#[test]
fn a_share_is_in_the_order_of_the_last_change() {
    let mut world = World::new(1, |_| 6);
    for round in 0..200 {
        for key in 0..KEYS as u8 {
            world.broadcast(0, key);
            (0..round % 3).for_each(|_| world.broadcast(0, 0));
        }
        let got = world.share();
        assert!(got.len() > 2 && got.is_sorted_by_key(|(.., serial)| *serial), "{got:?}");
    }
    // Then everything that is pending arrives, once each.
    let mut rest = Vec::new();
    while world.topics.conflation().is_behind(world.conn) {
        rest.extend(world.share());
    }
    let mut keys: Vec<_> = rest.iter().map(|(_, key, _)| *key).collect();
    keys.sort_unstable();
    assert!(keys.is_sorted_by(|one, other| one < other), "{rest:?}");
}
