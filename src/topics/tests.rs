use proptest::prelude::*;

use super::*;
use crate::overflow::OverflowPolicy;
use crate::proto::Message;
use crate::slots::{Key, Slots};

mod bounds;
mod model;
mod policies;

use model::Model;

const CONNECTIONS: usize = 4;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const LIMITS: TopicLimits =
    TopicLimits { topics: 3, subscriptions: 2, backlog: 40, bytes: 1 << 20 };

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
    /// Settles first if that changes the policy, as the owner of connections does.
    Subscribe(usize, usize, OverflowPolicy),
    /// Settles first, as the owner of connections does.
    Unsubscribe(usize, usize),
    /// Gives up what the topic still owes the connection.
    UnsubscribeUnsettled(usize, usize),
    /// Ends a connection; another one takes its slot.
    Replace(usize),
    Broadcast(usize, Payload, Option<usize>),
    Deliver,
    Settle(usize),
    /// The connection does not keep up any more: so many bytes may wait, and of those so many
    /// before that is much.
    Slow(usize, usize, usize),
    /// Everything that waited is sent, and this much more before something waits again.
    Drain(usize, Option<usize>),
    TellGaps,
    /// Tells this many changes.
    TellChanges(usize),
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

    /// The same and a number, so that no two are alike.
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
        1 => pair().prop_map(|(conn, topic)| Command::UnsubscribeUnsettled(conn, topic)),
        1 => conn.clone().prop_map(Command::Replace),
        12 => (topic, payload(), prop::option::weighted(0.3, conn.clone()))
            .prop_map(|(topic, payload, except)| Command::Broadcast(topic, payload, except)),
        12 => Just(Command::Deliver),
        2 => conn.clone().prop_map(Command::Settle),
        3 => (conn.clone(), room(), room())
            .prop_map(|(conn, soft, more)| Command::Slow(conn, soft, soft + more)),
        2 => (conn, prop::option::weighted(0.3, room()))
            .prop_map(|(conn, patience)| Command::Drain(conn, patience)),
        1 => Just(Command::TellGaps),
        1 => prop_oneof![0_usize..3, Just(100)].prop_map(Command::TellChanges),
    ]
}

#[test]
fn leaving_a_topic_right_after_being_served_keeps_the_other_subscriptions() {
    let mut topics = Topics::new(LIMITS);
    let mut keys = Slots::with_capacity(2);
    let [first, second] = [keys.insert(()), keys.insert(())];
    let [one, other] = ["one", "other"].map(|name| topics.topic(name).unwrap());
    for (conn, topic) in [(first, other), (second, one), (second, other), (first, one)] {
        assert_eq!(topics.subscribe(conn, topic, OverflowPolicy::Close), Ok(true));
    }
    assert_eq!(topics.broadcast(one, "hi".into(), None), Ok(()));
    let quick = |_| SendCapacity::Unlimited;
    assert!(matches!(topics.deliver(quick), Some(Delivery::Run { conn, .. }) if conn == second));
    // The connection is the last that was served, and its other subscription moves up.
    assert!(topics.unsubscribe(second, one));
    topics.remove_connection(second);
    assert_eq!((topics.subscribers(one), topics.subscribers(other)), (1, 1));

    assert_eq!(topics.broadcast(other, "hello".into(), None), Ok(()));
    let mut output = policies::Sink::new(SendCapacity::Unlimited);
    topics.deliver_pending(first, &mut output);
    assert_eq!(output.bytes, b"\x81\x02hi\x81\x05hello");
    assert!(topics.deliver(quick).is_none(), "nobody else is subscribed");
}

fn run(limits: TopicLimits, commands: &[Command]) {
    let mut model = Model::new(limits);
    (0..LIMITS.topics).for_each(|topic| model.make_topic(topic));
    for command in commands {
        model.run(command);
    }
    // A topic comes up once for each batch and subscriber, and has two batches at most.
    let most = 2 * NAMES.len() * CONNECTIONS + 1;
    assert!((0..most).any(|_| !model.deliver()), "delivery does not end");
    for conn in 0..CONNECTIONS {
        model.drain(conn, None);
    }
    model.check();
    assert_eq!(model.topics.registry.lagging, 0);
    model.tell_changes(100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn all_that_is_owed_is_delivered_once_in_order_or_told_to_be_missed(
        commands in prop::collection::vec(command(), 0..80),
    ) {
        run(LIMITS, &commands);
    }

    #[test]
    fn what_is_given_up_where_memory_is_short_is_told_to_be_missed(
        bytes in 0_usize..4_000,
        commands in prop::collection::vec(command(), 0..80),
    ) {
        run(TopicLimits { bytes, ..LIMITS }, &commands);
    }
}
