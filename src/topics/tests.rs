use proptest::prelude::*;

use super::*;
use crate::overflow::OverflowPolicy;
use crate::proto::Message;
use crate::slots::{Key, Slots};
use crate::time::Time;

mod bounds;
mod envelopes;
mod fairness;
mod keyed;
mod model;
mod policies;

use model::Model;

const CONNECTIONS: usize = 4;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const LIMITS: TopicLimits =
    TopicLimits { topics: 3, subscriptions: 2, keys: 4, backlog: 40, bytes: 1 << 20 };

const HISTORY_MESSAGES: u64 = 6;
const HISTORY_BYTES: usize = 90;

/// Two of the topics have a history.
fn configs() -> TopicConfigs {
    let mut configs = TopicConfigs::default();
    for name in ["a", "b"] {
        let history = History::of(HISTORY_MESSAGES).bytes(HISTORY_BYTES);
        configs.add(name, TopicConfig::default().history(history)).unwrap();
    }
    configs
}

const POLICIES: [OverflowPolicy; 4] = [
    OverflowPolicy::Close,
    OverflowPolicy::DropNewest,
    OverflowPolicy::DropOldest,
    OverflowPolicy::KeepLatest,
];

#[derive(Clone, Debug)]
enum Command {
    MakeTopic(usize),
    RemoveTopic(usize),
    /// Delivers pending broadcasts first if that changes the policy, as the sockets do.
    Subscribe(usize, usize, OverflowPolicy),
    /// Delivers pending broadcasts first, as the sockets do.
    Unsubscribe(usize, usize),
    /// Gives up the broadcasts that are pending for the connection.
    UnsubscribeAtOnce(usize, usize),
    /// Ends a connection. Another one takes its slot.
    Replace(usize),
    /// Delivers pending broadcasts first, as the sockets do.
    AwaitResume(usize, usize, OverflowPolicy),
    Resume(usize, usize, From),
    Broadcast(usize, Payload, Option<usize>),
    Deliver,
    DeliverPending(usize),
    /// The connection no longer keeps up. The numbers are the bytes up to its soft limit, and the
    /// bytes that may wait.
    Slow(usize, usize, usize),
    /// All waiting output is sent. After this many more bytes, output waits again.
    Drain(usize, Option<usize>),
    ReportGaps,
    /// Reports this many changes.
    ReportChanges(usize),
}

/// A position from which a subscription is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// So many messages before the newest.
    Behind(u64),
    /// That of no message so far.
    Ahead(u64),
    AnotherEpoch,
}

#[derive(Clone, Debug)]
enum Payload {
    Text(String),
    Binary(Vec<u8>),
}

impl Payload {
    fn message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
        }
    }

    /// The payload with a number, which makes it unique.
    fn numbered(&self, number: u64) -> Self {
        match self {
            Self::Text(text) => Self::Text(format!("{text}{number}")),
            Self::Binary(bytes) => {
                let number = (number as u16).to_le_bytes();
                Self::Binary([&bytes[..], &number].concat())
            }
        }
    }
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        // Of one length, so that frames of several topics lie at the same places.
        any::<u8>().prop_map(|byte| Payload::Binary(vec![byte])),
        "[a-zé]{0,6}".prop_map(Payload::Text),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Payload::Binary),
        Just(Payload::Binary(vec![7; 200])),
    ]
}

