//! Hands messages of durable topics over to the journal.

use std::sync::Arc;

use crate::engine::context::Context;
use crate::engine::core::Core;
use crate::engine::ids::TopicId;
use crate::engine::journal::message::DurableMessage;
use crate::engine::journal::outcome::{CommitError, Then};
use crate::engine::journal::waiting::{Delivery, Pending, Waiting};
use crate::journal::{Change, Record, StoredMessage};
use crate::net::streams::Transmit;
use crate::proto::Outgoing;
use crate::slots::Key;
use crate::time::Time;
use crate::topics::{Durability, DurableTopics, TopicEpoch, TopicError};

impl Context<'_> {
    /// Broadcasts a message to a durable topic, as [`broadcast`](Self::broadcast), with what
    /// belongs to it: a change of the application's tables, and what happens once it is stored.
    ///
    /// # Errors
    ///
    /// [`CommitError`]: nothing is stored or delivered.
    pub fn commit(
        &mut self,
        topic: TopicId,
        message: DurableMessage<'_>,
    ) -> Result<(), CommitError> {
        Broadcasting::new(self.core).commit(topic.0, message)
    }
}

/// What broadcasts, to topics that are durable and to those that are not.
pub(crate) struct Broadcasting<'a> {
    core: &'a mut Core<dyn Transmit + 'a>,
}

impl<'a> Broadcasting<'a> {
    #[inline]
    pub(crate) const fn new(core: &'a mut Core<dyn Transmit + 'a>) -> Self {
        Self { core }
    }

    /// Broadcasts a message to a topic, or hands it over to the journal.
    #[inline]
    pub(crate) fn broadcast(
        &mut self,
        topic: Key,
        key: &str,
        outgoing: Outgoing<'_>,
        except: Option<Key>,
    ) -> Result<(), TopicError> {
        match self.core.topics.broadcast_keyed(topic, key, outgoing, except) {
            Err(TopicError::Durable) => {
                let entry = DurableMessage { outgoing, key, except, tables: None, then: None };
                self.take(topic, entry).map_err(|error| match error {
                    CommitError::Full => TopicError::Limit,
                    _ => TopicError::Gone,
                })
            }
            outcome => outcome,
        }
    }

    /// Hands an entry over to the journal.
    pub(crate) fn commit(
        &mut self,
        topic: Key,
        entry: DurableMessage<'_>,
    ) -> Result<(), CommitError> {
        let epoch = DurableTopics(&mut self.core.topics).epoch(topic);
        let Some(epoch) = epoch else {
            let is_gone = self.core.topics.name(topic).is_none();
            return Err(if is_gone { CommitError::TopicGone } else { CommitError::NotDurable });
        };
        if entry.tables.is_some() && epoch.storage.durability != Durability::CommitFirst {
            return Err(CommitError::NotCommitFirst);
        }
        // No durable topic takes it at once. This checks the key.
        let DurableMessage { outgoing, key, except, .. } = entry;
        match self.core.topics.broadcast_keyed(topic, key, outgoing, except) {
            Err(TopicError::Durable) => self.take(topic, entry),
            Err(TopicError::Limit) => Err(CommitError::Full),
            _ => Err(CommitError::TopicGone),
        }
    }

    /// Hands over an entry that the topic's limits allow.
    #[inline(never)]
    fn take(&mut self, topic: Key, entry: DurableMessage<'_>) -> Result<(), CommitError> {
        let now = self.core.now();
        let mut topics = DurableTopics(&mut self.core.topics);
        let Some(epoch) = topics.epoch(topic) else {
            return Err(CommitError::TopicGone);
        };
        let Some(journal) = &mut self.core.journal.attached else {
            return Err(CommitError::NotDurable);
        };
        let DurableMessage { outgoing, key, except, tables, then } = entry;
        if journal.workers.is_closed() {
            return Err(CommitError::Ended);
        }
        if !journal.has_room(outgoing.message().len() + key.len()) {
            topics.count_refused(topic);
            return Err(CommitError::Full);
        }
        let message = StoredMessage::from(outgoing.message());
        let (offset, what) = match epoch.storage.durability {
            Durability::CommitFirst => {
                let (message, key) = (message.clone(), key.into());
                let may_compress = outgoing.may_compress();
                (None, Pending::Delivery(Delivery { message, may_compress, key, except }))
            }
            Durability::DeliverFirst => {
                let position = topics.broadcast(topic, key, outgoing, except);
                let position = position.ok_or(CommitError::TopicGone)?;
                (Some(position.offset()), Pending::Delivered(position))
            }
        };
        let (since, bytes) = (now, message.payload().len() + key.len());
        let record = record(&epoch, Change::Append { offset, message });
        let waiting = waiting(topic, &epoch, what, then);
        let is_taken =
            journal.take(Record { tables, ..record }, Waiting { bytes, since, ..waiting });
        // There was room, and only the loop hands something over.
        if is_taken { Ok(()) } else { Err(CommitError::Ended) }
    }

    /// Has the journal forget a durable topic. Returns whether it can.
    pub(crate) fn forget(&mut self, topic: Key) -> bool {
        let Some(epoch) = DurableTopics(&mut self.core.topics).epoch(topic) else {
            return true;
        };
        let waiting = waiting(topic, &epoch, Pending::Removed, None);
        let journal = self.core.journal.attached.as_mut().filter(|journal| journal.has_room(0));
        journal.is_some_and(|journal| journal.take(record(&epoch, Change::Remove), waiting))
    }
}

fn record(epoch: &Arc<TopicEpoch>, change: Change) -> Record {
    let TopicEpoch { name, epoch, inherited, storage } = &**epoch;
    Record {
        topic: Arc::clone(name),
        epoch: *epoch,
        inherited: inherited.clone(),
        storage: *storage,
        change,
        tables: None,
        refused: None,
    }
}

fn waiting(topic: Key, epoch: &TopicEpoch, what: Pending, then: Option<Then>) -> Waiting {
    Waiting { topic, epoch: epoch.epoch, since: Time::BEGINNING, bytes: 0, what, then }
}
