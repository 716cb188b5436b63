//! What a topic has of its past.

use std::ops::Range;

use super::all_topics::Topics;
use super::configs::Durability;
use super::position::Position;
use super::topic::Topic;
use crate::proto::Message;
use crate::slots::Key;
use crate::time::Time;

/// A topic's history, borrowed from it.
#[derive(Clone, Copy)]
pub(crate) struct Past<'a>(&'a Topic);

impl<'a> Past<'a> {
    /// `None` if the topic was removed.
    pub(crate) fn of(topics: &'a Topics, topic: Key) -> Option<Self> {
        topics.registry.topics.get(topic).map(Self)
    }

    /// How the topic's messages are stored.
    pub(crate) fn durability(self) -> Option<Durability> {
        self.0.durable.as_ref().map(|durable| durable.storage.durability)
    }

    /// The position of the newest message.
    pub(crate) const fn newest(self) -> Position {
        Position::new(self.0.epoch, self.0.broadcasts)
    }

    /// The number of the oldest message that the history has, or that of the next one.
    pub(crate) fn start(self, now: Time) -> u64 {
        self.0.history_start(now)
    }

    /// The messages of the history with these numbers, the oldest first.
    pub(crate) fn messages(
        self,
        numbers: Range<u64>,
        now: Time,
    ) -> impl DoubleEndedIterator<Item = (Position, Message<'a>)> {
        let (epoch, first) = (self.0.epoch, self.start(now).max(numbers.start));
        let stored = self.0.history.map(|_| self.0.stored(first)).into_iter().flatten();
        let wanted = stored.filter(move |(number, _)| (first..numbers.end).contains(number));
        wanted.filter_map(move |(number, frame)| {
            Some((Position::new(epoch, number), Message::of_frame(frame)?))
        })
    }
}
