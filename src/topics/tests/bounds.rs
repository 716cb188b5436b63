//! What topics cost: steps and memory.

use std::time::Duration;

use super::policies::Sink;
use super::*;

/// Limits that no test here reaches.
const WIDE: TopicLimits = TopicLimits {
    topics: 100_000,
    subscriptions: 100_000,
    keys: 65_536,
    backlog: 1 << 20,
    bytes: 1 << 30,
};

/// An output that accepts this many bytes before output waits.
struct Narrow(usize);

impl Output for Narrow {
    fn capacity(&self, _: Key) -> SendCapacity {
        match self.0 {
            0 => SendCapacity::Waiting { backed_up: true, bytes: 1 << 20 },
            _ => SendCapacity::Unlimited,
        }
    }

    fn append(&mut self, _: Key, run: &Run<'_>) -> bool {
        self.0 = self.0.saturating_sub(run.as_slice().len());
        true
    }
}

fn deliver(topics: &mut Topics, room: SendCapacity) {
    while topics.is_delivering() {
        if topics.deliver_sealed(100, |_, _| true) > 0 {
            continue;
        }
        match topics.deliver(Time::BEGINNING, |_| room) {
            Some(Delivery::CatchUp(conn)) => topics.catch_up(conn, &mut Sink::new(room)),
            Some(Delivery::Run { .. } | Delivery::Skipped) | None => {}
        }
    }
}

const WAITING: SendCapacity = SendCapacity::Waiting { backed_up: true, bytes: 1 << 20 };

/// Creates `count` topics.
fn many(topics: &mut Topics, count: usize) -> Vec<Key> {
    (0..count).map(|number| topics.topic(&number.to_string()).unwrap()).collect()
}

#[test]
fn catching_up_takes_steps_for_what_is_handed_over_not_for_what_waits() {
    let mut topics = Topics::new(WIDE, TopicConfigs::default(), 0);
    let conn = Slots::with_capacity(1).insert(());
    let rooms = many(&mut topics, 4);
    for room in &rooms {
        topics.subscribe(conn, *room, OverflowPolicy::DropOldest).unwrap();
    }
    const FRAMES: usize = 8_000;
    for number in 0..FRAMES {
        // Some leave it out, of which there is as much to be counted.
        let except = Some(conn).filter(|_| number % 5 == 0);
        topics.broadcast(rooms[number % 4], "0123456789".into(), except).unwrap();
        deliver(&mut topics, WAITING);
    }
    let (mut drains, mut output) = (0, Narrow(0));
    while topics.registry.is_lagging(conn) {
        let before = topics.pending.steps;
        output.0 = 100;
        topics.catch_up(conn, &mut output);
        let steps = topics.pending.steps - before;
        assert!(steps < 100, "{steps} steps for ten frames");
        drains += 1;
    }
    assert!(drains > FRAMES / 20, "{drains}");
    assert!(topics.pending.steps < 5 * FRAMES, "{}", topics.pending.steps);
    assert_eq!(topics.totals().delivered, FRAMES as u64 * 4 / 5);
    assert_eq!(topics.gaps_due(), 0);
}

#[test]
fn delivering_pending_broadcasts_lists_at_most_a_window() {
    let mut topics = Topics::new(WIDE, TopicConfigs::default(), 0);
    let conn = Slots::with_capacity(1).insert(());
    let room = topics.topic("room").unwrap();
    topics.subscribe(conn, room, OverflowPolicy::DropOldest).unwrap();
    for _ in 0..5_000 {
        topics.broadcast(room, "0123456789".into(), None).unwrap();
    }
    deliver(&mut topics, WAITING);
    let mut output = Sink::new(SendCapacity::Waiting { backed_up: true, bytes: 120 });
    topics.deliver_pending(conn, &mut output);
    assert_eq!(output.bytes.len(), 120, "the newest ten fit");
    assert!(topics.pending.capacity() < 100, "{}", topics.pending.capacity());
    assert!(!topics.registry.is_lagging(conn));
}

#[test]
fn removing_topics_takes_steps_for_each_not_for_all() {
    const ROOMS: usize = 20_000;
    let mut topics = Topics::new(WIDE, TopicConfigs::default(), 0);
    let conn = Slots::with_capacity(1).insert(());
    let rooms = many(&mut topics, ROOMS);
    for room in &rooms {
        topics.subscribe(conn, *room, OverflowPolicy::Close).unwrap();
        topics.broadcast(*room, "hello".into(), None).unwrap();
    }
    topics.remove_connection(conn);
    for room in &rooms {
        assert!(topics.remove_topic(*room));
    }
    let steps = topics.active.steps + topics.changes.steps;
    assert!(steps < 5 * ROOMS, "{steps} steps");
    assert!(topics.active.len() + topics.changes.len() < 1_000, "they are taken out");
    deliver(&mut topics, WAITING);
    topics.report_changes(|_, _| panic!("nothing has changed"));
    assert!(!topics.is_delivering() && !topics.has_changes());
    assert_eq!((topics.active.stale, topics.changes.stale), (0, 0));
}

