//! Topics: who is subscribed to what, and which broadcasts are still owed to whom.
//!
//! A broadcast is encoded once into its topic's open batch and costs nothing per subscriber. Later
//! the batch is sealed and handed to one subscriber after the other, a slice of them at a time,
//! as one run of bytes. Broadcasts are numbered across all topics of a loop, and each connection
//! remembers how far it was served: that is what keeps their order, and puts a message sent
//! directly behind the broadcasts that came before it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::proto::{FrameHeader, Message};
use crate::slots::{Key, Slots};

/// The longest name of a topic, in bytes.
pub(crate) const MAX_NAME: usize = 256;

/// A topic that was busy gives back what it holds beyond this, in bytes.
const KEEP: usize = 64 * 1024;

/// All topics of a loop.
#[derive(Debug)]
pub(crate) struct Topics {
    /// Ordered, not hashed: names come from peers, and no choice of names makes a tree slow.
    names: BTreeMap<Box<str>, Key>,
    topics: Slots<Topic>,
    /// By the slot of the connection.
    members: Vec<Member>,
    /// The number of the last broadcast; the first is 1.
    sequence: u64,
    /// Topics with a batch that is not delivered to all, each once, in the order of delivery.
    active: VecDeque<Key>,
    limits: TopicLimits,
    /// Reused by [`Topics::settle`].
    owed: Vec<Owed>,
}

/// What topics may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicLimits {
    /// Topics in all.
    pub(crate) topics: usize,
    /// Topics that one connection may be subscribed to.
    pub(crate) subscriptions: usize,
    /// Bytes that wait in one topic for the batch before them to be delivered.
    pub(crate) backlog: usize,
}

#[derive(Debug, Default)]
struct Topic {
    name: Box<str>,
    subscribers: Vec<Subscriber>,
    /// How many of `subscribers`, from the first, the sealed batch was delivered to.
    cursor: usize,
    /// What is being delivered.
    sealed: Batch<Bytes>,
    /// What was broadcast since the sealed batch was.
    open: Batch<BytesMut>,
}

/// Encoded frames one behind the other.
#[derive(Debug, Default)]
struct Batch<B> {
    frames: B,
    /// Ascending; the last ends where `frames` ends.
    marks: Vec<Mark>,
}

/// One frame of a batch.
#[derive(Clone, Copy, Debug)]
struct Mark {
    sequence: u64,
    end: usize,
}

impl<B> Batch<B> {
    fn last(&self) -> u64 {
        self.marks.last().map_or(0, |mark| mark.sequence)
    }

    /// Where the frames begin that come after number `sequence`.
    fn offset_after(&self, sequence: u64) -> usize {
        let before = self.marks.partition_point(|mark| mark.sequence <= sequence);
        before.checked_sub(1).map_or(0, |last| self.marks[last].end)
    }
}

#[derive(Clone, Copy, Debug)]
struct Subscriber {
    conn: Key,
    /// Where this subscription stands in the member's list.
    position: u32,
    /// The last broadcast before the subscription.
    since: u64,
}

/// A connection's side of its subscriptions.
#[derive(Debug, Default)]
struct Member {
    subscriptions: Vec<Subscription>,
    /// The last broadcast up to which everything was delivered.
    served: u64,
}

#[derive(Clone, Copy, Debug)]
struct Subscription {
    topic: Key,
    /// Where this subscription stands in the topic's list.
    position: u32,
}

/// Frames that one topic owes a connection.
#[derive(Clone, Copy, Debug)]
struct Owed {
    sequence: u64,
    topic: Key,
    sealed: bool,
    start: usize,
    end: usize,
}

/// Frames to append to a connection's output.
#[derive(Debug)]
pub(crate) enum Run<'a> {
    /// Part of a batch that no longer changes: may be kept by reference.
    Shared(&'a Bytes, Range<usize>),
    /// Part of a batch that still grows: must be copied.
    Open(&'a [u8]),
}

impl Run<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes, range) => &bytes[range.clone()],
            Self::Open(bytes) => bytes,
        }
    }
}

