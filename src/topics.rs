//! Topics: who is subscribed to what, and which broadcasts are still owed to whom.
//!
//! A broadcast is encoded once into its topic's open batch and costs nothing per subscriber. Later
//! the batch is sealed and handed to one subscriber after the other, a slice of them at a time,
//! as one run of bytes. Broadcasts are numbered across all topics of a loop, and each connection
//! remembers how far it was served: that is what keeps their order, and puts a message sent
//! directly behind the broadcasts that came before it.

mod batch;
mod delivery;
mod members;
mod settle;
mod topic;

use std::collections::{BTreeMap, VecDeque};

pub(crate) use self::batch::Run;
use self::batch::{Mark, encode};
pub(crate) use self::delivery::Delivery;
use self::members::Member;
use self::settle::Owed;
use self::topic::Topic;
use crate::proto::Message;
use crate::slots::{Key, Slots};

/// The longest name of a topic, in bytes.
pub(crate) const MAX_NAME: usize = 256;

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
}

#[cfg(test)]
mod tests;
