//! Broadcasting: to the open batch of a topic, and to the latest messages of its keys.

use super::all_topics::Topics;
use super::batch::Mark;
use super::envelope::Enclosed;
use super::limits::TopicError;
use super::memory::Memory;
use super::position::Position;
use super::registry::Registry;
use crate::proto::Outgoing;
use crate::slots::Key;

/// The memory of an enveloped message is kept for the next one up to this many bytes.
const ENVELOPED_BYTES_MAX: usize = 64 * 1024;

/// What a message takes that may be broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// No batch.
    Unneeded,
    /// Memory that the open batch has.
    Fits,
    /// More memory for the open batch.
    Grows,
}

/// A message that is broadcast.
#[derive(Clone, Copy)]
pub(super) struct Broadcast<'a> {
    pub(super) key: &'a str,
    pub(super) outgoing: Outgoing<'a>,
    pub(super) except: Option<Key>,
    /// The journal has taken it. Its limits apply, and not those of the topics.
    pub(super) is_committed: bool,
}

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
        let topic = self.registry.topics.get(key).ok_or(TopicError::Gone)?;
        let broadcast = Broadcast { key: message_key, outgoing, except, is_committed: false };
        match topic.is_plain {
            true => append(self, key, broadcast),
            false => append_special(self, key, broadcast),
        }
    }
}

/// Appends a message to a topic that is not plain, unless the topic is durable.
#[inline(never)]
fn append_special(
    topics: &mut Topics,
    topic: Key,
    broadcast: Broadcast<'_>,
) -> Result<(), TopicError> {
    if topics.registry.topics.get(topic).is_some_and(|topic| topic.durable.is_none()) {
        return append_enveloped(topics, topic, broadcast);
    }
    if !broadcast.key.is_empty() {
        topics.conflation().begin(topic, broadcast.key)?;
    }
    Err(TopicError::Durable)
}

/// Appends a message in the topic's envelope, if it has one.
pub(super) fn append_enveloped(
    topics: &mut Topics,
    key: Key,
    broadcast: Broadcast<'_>,
) -> Result<(), TopicError> {
    let topic = topics.registry.topics.get(key).ok_or(TopicError::Gone)?;
    let is_wanted = !topic.subscribers.is_empty() || topic.history.is_some();
    let Some(envelope) = topic.envelope.as_ref().filter(|_| is_wanted) else {
        return append(topics, key, broadcast);
    };
    let outgoing = broadcast.outgoing;
    // An envelope that panics leaves an empty text behind.
    let mut text = std::mem::take(&mut topics.enveloped);
    text.clear();
    let position = Position::new(topic.epoch, topic.broadcasts + 1);
    envelope.write(&Enclosed::new(&topic.name, position, outgoing.message()), &mut text);
    let outgoing = match outgoing.may_compress() {
        true => Outgoing::from(&text),
        false => Outgoing::uncompressed(&text),
    };
    let appended = append(topics, key, Broadcast { outgoing, ..broadcast });
    if text.capacity() <= ENVELOPED_BYTES_MAX {
        topics.enveloped = text;
    }
    appended
}

/// Appends a message as it is.
fn append(topics: &mut Topics, key: Key, broadcast: Broadcast<'_>) -> Result<(), TopicError> {
    let Broadcast { key: message_key, outgoing, except, is_committed } = broadcast;
    let (message, may_compress) = (outgoing.message(), outgoing.may_compress());
    if !message_key.is_empty() {
        topics.conflation().begin(key, message_key)?;
    }
    let Topics { registry, memory, limits, .. } = topics;
    let admission = match is_committed {
        true => Ok(Admission::Grows),
        false => admit(registry, memory, key, message.len(), limits.backlog),
    };
    let topic = registry.topics.get_mut(key).ok_or(TopicError::Gone)?;
    if admission.is_err() {
        topic.counters.refused += 1;
        registry.totals.refused += 1;
    }
    let admission = admission?;
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
    if admission != Admission::Unneeded {
        if !topic.is_active() {
            topics.active.push(key);
        }
        let is_first = topic.open.marks.is_empty();
        topic.open.push(message, may_compress, mark);
        if admission == Admission::Grows {
            memory.count(registry, key);
        } else if is_first {
            memory.count_unused(registry, key);
        }
    }
    if keeps {
        let mark = Mark { except: except.unwrap_or(Key::NONE), ..mark };
        topics.conflation().keep(key, message_key, outgoing, mark);
    }
    Ok(())
}

/// Checks that a message of `len` bytes can be appended to the open batch, which has at most
/// `backlog` bytes.
#[inline]
fn admit(
    registry: &mut Registry,
    memory: &mut Memory,
    key: Key,
    len: usize,
    backlog: usize,
) -> Result<Admission, TopicError> {
    let topic = registry.topics.get(key).ok_or(TopicError::Gone)?;
    let open = &topic.open;
    if !topic.needs_batches() {
        return Ok(Admission::Unneeded);
    }
    // Without subscribers nothing waits for its delivery.
    let is_delivered = !topic.subscribers.is_empty();
    if is_delivered && !open.marks.is_empty() && open.frames.len() + len > backlog {
        return Err(TopicError::Limit);
    }
    match open.growth(len) {
        0 => Ok(Admission::Fits),
        _ if memory.admit(registry, key, len) => Ok(Admission::Grows),
        _ => Err(TopicError::Limit),
    }
}
