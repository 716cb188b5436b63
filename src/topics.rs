//! Topics: who is subscribed to what, and which broadcasts are still owed to whom.
//!
//! A broadcast is encoded once into its topic's open batch and costs nothing per subscriber. Later
//! the batch is sealed and handed to one subscriber after the other, a slice of them at a time,
//! as one run of bytes. Broadcasts are numbered across all topics of a loop, and each connection
//! remembers how far it was served: that is what keeps their order, and puts a message sent
//! directly behind the broadcasts that came before it.
//!
//! A connection that does not keep up is passed over where its subscription says so. What it can
//! still get later stays in the topic's log, one for all such connections, and it is held: its
//! own mark of how far it was served stays where it is. What it does not get is a gap, which is
//! told by the numbers that broadcasts have within their topic.

mod batch;
mod counters;
mod delivery;
mod gaps;
mod members;
mod memory;
mod output;
mod settle;
mod topic;

use std::collections::{BTreeMap, VecDeque};

use self::batch::Mark;
pub(crate) use self::batch::{Frames, Run, Source};
pub(crate) use self::counters::Counters;
pub(crate) use self::delivery::Delivery;
use self::gaps::Gaps;
pub(crate) use self::gaps::Missed;
use self::members::Member;
use self::memory::Memory;
pub(crate) use self::output::{Output, Room};
use self::settle::View;
use self::topic::Topic;
use crate::proto::Outgoing;
use crate::slots::{Key, Slots};

/// The longest name of a topic, in bytes.
pub(crate) const MAX_NAME: usize = 256;

/// All topics of a loop.
#[derive(Debug)]
pub(crate) struct Topics {
    /// Ordered, not hashed: names come from peers, and no choice of names makes a tree slow.
    names: BTreeMap<Box<str>, Key>,
    /// As many as there were topics at one time.
    topics: Slots<Topic>,
    /// By the slot of the connection: as many as there were connections at one time.
    members: Vec<Member>,
    /// The number of the last broadcast; the first is 1.
    sequence: u64,
    /// Topics with a batch that is not delivered to all, each once, in the order of delivery, and
    /// some that were removed since.
    active: VecDeque<Key>,
    limits: TopicLimits,
    /// How many subscriptions are held.
    held: usize,
    gaps: Gaps,
    /// Topics that gained their first subscriber or lost their last one, each once, and whether
    /// they had subscribers when that was last told.
    changes: VecDeque<(Key, bool)>,
    removed: Removed,
    memory: Memory,
    /// Of all topics that ever were.
    pub(crate) totals: Counters,
    /// Reused by [`Topics::settle`].
    view: View,
}

/// How many entries of lists are of topics that were removed, and are passed over. They are taken
/// out when they are many, so that removing one topic does not look through all.
#[derive(Debug, Default)]
struct Removed {
    active: usize,
    /// Of topics that `TopicChanged` has reported to have no subscribers.
    changes: usize,
    /// Entries that were looked at, in all.
    #[cfg(test)]
    steps: usize,
}

impl Removed {
    /// So few may stay, however short the list is.
    const FEW: usize = 64;

    /// Whether it is time to take so many entries out of a list of that length.
    const fn are_many(removed: usize, len: usize) -> bool {
        removed > Self::FEW && removed > len / 2
    }
}

/// What topics may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicLimits {
    /// Topics in all.
    pub(crate) topics: usize,
    /// Topics that one connection may be subscribed to.
    pub(crate) subscriptions: usize,
    /// Bytes that wait in one topic for the batch before them to be delivered, and bytes that
    /// wait in its log.
    pub(crate) backlog: usize,
    /// Bytes of memory that all topics' batches take together.
    pub(crate) bytes: usize,
}

