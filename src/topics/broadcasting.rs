//! Broadcasting: to the open batch of a topic, and to the latest messages of its keys.

use super::all_topics::Topics;
use super::batch::Mark;
use super::limits::TopicError;
use super::memory::Memory;
use super::registry::Registry;
use crate::proto::Outgoing;
use crate::slots::Key;

impl Topics {
    /// Appends a message to the topic's open batch, for all subscribers except `except`.
    #[cfg(test)]
    pub(super) fn broadcast(
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
        if !message_key.is_empty() {
            self.conflation().begin(key, message_key)?;
        }
        let Self { registry, memory, limits, .. } = self;
        let admission = admit(registry, memory, key, outgoing.message().len(), limits.backlog);
        let topic = registry.topics.get_mut(key).ok_or(TopicError::Gone)?;
        if admission.is_err() {
            topic.counters.refused += 1;
            registry.totals.refused += 1;
        }
        let grows = admission?;
        if topic.durable.is_some() {
            return Err(TopicError::Durable);
        }
        self.append(key, message_key, outgoing, except, grows)
    }

    /// The same for a message that was admitted.
    #[inline]
    pub(super) fn append(
        &mut self,
        key: Key,
        message_key: &str,
        outgoing: Outgoing<'_>,
        except: Option<Key>,
        grows: bool,
    ) -> Result<(), TopicError> {
        let (message, may_compress) = (outgoing.message(), outgoing.may_compress());
        let Self { registry, memory, .. } = self;
        let topic = registry.topics.get_mut(key).ok_or(TopicError::Gone)?;
        registry.sequence += 1;
        topic.broadcasts += 1;
        if topic.subscribers.is_empty() && topic.history.is_none() {
            return Ok(());
        }
        // Who resumes later is left out as well.
        let has_history = topic.history.is_some();
        let is_named = |conn: &Key| registry.leave_out(*conn, key) || has_history;
        let named = except.filter(is_named).unwrap_or(Key::NONE);
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
                memory.count(registry, key);
            } else if is_first {
                memory.count_unused(registry, key);
            }
        }
        if keeps {
            let mark = Mark { except: except.unwrap_or(Key::NONE), ..mark };
            self.conflation().keep(key, message_key, outgoing, mark);
        }
        Ok(())
    }
}

/// Checks that a message of `len` bytes can be appended to the open batch, which has at most
/// `backlog` bytes. Returns whether the memory of the batches grows.
#[inline]
fn admit(
    registry: &mut Registry,
    memory: &mut Memory,
    key: Key,
    len: usize,
    backlog: usize,
) -> Result<bool, TopicError> {
    let topic = registry.topics.get(key).ok_or(TopicError::Gone)?;
    let open = &topic.open;
    if !topic.needs_batches() {
        return Ok(false);
    }
    if !open.marks.is_empty() && open.frames.len() + len > backlog {
        return Err(TopicError::Limit);
    }
    match open.growth(len) {
        0 => Ok(false),
        _ if memory.admit(registry, key, len) => Ok(true),
        _ => Err(TopicError::Limit),
    }
}
