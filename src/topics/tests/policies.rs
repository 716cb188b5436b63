//! The effect of each policy alone.

use super::*;
use crate::proto::{FrameHeader, Role};

/// An output with a set capacity.
pub(super) struct Sink {
    pub(super) room: SendCapacity,
    pub(super) bytes: Vec<u8>,
}

impl Sink {
    pub(super) const fn new(room: SendCapacity) -> Self {
        Self { room, bytes: Vec::new() }
    }
}

impl Output for Sink {
    fn capacity(&self, _: Key) -> SendCapacity {
        self.room
    }

    fn append(&mut self, _: Key, run: &Run<'_>) -> bool {
        self.bytes.extend_from_slice(run.as_slice());
        match &mut self.room {
            SendCapacity::Waiting { bytes, .. } if *bytes < run.as_slice().len() => return false,
            SendCapacity::Waiting { bytes, .. } => *bytes -= run.as_slice().len(),
            SendCapacity::Unlimited => {}
        }
        true
    }
}

const WAITING: SendCapacity = SendCapacity::Waiting { backed_up: false, bytes: 1000 };
const BACKED_UP: SendCapacity = SendCapacity::Waiting { backed_up: true, bytes: 1000 };

/// One connection and its topics, each subscribed with one policy.
struct Bench {
    topics: Topics,
    conn: Key,
    keys: Vec<Key>,
    sink: Sink,
}

impl Bench {
    fn new(policies: &[OverflowPolicy]) -> Self {
        let mut topics = Topics::new(LIMITS, TopicConfigs::default(), 0);
        let conn = Slots::with_capacity(1).insert(());
        let keys: Vec<_> =
            NAMES.iter().zip(policies).map(|(name, _)| topics.topic(name).unwrap()).collect();
        for (key, policy) in keys.iter().zip(policies) {
            assert_eq!(topics.subscribe(conn, *key, *policy), Ok(true));
        }
        Self { topics, conn, keys, sink: Sink::new(SendCapacity::Unlimited) }
    }

    /// Broadcasts to a topic and delivers it.
    fn cast(&mut self, topic: usize, text: &str) {
        assert_eq!(self.topics.broadcast(self.keys[topic], text.into(), None), Ok(()));
        self.deliver();
    }

    fn deliver(&mut self) {
        while self.topics.deliver_sealed(1, |conn, run| self.sink.append(conn, run)) > 0 {}
        while let Some(delivery) = self.topics.deliver(Time::BEGINNING, |_| self.sink.room) {
            match delivery {
                Delivery::Run { conn, run, .. } => drop(self.sink.append(conn, &run)),
                Delivery::CatchUp(conn) => self.topics.catch_up(conn, &mut self.sink),
                Delivery::Skipped => {}
            }
        }
    }

    /// All waiting output is sent.
    fn drain(&mut self) {
        self.sink.room = SendCapacity::Unlimited;
        self.topics.catch_up(self.conn, &mut self.sink);
        self.topics.end_gaps(self.conn);
    }

    /// Takes the texts that have arrived.
    fn taken(&mut self) -> String {
        let bytes = std::mem::take(&mut self.sink.bytes);
        let (mut texts, mut rest) = (Vec::new(), &bytes[..]);
        while !rest.is_empty() {
            let (header, len) = FrameHeader::parse(rest, Role::Client).unwrap().unwrap();
            let end = len + header.len as usize;
            texts.push(String::from_utf8(rest[len..end].to_vec()).unwrap());
            rest = &rest[end..];
        }
        texts.join(" ")
    }

    /// The gaps that are due: topic, first, last and count of each.
    fn gaps(&mut self) -> Vec<(usize, u64, u64, u64)> {
        let mut gaps = Vec::new();
        while let Some((conn, gap)) = self.topics.next_gap() {
            assert_eq!(conn, self.conn);
            let topic = self.keys.iter().position(|key| *key == gap.topic).unwrap();
            gaps.push((topic, gap.first, gap.last, gap.count()));
        }
        gaps
    }
}

