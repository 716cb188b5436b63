//! Keeping the latest message of each key.

use super::batch::Mark;
use super::conflation::Conflation;
use super::limits::{KEY_BYTES_MAX, TopicError};
use super::values::Values;
use crate::proto::Outgoing;
use crate::slots::Key;

impl Conflation<'_> {
    /// Keeps a message as the latest of its key. If there is no room for it, the topic gives up the
    /// values whose last change is the oldest, or else this one.
    #[inline(never)]
    pub(super) fn keep(&mut self, key: Key, message_key: &str, outgoing: Outgoing<'_>, mark: Mark) {
        let (message, may_compress) = (outgoing.message(), outgoing.may_compress());
        let Some(values) = self.registry.values_mut(key) else {
            return;
        };
        if values.followers.note_change() {
            self.ticks.note_change(key);
        }
        if !values.replace(message_key, message, may_compress, mark) {
            self.set_value(key, message_key, outgoing, mark);
        }
    }

    fn set_value(&mut self, key: Key, message_key: &str, outgoing: Outgoing<'_>, mark: Mark) {
        let (message, may_compress) = (outgoing.message(), outgoing.may_compress());
        let has_room = self.make_room_for_value(key, message_key, message.len());
        if let Some(values) = self.registry.values_mut(key) {
            if has_room {
                values.set(message_key, message, may_compress, mark);
            } else {
                values.remove(message_key);
                values.note_given_up(mark.number);
            }
        }
        self.memory.count(self.registry, key);
    }

    /// Prepares a topic for a message with a key.
    pub(super) fn begin(&mut self, key: Key, message_key: &str) -> Result<(), TopicError> {
        let topic = self.registry.topics.get_mut(key).ok_or(TopicError::Gone)?;
        if message_key.len() > KEY_BYTES_MAX {
            topic.counters.refused += 1;
            self.registry.totals.refused += 1;
            return Err(TopicError::Limit);
        }
        if topic.values.is_none() && topic.conflates() {
            self.keep_values(key);
        }
        Ok(())
    }

    /// Begins to keep the latest message of each key of a topic. Until now, its messages had no
    /// keys, or no subscriber needed them: the newest one is the latest of the empty key.
    /// Subscribers that are lagging for the latest message alone follow the values instead.
    #[cold]
    pub(super) fn keep_values(&mut self, key: Key) {
        let Some(topic) = self.registry.topics.get_mut(key).filter(|it| it.values.is_none()) else {
            return;
        };
        let newest = topic.newest().map(|(mark, frame)| (mark, frame.to_vec()));
        topic.values = Some(Box::default());
        if let Some((mark, frame)) = newest {
            let has_room = self.make_room_for_value(key, "", frame.len());
            if let Some(values) = self.registry.values_mut(key) {
                match has_room {
                    true => values.set_frame("", &frame, mark),
                    false => values.note_given_up(mark.number),
                }
            }
        }
        self.registry.follow_instead_of_lagging(key);
        self.memory.count(self.registry, key);
    }

    /// Makes room for a value by giving up others of the topic. Returns whether there is room.
    fn make_room_for_value(&mut self, key: Key, message_key: &str, len: usize) -> bool {
        let Self { registry, memory, limits, .. } = self;
        loop {
            let Some(values) = registry.values_mut(key) else {
                return false;
            };
            let frames = values.frame_bytes() + values.frame_growth(message_key, len);
            let is_kept = values.has(message_key);
            let fits = (is_kept || values.len() < limits.keys)
                && (frames <= limits.backlog || values.len() == usize::from(is_kept));
            let growth = values.growth(message_key, len);
            if fits && memory.make_room(registry, growth) {
                return true;
            }
            let gives_up = registry.values_mut(key).is_some_and(Values::give_up_oldest);
            if !gives_up {
                return false;
            }
            memory.count(registry, key);
        }
    }
}