/// Why a topic was not made or joined, or took no broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicError {
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
            held: 0,
            gaps: Gaps::default(),
            changes: VecDeque::new(),
            removed: Removed::default(),
            memory: Memory::default(),
            totals: Counters::default(),
            view: View::default(),
        }
    }

    /// The topic of that name, made if there is none.
    pub(crate) fn topic(&mut self, name: &str) -> Result<Key, TopicError> {
        if let Some(topic) = self.names.get(name) {
            return Ok(*topic);
        }
        if name.len() > MAX_NAME || self.topics.len() >= self.limits.topics {
            return Err(TopicError::Limit);
        }
        let topic = self.topics.insert(Topic::new(name));
        self.names.insert(name.into(), topic);
        Ok(topic)
    }

    /// Forgets a topic that nobody is subscribed to.
    pub(crate) fn remove_topic(&mut self, topic: Key) -> bool {
        let found = self.topics.get(topic).filter(|topic| topic.subscribers.is_empty());
        if found.is_none() {
            return false;
        }
        let Some(removed) = self.topics.remove(topic) else {
            return false;
        };
        self.names.remove(&removed.name);
        self.count_out(topic, removed.counted);
        self.removed.active += usize::from(removed.is_active());
        // That it has no subscribers any more is yet to be told, if it was told that it has.
        self.removed.changes += usize::from(removed.changing == Some(false));
        self.clean_lists();
        true
    }

    /// Takes removed topics out of lists, if they are many.
    fn clean_lists(&mut self) {
        let Self { topics, active, changes, removed, .. } = self;
        #[cfg(test)]
        {
            removed.steps += 1;
        }
        if Removed::are_many(removed.active, active.len()) {
            #[cfg(test)]
            {
                removed.steps += active.len();
            }
            active.retain(|topic| topics.get(*topic).is_some());
            removed.active = 0;
        }
        if Removed::are_many(removed.changes, changes.len()) {
            #[cfg(test)]
            {
                removed.steps += changes.len();
            }
            changes.retain(|(topic, had_subscribers)| {
                *had_subscribers || topics.get(*topic).is_some()
            });
            removed.changes = 0;
        }
    }

    pub(crate) fn name(&self, topic: Key) -> Option<&str> {
        self.topics.get(topic).map(|topic| &*topic.name)
    }

    pub(crate) fn subscribers(&self, topic: Key) -> usize {
        self.topics.get(topic).map_or(0, |topic| topic.subscribers.len())
    }

    /// The number of the last broadcast to a topic.
    pub(crate) fn last_number(&self, topic: Key) -> Option<u64> {
        self.topics.get(topic).map(|topic| topic.broadcasts)
    }

    /// What became of the broadcasts to a topic, and how many of its subscribers are held.
    pub(crate) fn counters(&self, topic: Key) -> Option<(Counters, usize)> {
        self.topics.get(topic).map(|topic| (topic.counters, topic.held))
    }

    /// Appends a message to the topic's open batch, for all subscribers but `except`.
    pub(crate) fn broadcast(
        &mut self,
        key: Key,
        message: Outgoing<'_>,
        except: Option<Key>,
    ) -> Result<(), TopicError> {
        let (message, may_compress) = (message.message(), message.may_compress());
        let room = self.find_room(key, message.len());
        let topic = self.topics.get_mut(key).ok_or(TopicError::Gone)?;
        if room.is_err() {
            topic.counters.refused += 1;
            self.totals.refused += 1;
        }
        let grows = room?;
        self.sequence += 1;
        topic.broadcasts += 1;
        if topic.subscribers.is_empty() {
            return Ok(());
        }
        let except = except.filter(|conn| self.leave_out(*conn, key)).unwrap_or(Key::NONE);
        let topic = self.topics.get_mut(key).ok_or(TopicError::Gone)?;
        if !topic.is_active() {
            self.active.push_back(key);
        }
        let (sequence, number) = (self.sequence, topic.broadcasts);
        let begins = topic.open.marks.is_empty();
        topic.open.push(message, may_compress, Mark { sequence, number, end: 0, except });
        if grows {
            self.count(key);
        } else if begins {
            self.count_unused(key);
        }
        Ok(())
    }

    /// Sees to it that a message of that length can be broadcast to a topic; whether that takes
    /// memory which the topic does not have yet.
    fn find_room(&mut self, key: Key, len: usize) -> Result<bool, TopicError> {
        let topic = self.topics.get(key).ok_or(TopicError::Gone)?;
        let open = &topic.open;
        if topic.subscribers.is_empty() {
            return Ok(false);
        }
        if !open.marks.is_empty() && open.frames.len() + len > self.limits.backlog {
            return Err(TopicError::Limit);
        }
        match open.growth(len) {
            0 => Ok(false),
            _ if self.find_memory(key, len) => Ok(true),
            _ => Err(TopicError::Limit),
        }
    }

    /// Leaves a connection out of the broadcast that is being made; whether its frame has to say
    /// so.
    fn leave_out(&mut self, conn: Key, key: Key) -> bool {
        let Some(position) = self.position(conn, key) else {
            return false;
        };
        let served = self.members[conn.index()].served;
        let Some(topic) = self.topics.get_mut(key) else {
            return false;
        };
        let last = topic.last();
        let subscriber = &mut topic.subscribers[position];
        let is_served = last <= subscriber.since.max(served) && !subscriber.is_held();
        if is_served {
            subscriber.since = self.sequence;
        } else {
            subscriber.left_out = subscriber.left_out.saturating_add(1);
        }
        !is_served
    }

    /// Whether nothing is owed to this connection.
    #[inline]
    pub(crate) fn is_settled(&self, conn: Key) -> bool {
        !self.is_delivering() && (self.held == 0 || !self.is_held(conn))
    }

    fn is_held(&self, conn: Key) -> bool {
        self.members.get(conn.index()).is_some_and(|member| member.held > 0)
    }

    /// Whether batches are on their way.
    #[inline]
    pub(crate) fn is_delivering(&self) -> bool {
        !self.active.is_empty()
    }
}

#[cfg(test)]
mod tests;