/// The next connection to be served.
#[derive(Debug)]
pub(crate) enum Delivery<'a> {
    /// This connection is owed these frames and no others; they count as delivered.
    Run(Key, Run<'a>),
    /// This connection is owed frames of several topics: [`Topics::settle`] merges them.
    Several(Key),
}

/// Why a topic was not made or joined, or took no broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The topic does not exist.
    Gone,
    /// A limit of [`TopicLimits`], or the length of the name.
    Limit,
}

impl Topics {
    pub(crate) fn new(limits: TopicLimits) -> Self {
        Self {
            names: BTreeMap::new(),
            topics: Slots::with_capacity(0),
            members: Vec::new(),
            sequence: 0,
            active: VecDeque::new(),
            limits,
            owed: Vec::new(),
        }
    }

    /// The topic of that name, made if there is none.
    pub(crate) fn topic(&mut self, name: &str) -> Result<Key, Refused> {
        if let Some(topic) = self.names.get(name) {
            return Ok(*topic);
        }
        if name.len() > MAX_NAME || self.topics.len() >= self.limits.topics {
            return Err(Refused::Limit);
        }
        let topic = self.topics.insert(Topic { name: name.into(), ..Topic::default() });
        self.names.insert(name.into(), topic);
        Ok(topic)
    }

    /// Forgets a topic that nobody is subscribed to.
    pub(crate) fn remove_topic(&mut self, topic: Key) -> bool {
        let unused = self.topics.get(topic).is_some_and(|topic| topic.subscribers.is_empty());
        if unused {
            self.active.retain(|active| *active != topic);
            if let Some(removed) = self.topics.remove(topic) {
                self.names.remove(&removed.name);
            }
        }
        unused
    }

    pub(crate) fn name(&self, topic: Key) -> Option<&str> {
        self.topics.get(topic).map(|topic| &*topic.name)
    }

    pub(crate) fn subscribers(&self, topic: Key) -> usize {
        self.topics.get(topic).map_or(0, |topic| topic.subscribers.len())
    }

    /// Subscribes a connection; `Ok(false)` if it was already.
    pub(crate) fn subscribe(&mut self, conn: Key, topic_key: Key) -> Result<bool, Refused> {
        let topic = self.topics.get_mut(topic_key).ok_or(Refused::Gone)?;
        if self.members.len() <= conn.index() {
            self.members.resize_with(conn.index() + 1, Member::default);
        }
        let member = &mut self.members[conn.index()];
        if member.subscriptions.iter().any(|subscription| subscription.topic == topic_key) {
            return Ok(false);
        }
        if member.subscriptions.len() >= self.limits.subscriptions {
            return Err(Refused::Limit);
        }
        let position = topic.subscribers.len() as u32;
        topic.subscribers.push(Subscriber {
            conn,
            position: member.subscriptions.len() as u32,
            since: self.sequence,
        });
        member.subscriptions.push(Subscription { topic: topic_key, position });
        Ok(true)
    }

    /// Ends a subscription. What the connection is still owed of the topic is lost with it:
    /// [`Topics::settle`] first.
    pub(crate) fn unsubscribe(&mut self, conn: Key, topic: Key) -> bool {
        let Some(member) = self.members.get(conn.index()) else {
            return false;
        };
        let found = member.subscriptions.iter().position(|held| held.topic == topic);
        let Some(position) = found else { return false };
        self.leave(conn, position);
        true
    }

    /// Ends all subscriptions of a connection that is no more.
    pub(crate) fn remove_connection(&mut self, conn: Key) {
        while self.members.get(conn.index()).is_some_and(|held| !held.subscriptions.is_empty()) {
            self.leave(conn, 0);
        }
        if let Some(member) = self.members.get_mut(conn.index()) {
            *member = Member::default();
        }
    }

