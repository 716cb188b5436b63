use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::proto::{FrameHeader, OpCode, Role};

const CONNECTIONS: usize = 4;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const LIMITS: TopicLimits = TopicLimits { topics: 3, subscriptions: 2, backlog: 24 };

#[derive(Clone, Debug)]
enum Command {
    MakeTopic(usize),
    RemoveTopic(usize),
    Subscribe(usize, usize),
    /// Settles first, as the owner of connections does.
    Unsubscribe(usize, usize),
    /// Gives up what the topic still owes the connection.
    UnsubscribeUnsettled(usize, usize),
    /// Ends a connection; another one takes its slot.
    Replace(usize),
    Broadcast(usize, Payload),
    Deliver,
    Settle(usize),
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
}

/// What topics promise, done the slow and obvious way: each connection has a list of what it is
/// owed, in the order of the broadcasts.
struct Model {
    topics: Topics,
    keys: Slots<()>,
    connections: Vec<Connection>,
    /// By the index of the name.
    made: [Option<Key>; NAMES.len()],
}

struct Connection {
    key: Key,
    subscribed: Vec<usize>,
    owed: VecDeque<Frame>,
}

/// A message that one topic owes a connection.
#[derive(Clone, Debug, PartialEq)]
struct Frame {
    topic: usize,
    opcode: OpCode,
    payload: Vec<u8>,
}

impl Connection {
    fn new(key: Key) -> Self {
        Self { key, subscribed: Vec::new(), owed: VecDeque::new() }
    }

    /// Takes delivery of `bytes`, which have to be the next whole frames that are owed.
    fn take(&mut self, mut bytes: &[u8]) {
        assert!(!bytes.is_empty(), "a run of nothing");
        while !bytes.is_empty() {
            let (header, len) = FrameHeader::parse(bytes, Role::Client).unwrap().unwrap();
            let end = len + header.len as usize;
            let owed = self.owed.pop_front().expect("nothing more is owed");
            assert!(header.fin);
            assert_eq!((header.opcode, &bytes[len..end]), (owed.opcode, &owed.payload[..]));
            bytes = &bytes[end..];
        }
    }
}

impl Model {
    fn new() -> Self {
        let mut keys = Slots::with_capacity(CONNECTIONS);
        let connections = (0..CONNECTIONS).map(|_| Connection::new(keys.insert(()))).collect();
        Self { topics: Topics::new(LIMITS), keys, connections, made: [None; NAMES.len()] }
    }

    /// A topic's key; one that names nothing if the topic was not made.
    fn key(&self, topic: usize) -> Key {
        self.made[topic].unwrap_or(Key::from_bits(u64::MAX))
    }

    fn run(&mut self, command: &Command) {
        match command {
            Command::MakeTopic(topic) => self.make_topic(*topic),
            Command::RemoveTopic(topic) => self.remove_topic(*topic),
            Command::Subscribe(conn, topic) => self.subscribe(*conn, *topic),
            Command::Unsubscribe(conn, topic) => {
                self.settle(*conn);
                self.unsubscribe(*conn, *topic);
            }
            Command::UnsubscribeUnsettled(conn, topic) => self.unsubscribe(*conn, *topic),
            Command::Replace(conn) => {
                let key = self.connections[*conn].key;
                self.topics.remove_connection(key);
                self.keys.remove(key);
                self.connections[*conn] = Connection::new(self.keys.insert(()));
            }
            Command::Broadcast(topic, payload) => self.broadcast(*topic, payload.message()),
            Command::Deliver => {
                self.deliver();
            }
            Command::Settle(conn) => self.settle(*conn),
        }
        self.check();
    }

    fn make_topic(&mut self, topic: usize) {
        let made = self.made.iter().flatten().count();
        match self.topics.topic(NAMES[topic]) {
            Ok(key) => {
                assert!(self.made[topic].is_none_or(|before| before == key));
                assert!(self.made[topic].is_some() || made < LIMITS.topics);
                assert_eq!(self.topics.name(key), Some(NAMES[topic]));
                self.made[topic] = Some(key);
            }
            Err(refused) => {
                assert_eq!(
                    (refused, self.made[topic], made),
                    (Refused::Limit, None, LIMITS.topics)
                );
            }
        }
    }

    fn remove_topic(&mut self, topic: usize) {
        let unused = self.made[topic].is_some() && self.subscribers(topic) == 0;
        assert_eq!(self.topics.remove_topic(self.key(topic)), unused);
        if unused {
            assert_eq!(self.topics.name(self.key(topic)), None);
            self.made[topic] = None;
        }
    }

    fn subscribe(&mut self, conn: usize, topic: usize) {
        let key = self.key(topic);
        let connection = &mut self.connections[conn];
        let expected = if self.made[topic].is_none() {
            Err(Refused::Gone)
        } else if connection.subscribed.contains(&topic) {
            Ok(false)
        } else if connection.subscribed.len() == LIMITS.subscriptions {
            Err(Refused::Limit)
        } else {
            connection.subscribed.push(topic);
            Ok(true)
        };
        assert_eq!(self.topics.subscribe(connection.key, key), expected);
    }

    fn unsubscribe(&mut self, conn: usize, topic: usize) {
        let key = self.key(topic);
        let connection = &mut self.connections[conn];
        let held = connection.subscribed.contains(&topic);
        assert_eq!(self.topics.unsubscribe(connection.key, key), held);
        connection.subscribed.retain(|subscribed| *subscribed != topic);
        connection.owed.retain(|frame| frame.topic != topic);
    }

