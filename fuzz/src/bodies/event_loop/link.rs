//! One connection as both of its ends have to see it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use eventwire::{ConnectionId, Gap};

/// How many topics there are.
pub(in super::super) const TOPICS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Phase {
    Absent,
    Connecting,
    Open,
    Closed,
}

/// A subscription to a topic with keys.
#[derive(Debug, Default)]
pub(in super::super) struct Keyed {
    /// The last message of each key that was broadcast.
    pub(in super::super) meant: BTreeMap<u8, u32>,
}

/// A message to the far end, in the order of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Down {
    Sent { count: u32 },
    Broadcast { count: u32, topic: usize, number: u64 },
}

#[derive(Debug)]
pub(in super::super) struct Link {
    /// The server's end.
    pub(in super::super) conn: Option<ConnectionId>,
    pub(in super::super) server: Phase,
    /// The client's end, if it is in the loop too.
    pub(in super::super) client: Option<(ConnectionId, Phase)>,
    /// The far end sent bytes that are no messages of ours: anything may come of them.
    pub(in super::super) rude: bool,
    /// The far end has said all that it will ever say.
    pub(in super::super) ended: bool,
    /// Messages that the far end sent, and how many of them arrived.
    pub(in super::super) sent: u16,
    pub(in super::super) received: u16,
    pub(in super::super) paused: bool,
    pub(in super::super) subscribed: [bool; TOPICS],
    /// The subscription to a topic with keys.
    pub(in super::super) keyed: Option<Keyed>,
    /// The last message of each key that arrived.
    latest: BTreeMap<u8, u32>,
    /// What is still to arrive although its subscription has ended.
    last: BTreeMap<u8, u32>,
    /// What has still to arrive at the far end.
    pub(in super::super) down: VecDeque<Down>,
    /// Broadcasts that did not arrive, and those that gaps reported, by topic.
    missed: [BTreeSet<u64>; TOPICS],
    reported: [BTreeSet<u64>; TOPICS],
    /// Broadcasts that were for this connection.
    meant: [BTreeSet<u64>; TOPICS],
}

impl Link {
    pub(in super::super) fn new(client: Option<ConnectionId>) -> Self {
        Self {
            conn: None,
            server: Phase::Absent,
            client: client.map(|conn| (conn, Phase::Connecting)),
            rude: false,
            ended: false,
            sent: 0,
            received: 0,
            paused: false,
            subscribed: [false; TOPICS],
            keyed: None,
            latest: BTreeMap::new(),
            last: BTreeMap::new(),
            down: VecDeque::new(),
            missed: Default::default(),
            reported: Default::default(),
            meant: Default::default(),
        }
    }

    /// The next message of the far end's: what it asks for, a parameter, and its number.
    pub(in super::super) fn next_message(&mut self, asks: u8, with: u8) -> [u8; 4] {
        let [high, low] = self.sent.to_be_bytes();
        self.sent += 1;
        [asks, with, high, low]
    }

    /// A broadcast is made to a topic that the connection is subscribed to.
    pub(in super::super) fn broadcast(&mut self, count: u32, topic: usize, number: u64) {
        self.down.push_back(Down::Broadcast { count, topic, number });
        self.meant[topic].insert(number);
    }

    /// The subscription to the topic with keys ends. What it was to get arrives before, if
    /// `complete`.
    pub(in super::super) fn end_keyed(&mut self, complete: bool) {
        let ended = self.keyed.take().filter(|_| complete);
        self.last.extend(ended.into_iter().flat_map(|ended| ended.meant));
    }

    /// Nothing is under way any more: the last message of every key has arrived.
    pub(in super::super) fn check_keyed(&mut self, complete: bool) {
        let meant = self.keyed.iter().flat_map(|keyed| &keyed.meant).chain(&self.last);
        for (key, count) in meant.filter(|_| complete) {
            assert!(self.latest.get(key) >= Some(count), "message {count} of {key} did not arrive");
        }
    }

    /// Something arrived at the far end: it is next in order, but for broadcasts left out.
    pub(in super::super) fn arrived(&mut self, payload: &[u8]) {
        let (head, _) = payload.split_first_chunk::<6>().expect("one of our messages");
        let count = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        if head[0] == 2 {
            let before = self.latest.insert(head[1], count);
            return assert!(before < Some(count), "message {count} of a key comes late");
        }
        loop {
            match self.down.pop_front() {
                Some(Down::Sent { count: next }) => {
                    assert_eq!((head[0], count), (0, next), "a message is missing or too early");
                    return;
                }
                Some(Down::Broadcast { count: next, topic, number }) if next == count => {
                    assert_eq!(head[0], 1);
                    assert!(!self.reported[topic].contains(&number), "what was missed arrives");
                    return;
                }
                Some(Down::Broadcast { topic, number, .. }) => {
                    self.missed[topic].insert(number);
                }
                None => panic!("message {count} was never sent, or comes twice"),
            }
        }
    }

    /// Whether as many of the broadcasts in a gap were for this connection as it says.
    pub(in super::super) fn is_count_right(&self, topic: usize, gap: &Gap) -> bool {
        self.meant[topic].range(gap.first..=gap.last).count() as u64 == gap.missed()
    }

    pub(in super::super) fn report(&mut self, topic: usize, gap: &Gap) {
        for number in gap.first..=gap.last {
            assert!(self.reported[topic].insert(number), "{number} is reported twice");
            assert!(self.reported[topic].last() == Some(&number), "gaps are out of order");
        }
    }

    /// Nothing is under way any more.
    pub(in super::super) fn check_complete(&mut self) {
        assert_eq!(self.received, self.sent, "messages are missing");
        for left in std::mem::take(&mut self.down) {
            match left {
                Down::Sent { count } => panic!("message {count} did not arrive"),
                Down::Broadcast { topic, number, .. } => {
                    self.missed[topic].insert(number);
                }
            }
        }
        for (missed, reported) in self.missed.iter().zip(&self.reported) {
            assert!(
                missed.is_subset(reported),
                "{missed:?} are missing, and {reported:?} were reported"
            );
        }
    }
}
