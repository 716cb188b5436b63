//! Broadcasting: to the open batch of a topic, and to the latest messages of its keys.

use super::all_topics::Topics;
use super::batch::Mark;
use super::limits::{KEY_BYTES_MAX, TopicError};
use super::values::Values;
use crate::proto::Outgoing;
use crate::slots::Key;

impl Topics {
    /// Appends a message to the topic's open batch, for all subscribers except `except`.
    #[inline]
    pub(crate) fn broadcast(
        &mut self,
        key: Key,
        message: Outgoing<'_>,
        except: Option<Key>,
    ) -> Result<(), TopicError> {
        self.broadcast_keyed(key, "", message, except)
    }

    /// The same for a message with a key. Conflating subscribers that do not keep up get the latest
    /// message of every key. A message without a key has the empty one.
    pub(crate) fn broadcast_keyed(
        &mut self,
        key: Key,
        message_key: &str,
        outgoing: Outgoing<'_>,
        except: Option<Key>,
    ) -> Result<(), TopicError> {
        let (message, may_compress) = (outgoing.message(), outgoing.may_compress());
        if !message_key.is_empty() {
            self.begin_values(key, message_key)?;
        }
        let admission = self.admit(key, message.len());
        let registry = &mut self.registry;
        let topic = registry.topics.get_mut(key).ok_or(TopicError::Gone)?;
        if admission.is_err() {
            topic.counters.refused += 1;
            registry.totals.refused += 1;
        }
        let grows = admission?;
        registry.sequence += 1;
        topic.broadcasts += 1;
        if topic.subscribers.is_empty() {
            return Ok(());
        }
        let named = except.filter(|conn| registry.leave_out(*conn, key)).unwrap_or(Key::NONE);
        let topic = registry.topics.get_mut(key).ok_or(TopicError::Gone)?;
        let (sequence, number) = (registry.sequence, topic.broadcasts);
        let mark = Mark { sequence, number, end: 0, except: named };
        let keeps = topic.values.is_some();
        if topic.needs_batches() {
            if !topic.is_active() {
                self.active.push(key);
            }
            let is_first = topic.open.marks.is_empty();
            topic.open.push(message, may_compress, mark);
            if grows {
                self.memory.count(registry, key);
            } else if is_first {
                self.memory.count_unused(registry, key);
            }
        }
        if keeps {
            let mark = Mark { except: except.unwrap_or(Key::NONE), ..mark };
            self.keep(key, message_key, outgoing, mark);
        }
        Ok(())
    }

    /// Checks that a message of `len` bytes can be broadcast to a topic. Returns whether the
    /// memory of its batches grows.
    fn admit(&mut self, key: Key, len: usize) -> Result<bool, TopicError> {
        let topic = self.registry.topics.get(key).ok_or(TopicError::Gone)?;
        let open = &topic.open;
        if !topic.needs_batches() {
            return Ok(false);
        }
        if !open.marks.is_empty() && open.frames.len() + len > self.limits.backlog {
            return Err(TopicError::Limit);
        }
        match open.growth(len) {
            0 => Ok(false),
            _ if self.memory.admit(&mut self.registry, key, len) => Ok(true),
            _ => Err(TopicError::Limit),
        }
    }

    /// Keeps a message as the latest of its key. If there is no room for it, the topic gives up the
    /// values whose last change is the oldest, or else this one.
    #[inline(never)]
    fn keep(&mut self, key: Key, message_key: &str, outgoing: Outgoing<'_>, mark: Mark) {
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
        self.memory.count(&mut self.registry, key);
    }

    /// Prepares a topic for a message with a key.
    fn begin_values(&mut self, key: Key, message_key: &str) -> Result<(), TopicError> {
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
        self.memory.count(&mut self.registry, key);
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