fn from() -> impl Strategy<Value = From> {
    prop_oneof![
        8 => (0..=HISTORY_MESSAGES + 1).prop_map(From::Behind),
        1 => (0..3_u64).prop_map(From::Ahead),
        1 => Just(From::AnotherEpoch),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let (conn, topic) = (0..CONNECTIONS, 0..NAMES.len());
    let pair = || (0..CONNECTIONS, 0..NAMES.len());
    let room = || prop_oneof![Just(0), 0_usize..60, Just(1000)];
    prop_oneof![
        2 => topic.clone().prop_map(Command::MakeTopic),
        1 => topic.clone().prop_map(Command::RemoveTopic),
        8 => (pair(), prop::sample::select(&POLICIES[..]))
            .prop_map(|((conn, topic), policy)| Command::Subscribe(conn, topic, policy)),
        2 => pair().prop_map(|(conn, topic)| Command::Unsubscribe(conn, topic)),
        1 => pair().prop_map(|(conn, topic)| Command::UnsubscribeAtOnce(conn, topic)),
        1 => conn.clone().prop_map(Command::Replace),
        3 => (pair(), prop::sample::select(&POLICIES[..]))
            .prop_map(|((conn, topic), policy)| Command::AwaitResume(conn, topic, policy)),
        4 => (pair(), from()).prop_map(|((conn, topic), from)| Command::Resume(conn, topic, from)),
        12 => (topic, payload(), prop::option::weighted(0.3, conn.clone()))
            .prop_map(|(topic, payload, except)| Command::Broadcast(topic, payload, except)),
        12 => Just(Command::Deliver),
        2 => conn.clone().prop_map(Command::DeliverPending),
        3 => (conn.clone(), room(), room())
            .prop_map(|(conn, soft, more)| Command::Slow(conn, soft, soft + more)),
        2 => (conn, prop::option::weighted(0.3, room()))
            .prop_map(|(conn, patience)| Command::Drain(conn, patience)),
        1 => Just(Command::ReportGaps),
        1 => prop_oneof![0_usize..3, Just(100)].prop_map(Command::ReportChanges),
    ]
}

#[test]
fn leaving_a_topic_right_after_being_served_keeps_the_other_subscriptions() {
    let mut topics = Topics::new(LIMITS, TopicConfigs::default(), 0);
    let mut keys = Slots::with_capacity(2);
    let [first, second] = [keys.insert(()), keys.insert(())];
    let [one, other] = ["one", "other"].map(|name| topics.topic(name).unwrap());
    for (conn, topic) in [(first, other), (second, one), (second, other), (first, one)] {
        assert_eq!(topics.subscribe(conn, topic, OverflowPolicy::Close), Ok(true));
    }
    assert_eq!(topics.broadcast(one, "hi".into(), None), Ok(()));
    let quick = |_| SendCapacity::Unlimited;
    let delivery = topics.deliver(Time::BEGINNING, quick);
    assert!(matches!(delivery, Some(Delivery::Run { conn, .. }) if conn == second));
    // The connection is the last that was served, and its other subscription moves up.
    assert!(topics.unsubscribe(second, one));
    topics.remove_connection(second);
    assert_eq!((topics.members(one).len(), topics.members(other).len()), (1, 1));

    assert_eq!(topics.broadcast(other, "hello".into(), None), Ok(()));
    let mut output = policies::Sink::new(SendCapacity::Unlimited);
    topics.deliver_pending(first, &mut output);
    assert_eq!(output.bytes, b"\x81\x02hi\x81\x05hello");
    assert!(topics.deliver(Time::BEGINNING, quick).is_none(), "there is no other subscriber");
}

fn run(limits: TopicLimits, commands: &[Command]) {
    let mut model = Model::new(limits);
    (0..LIMITS.topics).for_each(|topic| model.make_topic(topic));
    for command in commands {
        model.run(command);
    }
    // A topic is served once for each batch and subscriber, and has at most two batches.
    let most = 2 * NAMES.len() * CONNECTIONS + 1;
    assert!((0..most).any(|_| !model.deliver()), "delivery does not end");
    for conn in 0..CONNECTIONS {
        model.drain(conn, None);
    }
    model.check();
    assert_eq!(model.topics.registry.lagging, 0);
    model.report_changes(100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_broadcast_is_delivered_once_in_order_or_reported_as_missed(
        commands in prop::collection::vec(command(), 0..80),
    ) {
        run(LIMITS, &commands);
    }

    #[test]
    fn broadcasts_given_up_for_memory_are_reported_as_missed(
        bytes in 0_usize..4_000,
        commands in prop::collection::vec(command(), 0..80),
    ) {
        run(TopicLimits { bytes, ..LIMITS }, &commands);
    }
}