#[test]
fn what_is_newest_is_dropped_above_the_soft_limit_only() {
    let mut bench = Bench::new(&[OverflowPolicy::DropNewest]);
    bench.sink.room = WAITING;
    bench.cast(0, "1");
    bench.sink.room = BACKED_UP;
    bench.cast(0, "2");
    bench.cast(0, "3");
    assert_eq!((bench.taken().as_str(), bench.gaps().len()), ("1", 0));
    bench.sink.room = WAITING;
    bench.cast(0, "4");
    assert_eq!(bench.gaps(), [(0, 2, 3, 2)], "a later one was delivered");
    bench.sink.room = BACKED_UP;
    bench.cast(0, "5");
    bench.drain();
    assert_eq!(bench.gaps(), [(0, 5, 5, 1)], "nothing waits any more");
    bench.cast(0, "6");
    assert_eq!((bench.taken().as_str(), bench.gaps().len()), ("4 6", 0));
    assert_eq!(bench.topics.totals().dropped_newest, 3);
}

#[test]
fn what_is_newest_is_not_sent_where_it_would_be_too_much() {
    let mut bench = Bench::new(&[OverflowPolicy::DropNewest]);
    bench.sink.room = SendCapacity::Waiting { backed_up: false, bytes: 10 };
    bench.cast(0, "too long for that");
    bench.cast(0, "short");
    assert_eq!(bench.taken(), "short");
    assert_eq!(bench.gaps(), [(0, 1, 1, 1)]);
}

#[test]
fn what_is_oldest_is_dropped_when_the_log_is_full() {
    let mut bench = Bench::new(&[OverflowPolicy::DropOldest]);
    bench.sink.room = WAITING;
    for text in ["a234567890", "b234567890", "c234567890", "d234567890"] {
        bench.cast(0, text);
    }
    assert_eq!((bench.taken().as_str(), bench.gaps().len()), ("", 0));
    bench.drain();
    // Three with their headers are as much as the log holds.
    assert_eq!(bench.taken(), "b234567890 c234567890 d234567890");
    assert_eq!(bench.gaps(), [(0, 1, 1, 1)]);
    assert_eq!(bench.topics.totals().dropped_oldest, 1);
    assert!(!bench.topics.has_pending(bench.conn));
}

#[test]
fn what_waits_is_handed_out_as_it_is_taken() {
    let mut bench = Bench::new(&[OverflowPolicy::DropOldest, OverflowPolicy::DropOldest]);
    bench.sink.room = WAITING;
    for (topic, text) in [(0, "1"), (1, "2"), (0, "3"), (1, "4")] {
        bench.cast(topic, text);
    }
    /// Accepts one run.
    struct Narrow<'a>(&'a mut Sink);
    impl Output for Narrow<'_> {
        fn capacity(&self, conn: Key) -> SendCapacity {
            self.0.capacity(conn)
        }
        fn append(&mut self, conn: Key, run: &Run<'_>) -> bool {
            self.0.append(conn, run);
            self.0.room = WAITING;
            true
        }
    }
    for text in ["1", "2", "3", "4"] {
        bench.sink.room = SendCapacity::Unlimited;
        bench.topics.catch_up(bench.conn, &mut Narrow(&mut bench.sink));
        assert_eq!(bench.taken(), text);
    }
    bench.drain();
    assert_eq!((bench.gaps().len(), bench.topics.registry.lagging), (0, 0));
}

#[test]
fn only_the_latest_is_kept() {
    let mut bench = Bench::new(&[OverflowPolicy::KeepLatest]);
    bench.cast(0, "1");
    bench.sink.room = WAITING;
    for text in ["2", "3", "4"] {
        bench.cast(0, text);
    }
    let topic = bench.topics.registry.topics.get(bench.keys[0]).unwrap();
    assert_eq!(topic.log.len(), 1, "the others are of no use");
    bench.drain();
    assert_eq!(bench.taken(), "1 4");
    assert_eq!(bench.gaps(), [(0, 2, 3, 2)]);
    assert_eq!(bench.topics.totals().conflated, 2);
}

#[test]
fn what_was_kept_comes_before_what_is_sent() {
    let mut bench = Bench::new(&[OverflowPolicy::KeepLatest, OverflowPolicy::DropOldest]);
    bench.sink.room = BACKED_UP;
    for (topic, text) in [(0, "1"), (1, "2"), (0, "3"), (1, "4")] {
        bench.cast(topic, text);
    }
    bench.topics.deliver_pending(bench.conn, &mut bench.sink);
    assert_eq!(bench.taken(), "2 3 4");
    assert_eq!(bench.gaps(), [(0, 1, 1, 1)]);
}