    fn broadcast(&mut self, topic: usize, message: Message<'_>) {
        let key = self.key(topic);
        let waiting = self.topics.topics.get(key).map(|topic| topic.open.frames.len());
        match (self.topics.broadcast(key, message), waiting) {
            (Ok(()), Some(waiting)) => {
                let subscribed = self.subscribers(topic) > 0;
                assert!(!subscribed || waiting == 0 || waiting + message.len() <= LIMITS.backlog);
            }
            (Err(Refused::Limit), Some(waiting)) => {
                assert!(waiting > 0 && waiting + message.len() > LIMITS.backlog);
                return;
            }
            (outcome, _) => {
                assert_eq!((outcome, self.made[topic]), (Err(Refused::Gone), None));
                return;
            }
        }
        let payload = message.as_bytes().to_vec();
        let frame = Frame { topic, opcode: message.opcode(), payload };
        for connection in &mut self.connections {
            if connection.subscribed.contains(&topic) {
                connection.owed.push_back(frame.clone());
            }
        }
    }

    /// Serves the next connection; `false` when there is none.
    fn deliver(&mut self) -> bool {
        let by_key = |connections: &[Connection], key| {
            connections.iter().position(|connection| connection.key == key).expect("a live one")
        };
        match self.topics.deliver() {
            None => {
                assert!(self.topics.is_settled());
                assert!(self.connections.iter().all(|connection| connection.owed.is_empty()));
                false
            }
            Some(Delivery::Run(key, run)) => {
                let conn = by_key(&self.connections, key);
                self.connections[conn].take(run.as_slice());
                true
            }
            Some(Delivery::Several(key)) => {
                let conn = by_key(&self.connections, key);
                assert!(!self.connections[conn].owed.is_empty());
                self.settle(conn);
                true
            }
        }
    }

    fn settle(&mut self, conn: usize) {
        let connection = &mut self.connections[conn];
        self.topics.settle(connection.key, |run| connection.take(run.as_slice()));
        assert!(connection.owed.is_empty(), "{:?} is owed after all", connection.owed);
    }

    fn subscribers(&self, topic: usize) -> usize {
        let subscribed = |connection: &&Connection| connection.subscribed.contains(&topic);
        self.connections.iter().filter(subscribed).count()
    }

    /// What holds after every command.
    fn check(&self) {
        for (topic, name) in NAMES.iter().enumerate() {
            assert_eq!(self.topics.subscribers(self.key(topic)), self.subscribers(topic));
            assert_eq!(self.topics.name(self.key(topic)), self.made[topic].map(|_| *name));
        }
        if self.topics.is_settled() {
            assert!(self.connections.iter().all(|connection| connection.owed.is_empty()));
        }
        for (key, topic) in self.topics.topics.iter() {
            for (position, subscriber) in topic.subscribers.iter().enumerate() {
                let member = &self.topics.members[subscriber.conn.index()];
                let held = member.subscriptions[subscriber.position as usize];
                assert_eq!((held.topic, held.position as usize), (key, position));
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
    prop_oneof![
        2 => topic.clone().prop_map(Command::MakeTopic),
        1 => topic.clone().prop_map(Command::RemoveTopic),
        6 => pair().prop_map(|(conn, topic)| Command::Subscribe(conn, topic)),
        2 => pair().prop_map(|(conn, topic)| Command::Unsubscribe(conn, topic)),
        1 => pair().prop_map(|(conn, topic)| Command::UnsubscribeUnsettled(conn, topic)),
        1 => conn.clone().prop_map(Command::Replace),
        8 => (topic, payload()).prop_map(|(topic, payload)| Command::Broadcast(topic, payload)),
        6 => Just(Command::Deliver),
        2 => conn.prop_map(Command::Settle),
    ]
}

#[test]
fn leaving_a_topic_right_after_being_served_keeps_the_other_subscriptions() {
    let mut topics = Topics::new(LIMITS);
    let mut keys = Slots::with_capacity(2);
    let [first, second] = [keys.insert(()), keys.insert(())];
    let [one, other] = ["one", "other"].map(|name| topics.topic(name).unwrap());
    for (conn, topic) in [(first, other), (second, one), (second, other), (first, one)] {
        assert_eq!(topics.subscribe(conn, topic), Ok(true));
    }
    assert_eq!(topics.broadcast(one, Message::Text("hi")), Ok(()));
    assert!(matches!(topics.deliver(), Some(Delivery::Run(conn, _)) if conn == second));
    // The connection is the last that was served, and its other subscription moves up.
    assert!(topics.unsubscribe(second, one));
    topics.remove_connection(second);
    assert_eq!((topics.subscribers(one), topics.subscribers(other)), (1, 1));

    assert_eq!(topics.broadcast(other, Message::Text("hello")), Ok(()));
    let mut owed = Vec::new();
    topics.settle(first, |run| owed.extend_from_slice(run.as_slice()));
    assert_eq!(owed, b"\x81\x02hi\x81\x05hello");
    assert!(topics.deliver().is_none(), "nobody else is subscribed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn all_that_is_owed_is_delivered_once_in_order_and_nothing_else(
        commands in prop::collection::vec(command(), 0..80),
    ) {
        let mut model = Model::new();
        (0..LIMITS.topics).for_each(|topic| model.make_topic(topic));
        for command in &commands {
            model.run(command);
        }
        // A topic comes up once for each batch and subscriber, and has two batches at most.
        let most = 2 * NAMES.len() * CONNECTIONS + 1;
        prop_assert!((0..most).any(|_| !model.deliver()), "delivery does not end");
    }
}
