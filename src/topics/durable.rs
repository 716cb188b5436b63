//! What a journal does with durable topics.

use std::sync::Arc;

use super::all_topics::{Topics, next_epoch};
use super::batch::Mark;
use super::broadcasting::{Broadcast, append_enveloped};
use super::configs::{Durability, TopicStorage};
use super::envelope::Enclosed;
use super::epoch::TopicEpoch;
use super::limits::TopicError;
use super::position::Position;
use crate::proto::{Message, Outgoing};
use crate::slots::Key;
use crate::time::Time;

/// Restored messages are logged in batches of about that many bytes, which go one by one.
const RESTORED_BATCH_BYTES: usize = 64 * 1024;

/// The durable topics, borrowed from [`Topics`].
pub(crate) struct DurableTopics<'a>(pub(crate) &'a mut Topics);

/// What was stored of a topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restored<'a> {
    pub(crate) name: &'a str,
    /// Its epoch, unless that has ended.
    pub(crate) epoch: Option<u64>,
    /// The number of the newest message.
    pub(crate) newest: u64,
}

impl DurableTopics<'_> {
    /// Lets durable topics be made, or no longer.
    pub(crate) const fn allow(&mut self, has_journal: bool) {
        self.0.has_journal = has_journal;
    }

    /// Removes a topic that was restored.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Ok(topic) = self.0.topic(name) {
            self.0.remove_topic(topic);
        }
    }

    /// How the topic with that name is stored, if it is durable.
    pub(crate) fn storage_of(&self, name: &str) -> Option<TopicStorage> {
        self.0.configs.of(name).storage()
    }

    /// The epoch of a topic. `None` if the topic is not durable, or was removed.
    pub(crate) fn epoch(&self, topic: Key) -> Option<Arc<TopicEpoch>> {
        self.0.registry.topics.get(topic)?.durable.clone()
    }

    /// Broadcasts a message that the journal has taken. No limit of the topics refuses it, because
    /// the journal has limits of its own. Returns its position, or `None` if the topic was removed.
    pub(crate) fn broadcast(
        &mut self,
        topic: Key,
        message_key: &str,
        outgoing: Outgoing<'_>,
        except: Option<Key>,
    ) -> Option<Position> {
        let broadcast = Broadcast { key: message_key, outgoing, except, is_committed: true };
        append_enveloped(self.0, topic, broadcast).ok()?;
        let topic = self.0.registry.topics.get(topic)?;
        Some(Position::new(topic.epoch, topic.broadcasts))
    }

    /// Counts a broadcast that was refused.
    pub(crate) fn count_refused(&mut self, topic: Key) {
        self.0.registry.totals.refused += 1;
        if let Some(topic) = self.0.registry.topics.get_mut(topic) {
            topic.counters.refused += 1;
        }
    }

    /// Ends a topic's epoch, because something was not stored. That was not delivered if the topic
    /// commits first: it keeps its history. Otherwise the history begins anew, because nobody knows
    /// what is stored of it.
    pub(crate) fn end_epoch(&mut self, topic: Key) {
        let epoch = next_epoch(&mut self.0.seed);
        let Some(topic) = self.0.registry.topics.get_mut(topic) else {
            return;
        };
        let next = topic.broadcasts + 1;
        let durability = topic.durable.as_ref().map(|present| present.storage.durability);
        let first = if durability == Some(Durability::CommitFirst) { 1 } else { next };
        topic.begin_epoch(epoch, first..next);
    }

    /// Makes a topic that was stored, with its last messages.
    pub(crate) fn restore<'m>(
        &mut self,
        stored: Restored<'_>,
        messages: impl ExactSizeIterator<Item = Message<'m>>,
        now: Time,
    ) -> Result<(), TopicError> {
        let key = self.0.topic(stored.name)?;
        let count = (messages.len() as u64).min(stored.newest);
        let Some(topic) = self.0.registry.topics.get_mut(key) else {
            return Err(TopicError::Gone);
        };
        let (epoch, next) = (stored.epoch.unwrap_or(topic.epoch), stored.newest + 1);
        topic.broadcasts = stored.newest - count;
        topic.begin_epoch(epoch, 1..next);
        let mut text = String::new();
        for message in messages {
            self.0.registry.sequence += 1;
            let sequence = self.0.registry.sequence;
            let Some(topic) = self.0.registry.topics.get_mut(key) else {
                return Err(TopicError::Gone);
            };
            topic.broadcasts += 1;
            let number = topic.broadcasts;
            let mark = Mark { sequence, number, end: 0, except: Key::NONE };
            match &topic.envelope {
                Some(envelope) => {
                    let position = Position::new(topic.epoch, number);
                    text.clear();
                    envelope.write(&Enclosed::new(&topic.name, position, message), &mut text);
                    topic.open.push(Message::Text(&text), true, mark);
                }
                None => topic.open.push(message, true, mark),
            }
            if topic.open.frames.len() >= RESTORED_BATCH_BYTES {
                self.log_open(key, now);
            }
        }
        self.log_open(key, now);
        Ok(())
    }

    /// Moves the open batch of a topic without subscribers to its log.
    fn log_open(&mut self, key: Key, now: Time) {
        let Topics { registry, memory, expiry, .. } = &mut *self.0;
        let Some(topic) = registry.topics.get_mut(key) else {
            return;
        };
        if !topic.open.marks.is_empty() {
            topic.seal();
            let (batch, spare) = topic.take_sealed().compact();
            topic.append_to_log(batch, now);
            expiry.note(topic);
            memory.spares.give(spare);
            memory.count(registry, key);
            memory.make_room(registry, 0);
        }
    }
}