#[test]
fn making_and_removing_a_topic_again_and_again_leaves_nothing() {
    let mut topics = Topics::new(WIDE, TopicConfigs::default(), 0);
    let conn = Slots::with_capacity(1).insert(());
    for _ in 0..10_000 {
        let room = topics.topic("room").unwrap();
        topics.subscribe(conn, room, OverflowPolicy::Close).unwrap();
        topics.broadcast(room, "hello".into(), None).unwrap();
        topics.unsubscribe(conn, room);
        assert!(topics.remove_topic(room));
    }
    assert!(topics.active.len() + topics.changes.len() < 500);
    assert!(topics.active.capacity() + topics.changes.capacity() < 1_000);
    assert!(topics.memory_bytes() <= 1 << 20);
}

#[test]
fn memory_for_many_subscribers_is_returned() {
    const CONNECTIONS: usize = 500;
    let mut topics = Topics::new(WIDE, TopicConfigs::default(), 0);
    let mut slots = Slots::with_capacity(0);
    let conns: Vec<_> = (0..CONNECTIONS).map(|_| slots.insert(())).collect();
    let rooms = many(&mut topics, 100);
    for room in &rooms {
        for conn in &conns {
            topics.subscribe(*conn, *room, OverflowPolicy::DropOldest).unwrap();
        }
        for _ in 0..30 {
            topics.broadcast(*room, Message::Binary(&[7; 1_000]).into(), None).unwrap();
        }
        deliver(&mut topics, WAITING);
        assert!(topics.memory_bytes() > 30_000);
        for conn in &conns {
            topics.deliver_pending(*conn, &mut Sink::new(SendCapacity::Unlimited));
            topics.unsubscribe(*conn, *room);
        }
        while topics.next_gap().is_some() {}
    }
    let subscribers: usize = rooms
        .iter()
        .map(|room| topics.registry.topics.get(*room).unwrap().subscribers.capacity())
        .sum();
    assert!(subscribers <= 100 * 16, "room for {subscribers} subscribers stays");
    let subscriptions =
        topics.registry.members.iter().map(|member| member.subscriptions.capacity());
    assert!(subscriptions.sum::<usize>() <= CONNECTIONS * 16);
    assert!(topics.registry.members.len() <= CONNECTIONS);
    assert!(topics.memory_bytes() <= 1 << 20, "{} bytes stay", topics.memory_bytes());
    assert!(topics.memory.used.total <= 100 * 1024, "a little for each topic");
}

#[test]
fn all_topics_together_hold_no_more_than_they_may_and_the_oldest_goes_first() {
    let mut topics =
        Topics::new(TopicLimits { bytes: 100_000, ..WIDE }, TopicConfigs::default(), 0);
    let conn = Slots::with_capacity(1).insert(());
    let rooms = many(&mut topics, 100);
    for room in &rooms {
        topics.subscribe(conn, *room, OverflowPolicy::DropOldest).unwrap();
        for _ in 0..4 {
            let message = Message::Binary(&[7; 1_000]);
            assert_eq!(topics.broadcast(*room, message.into(), None), Ok(()));
            deliver(&mut topics, WAITING);
            assert!(topics.memory_bytes() <= 100_000);
        }
    }
    assert!(topics.memory.used.logged > 80_000, "no more is given up than has to be");
    let mut output = Sink::new(SendCapacity::Unlimited);
    topics.catch_up(conn, &mut output);
    topics.end_gaps(conn);
    let (mut missed, mut rooms_missed) = (0, Vec::new());
    while let Some((_, gap)) = topics.next_gap() {
        assert_eq!(gap.first, 1);
        rooms_missed.push(gap.topic);
        missed += gap.count();
    }
    rooms_missed.sort_unstable();
    assert_eq!(rooms_missed, rooms[..rooms_missed.len()], "the oldest");
    assert_eq!(topics.totals().delivered + missed, 400);
    assert_eq!(topics.memory.used.logged, 0);
}