    /// Takes the subscription at `position` of the connection's list out of both lists.
    fn leave(&mut self, conn: Key, position: usize) {
        // The topic's list first: the positions in it are noted in members' lists, this one's too.
        let held = self.members[conn.index()].subscriptions[position];
        if let Some(topic) = self.topics.get_mut(held.topic) {
            let mut hole = held.position as usize;
            if hole < topic.cursor {
                // Keep served and unserved apart: the last served one fills the hole, and the hole
                // that it leaves is filled by an unserved one.
                topic.cursor -= 1;
                topic.subscribers.swap(hole, topic.cursor);
                Self::note_position(&mut self.members, topic, hole);
                hole = topic.cursor;
            }
            topic.subscribers.swap_remove(hole);
            Self::note_position(&mut self.members, topic, hole);
        }
        let member = &mut self.members[conn.index()];
        member.subscriptions.swap_remove(position);
        if let Some(moved) = member.subscriptions.get(position).copied() {
            if let Some(topic) = self.topics.get_mut(moved.topic) {
                topic.subscribers[moved.position as usize].position = position as u32;
            }
        }
    }

    /// Tells the member whose subscriber now stands at `position` of the topic so.
    fn note_position(members: &mut [Member], topic: &Topic, position: usize) {
        let Some(subscriber) = topic.subscribers.get(position) else {
            return;
        };
        let held = &mut members[subscriber.conn.index()].subscriptions;
        if let Some(subscription) = held.get_mut(subscriber.position as usize) {
            subscription.position = position as u32;
        }
    }

    /// Appends a message to the topic's open batch.
    pub(crate) fn broadcast(&mut self, key: Key, message: Message<'_>) -> Result<(), Refused> {
        let topic = self.topics.get_mut(key).ok_or(Refused::Gone)?;
        if topic.subscribers.is_empty() {
            self.sequence += 1;
            return Ok(());
        }
        let open = &mut topic.open;
        if !open.marks.is_empty() && open.frames.len() + message.len() > self.limits.backlog {
            return Err(Refused::Limit);
        }
        if open.marks.is_empty() && topic.sealed.marks.is_empty() {
            self.active.push_back(key);
        }
        self.sequence += 1;
        encode(message, &mut open.frames);
        open.marks.push(Mark { sequence: self.sequence, end: open.frames.len() });
        Ok(())
    }