#[test]
fn a_broadcast_that_must_arrive_takes_along_what_comes_before_it() {
    let mut bench = Bench::new(&[OverflowPolicy::KeepLatest, OverflowPolicy::Close]);
    bench.sink.room = BACKED_UP;
    for (topic, text) in [(0, "1"), (0, "2"), (1, "3"), (0, "4")] {
        bench.cast(topic, text);
    }
    assert_eq!(bench.taken(), "2 3");
    bench.drain();
    assert_eq!((bench.taken().as_str(), bench.gaps()), ("4", vec![(0, 1, 1, 1)]));
}

#[test]
fn a_broadcast_that_is_dropped_takes_nothing_along() {
    let mut bench = Bench::new(&[OverflowPolicy::KeepLatest, OverflowPolicy::DropNewest]);
    bench.sink.room = BACKED_UP;
    for (topic, text) in [(0, "1"), (1, "2"), (0, "3"), (1, "4")] {
        bench.cast(topic, text);
    }
    assert_eq!(bench.taken(), "");
    bench.drain();
    assert_eq!(bench.taken(), "3");
    assert_eq!(bench.gaps(), [(0, 1, 1, 1), (1, 1, 2, 2)]);
}

#[test]
fn what_may_be_missed_closes_nobody() {
    let mut bench = Bench::new(&[OverflowPolicy::DropOldest, OverflowPolicy::Close]);
    bench.sink.room = SendCapacity::Waiting { backed_up: true, bytes: 10 };
    for (topic, text) in [(0, "12345"), (0, "123"), (1, "x")] {
        bench.cast(topic, text);
    }
    assert_eq!(bench.taken(), "123 x", "the older one has no room");
    assert_eq!(bench.topics.totals().closed_by_overflow, 0);
    bench.cast(1, "too much");
    assert_eq!(bench.topics.totals().closed_by_overflow, 0, "that is for the outbox to count");
    assert_eq!(bench.gaps(), [(0, 1, 1, 1)]);
}

#[test]
fn a_connection_that_is_left_out_misses_nothing() {
    let mut bench = Bench::new(&[OverflowPolicy::KeepLatest]);
    let (conn, topic) = (bench.conn, bench.keys[0]);
    bench.sink.room = WAITING;
    let except = |bench: &mut Bench, text: &str| {
        assert_eq!(bench.topics.broadcast(topic, text.into(), Some(conn)), Ok(()));
        bench.deliver();
    };
    except(&mut bench, "mine");
    bench.drain();
    assert_eq!((bench.taken().as_str(), bench.gaps().len()), ("", 0));
    bench.sink.room = WAITING;
    bench.cast(0, "2");
    except(&mut bench, "mine");
    bench.cast(0, "4");
    bench.cast(0, "5");
    except(&mut bench, "mine");
    bench.drain();
    assert_eq!(bench.taken(), "5");
    assert_eq!(bench.gaps(), [(0, 2, 4, 2)], "the third was not for it");
}

#[test]
fn a_gap_is_reported_even_if_the_subscription_ends() {
    let mut bench = Bench::new(&[OverflowPolicy::KeepLatest]);
    bench.sink.room = SendCapacity::Waiting { backed_up: true, bytes: 0 };
    bench.cast(0, "1");
    bench.topics.deliver_pending(bench.conn, &mut bench.sink);
    assert!(bench.topics.unsubscribe(bench.conn, bench.keys[0]));
    assert_eq!(bench.gaps(), [(0, 1, 1, 1)]);
    assert_eq!((bench.topics.registry.lagging, bench.taken().as_str()), (0, ""));
}

#[test]
fn a_removed_topic_is_reported_empty_if_it_was_reported_occupied() {
    let mut bench = Bench::new(&[OverflowPolicy::Close, OverflowPolicy::Close]);
    let mut reported = Vec::new();
    bench.topics.report_changes(|topic, occupied| {
        reported.push((topic, occupied));
        reported.len() < 2
    });
    // The second was not taken.
    for key in &bench.keys {
        assert!(bench.topics.unsubscribe(bench.conn, *key));
        assert!(bench.topics.remove_topic(*key));
    }
    bench.topics.report_changes(|topic, occupied| {
        reported.push((topic, occupied));
        true
    });
    let [first, second] = bench.keys[..] else { panic!("two topics") };
    assert_eq!(reported, [(first, true), (second, true), (first, false)]);
}