#[test]
fn what_topics_keep_for_their_next_broadcast_is_in_no_other_topics_way() {
    let mut topics = Topics::new(TopicLimits { bytes: 20_000, ..WIDE }, TopicConfigs::default(), 0);
    let conn = Slots::with_capacity(1).insert(());
    for (number, room) in many(&mut topics, 1_000).into_iter().enumerate() {
        topics.subscribe(conn, room, OverflowPolicy::Close).unwrap();
        assert!(topics.broadcast(room, "hello".into(), None).is_ok(), "{number} has no room");
        deliver(&mut topics, SendCapacity::Unlimited);
    }
    assert_eq!(topics.totals().refused, 0);
}

#[test]
fn messages_of_silent_topics_go_when_their_time_is_over() {
    const AGE: Duration = Duration::from_secs(10);
    const SECOND: Duration = Duration::from_secs(1);
    let mut configs = TopicConfigs::default();
    configs.add("*", TopicConfig::default().history(History::of(9).age(AGE))).unwrap();
    let mut topics = Topics::new(WIDE, configs, 0);
    assert_eq!(topics.expiry.next(), Time::NEVER);
    // More than are looked at together.
    let rooms = many(&mut topics, 1_500);
    let mut now = Time::BEGINNING;
    for some in rooms.chunks(500) {
        for room in some {
            topics.broadcast(*room, "hello".into(), None).unwrap();
        }
        assert!(topics.deliver(now, |_| SendCapacity::Unlimited).is_none());
        now += SECOND;
    }
    assert_eq!(topics.expiry.next(), Time::BEGINNING + AGE);
    let logged = |topics: &Topics| {
        rooms.iter().map(|room| topics.registry.topics.get(*room).unwrap().log.len()).sum::<usize>()
    };
    assert_eq!(logged(&topics), 1_500);
    for left in [1_000, 500, 0] {
        let due = topics.expiry.next();
        topics.expire(due);
        while topics.expiry.next() <= due {
            topics.expire(due);
        }
        assert_eq!(logged(&topics), left);
    }
    assert_eq!((topics.expiry.next(), topics.memory.used.logged), (Time::NEVER, 0));
}

#[test]
fn a_broadcast_for_which_there_is_no_memory_is_refused_and_costs_nothing_else() {
    let mut topics = Topics::new(TopicLimits { bytes: 20_000, ..WIDE }, TopicConfigs::default(), 0);
    let conn = Slots::with_capacity(1).insert(());
    let rooms = many(&mut topics, 3);
    for room in &rooms {
        topics.subscribe(conn, *room, OverflowPolicy::DropOldest).unwrap();
    }
    topics.broadcast(rooms[0], "kept".into(), None).unwrap();
    deliver(&mut topics, WAITING);
    let large = Message::Binary(&[7; 20_001]);
    assert_eq!(topics.broadcast(rooms[1], large.into(), None), Err(TopicError::Limit));
    assert_eq!((topics.totals().refused, topics.last_number(rooms[1])), (1, Some(0)));
    assert_eq!(topics.broadcast(rooms[1], Message::Binary(&[7; 9_000]).into(), None), Ok(()));
    assert_eq!(
        topics.broadcast(rooms[2], Message::Binary(&[7; 11_000]).into(), None),
        Err(TopicError::Limit)
    );
    let mut output = Sink::new(SendCapacity::Unlimited);
    topics.deliver_pending(conn, &mut output);
    assert_eq!(output.bytes.len(), 6 + 9_004, "nothing was given up for what was refused");
    deliver(&mut topics, SendCapacity::Unlimited);
    // Without subscribers, no memory is needed.
    topics.remove_connection(conn);
    assert_eq!(topics.broadcast(rooms[2], large.into(), None), Ok(()));
    assert!(topics.memory.used.total <= 3 * 1024, "a little for each topic");
}

#[test]
fn what_is_kept_is_kept_without_the_memory_that_it_lay_in() {
    let mut topics = Topics::new(WIDE, TopicConfigs::default(), 0);
    let conn = Slots::with_capacity(1).insert(());
    for room in many(&mut topics, 50) {
        topics.subscribe(conn, room, OverflowPolicy::KeepLatest).unwrap();
        // A large batch, whose memory the next one lies in.
        topics.broadcast(room, Message::Binary(&[7; 50_000]).into(), None).unwrap();
        deliver(&mut topics, SendCapacity::Unlimited);
        topics.broadcast(room, "latest".into(), None).unwrap();
        deliver(&mut topics, WAITING);
    }
    assert!(topics.memory.used.total < 50 * 2_000, "{}", topics.memory.used.total);
}