    /// Whether nothing is owed to anybody.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.active.is_empty()
    }

    /// The next connection that is owed something.
    pub(crate) fn deliver(&mut self) -> Option<Delivery<'_>> {
        let (key, position, from) = self.next_unserved()?;
        let subscriber = self.topics.get(key)?.subscribers[position];
        if self.is_owed_by_others(subscriber.conn, key) {
            return Some(Delivery::Several(subscriber.conn));
        }
        let topic = self.topics.get(key)?;
        self.members[subscriber.conn.index()].served = topic.sealed.last();
        let frames = &topic.sealed.frames;
        Some(Delivery::Run(subscriber.conn, Run::Shared(frames, from..frames.len())))
    }

    /// Moves the front topic's cursor to the next subscriber that its sealed batch has something
    /// for, sealing and finishing batches on the way: the topic, where that subscriber stands,
    /// and where in the batch what it is owed begins.
    fn next_unserved(&mut self) -> Option<(Key, usize, usize)> {
        while let Some(&key) = self.active.front() {
            let Some(topic) = self.topics.get_mut(key) else {
                self.active.pop_front();
                continue;
            };
            if topic.sealed.marks.is_empty() {
                topic.seal();
            }
            let last = topic.sealed.last();
            while let Some(subscriber) = topic.subscribers.get(topic.cursor) {
                topic.cursor += 1;
                let after = subscriber.since.max(self.members[subscriber.conn.index()].served);
                if after < last {
                    let from = topic.sealed.offset_after(after);
                    return Some((key, topic.cursor - 1, from));
                }
            }
            self.active.pop_front();
            if topic.finish() {
                self.active.push_back(key);
            }
        }
        None
    }

    /// Whether topics other than `besides` owe the connection something.
    fn is_owed_by_others(&self, conn: Key, besides: Key) -> bool {
        let member = &self.members[conn.index()];
        member.subscriptions.len() > 1
            && member.subscriptions.iter().any(|held| {
                held.topic != besides
                    && self.topics.get(held.topic).is_some_and(|topic| {
                        let since = topic.subscribers[held.position as usize].since;
                        topic.last() > since.max(member.served)
                    })
            })
    }

    /// Hands over everything that the connection is owed, in the order of the broadcasts.
    pub(crate) fn settle(&mut self, conn: Key, mut append: impl FnMut(&Run<'_>)) {
        let Some(member) = self.members.get_mut(conn.index()) else {
            return;
        };
        if self.active.is_empty() || member.subscriptions.is_empty() {
            return;
        }
        self.owed.clear();
        for held in &member.subscriptions {
            let Some(topic) = self.topics.get(held.topic) else {
                continue;
            };
            let since = topic.subscribers[held.position as usize].since;
            let after = since.max(member.served);
            topic.sealed.owed_after(after, held.topic, true, &mut self.owed);
            topic.open.owed_after(after, held.topic, false, &mut self.owed);
        }
        member.served = self.sequence;
        self.owed.sort_unstable_by_key(|owed| owed.sequence);
        let mut rest = &self.owed[..];
        while let Some((first, others)) = rest.split_first() {
            let joined = others
                .iter()
                .zip(rest)
                .take_while(|(next, owed)| {
                    next.topic == owed.topic && next.sealed == owed.sealed && next.start == owed.end
                })
                .count();
            let run = first.start..rest[joined].end;
            if let Some(topic) = self.topics.get(first.topic) {
                append(&if first.sealed {
                    Run::Shared(&topic.sealed.frames, run)
                } else {
                    Run::Open(&topic.open.frames[run])
                });
            }
            rest = &rest[joined + 1..];
        }
    }
}

impl Topic {
    fn last(&self) -> u64 {
        self.open.last().max(self.sealed.last())
    }

    /// Makes the open batch the one that is delivered.
    fn seal(&mut self) {
        self.cursor = 0;
        self.sealed.frames = self.open.frames.split().freeze();
        std::mem::swap(&mut self.sealed.marks, &mut self.open.marks);
    }

    /// Forgets the batch that was delivered to all; whether another waits.
    fn finish(&mut self) -> bool {
        self.cursor = 0;
        self.sealed.frames = Bytes::new();
        self.sealed.marks.clear();
        let waiting = !self.open.marks.is_empty();
        if !waiting && self.open.frames.capacity() > KEEP {
            self.open = Batch::default();
        }
        waiting
    }
}

impl<B> Batch<B> {
    fn owed_after(&self, after: u64, topic: Key, sealed: bool, owed: &mut Vec<Owed>) {
        let mut start = self.offset_after(after);
        for mark in self.marks.iter().filter(|mark| mark.sequence > after) {
            owed.push(Owed { sequence: mark.sequence, topic, sealed, start, end: mark.end });
            start = mark.end;
        }
    }
}

/// Appends the message as a server sends it.
fn encode(message: Message<'_>, frames: &mut BytesMut) {
    let header =
        FrameHeader { fin: true, opcode: message.opcode(), mask: None, len: message.len() as u64 };
    let mut bytes = [0; FrameHeader::MAX_LEN];
    let len = header.encode(&mut bytes);
    frames.reserve(len + message.len());
    frames.extend_from_slice(&bytes[..len]);
    frames.extend_from_slice(message.as_bytes());
}

#[cfg(test)]
mod tests;
