//! Opening a journal.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::event_loop::EventLoop;
use crate::engine::journal::settle::Settle;
use crate::engine::journal::waiting::Attached;
use crate::error::Error;
use crate::journal::{
    Record, Settled, Shared, Storage, StorageError, StoredMessage, StoredTopic, Writer, guarded,
};
use crate::reactor::Reactor;
use crate::time::Time;
use crate::topics::{DurableTopics, Restored};

/// How much may wait for a journal.
///
/// ```
/// use eventwire::JournalConfig;
///
/// let config = JournalConfig::default().messages(65_536).bytes(64 * 1024 * 1024);
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalConfig {
    messages: usize,
    bytes: usize,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { messages: 16_384, bytes: 16 * 1024 * 1024 }
    }
}

impl JournalConfig {
    /// The most messages that wait. Default: 16,384, 80 ms of 200,000 messages a second. Memory for
    /// them is allocated at once, some 250 bytes for each; 0 counts as 1. Further broadcasts are
    /// [dropped](crate::SendStatus::Dropped).
    #[must_use]
    pub const fn messages(mut self, count: usize) -> Self {
        self.messages = count;
        self
    }

    /// The most bytes of messages that wait, with 256 bytes for each. Default: 16 MiB, so that a
    /// slow disk delays at most that much. A longer message waits alone.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
}

/// A journal that a loop uses.
///
/// Keep it while the loop runs, and [close](Self::close) it afterwards: the epochs of topics that
/// [deliver first](crate::Durability::DeliverFirst) survive only an orderly end.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
}

impl Journal {
    /// Waits until everything is stored and the journal's thread has ended. Call it after
    /// [`run`](EventLoop::run) has returned.
    ///
    /// # Errors
    ///
    /// What could not be stored, or [`StorageError::Failed`] if the thread takes longer than
    /// `timeout`: the loop goes on, or the device is slow.
    pub fn close(self, timeout: Duration) -> Result<(), StorageError> {
        let late = || Err(StorageError::Failed(format!("it has not ended within {timeout:?}")));
        self.shared.wait(timeout).unwrap_or_else(late)
    }
}

impl<S: 'static, R: Reactor> EventLoop<S, R> {
    /// Stores the messages of [durable](crate::TopicConfig::durable) topics in `storage`, and makes
    /// those that are stored there, with the last messages of their histories. Waits until they are
    /// read. A thread of its own writes, as fast as the device can: while one transaction is
    /// synchronised, the next one collects.
    ///
    /// # Errors
    ///
    /// [`Error::Journal`] if the storage cannot be used, [`Error::HasJournal`] if the loop has a
    /// journal, [`Error::TopicLimit`] if more topics are stored than
    /// [`Config::max_topics`](crate::Config::max_topics) allows, [`Error::Io`] if the system
    /// creates no thread, [`Error::ShuttingDown`] if the loop is ending.
    pub fn journal(
        &mut self,
        mut storage: impl Storage,
        config: JournalConfig,
    ) -> Result<Journal, Error> {
        self.core.ending.check_serving()?;
        if self.core.journal.attached.is_some() {
            return Err(Error::HasJournal);
        }
        let mut topics = DurableTopics(&mut self.core.topics);
        let stored = guarded(|| storage.load(&|name| topics.storage_of(name)))?;
        let shared = Arc::new(Shared::default());
        // If anything fails from here on, its drop closes the storage in order.
        let mut writer = Writer::new(storage, Arc::clone(&shared));
        let write = move |batch: Vec<Record>| vec![writer.write(batch)];
        let workers = match restore(&mut topics, &stored, self.core.sockets.now()) {
            Ok(()) => self.batch_workers_each(config.messages, [write]),
            Err(error) => Err(error),
        };
        if workers.is_err() {
            remove(&mut DurableTopics(&mut self.core.topics), &stored);
        }
        let workers = workers?;
        self.on_handler::<Settled>(Settle);
        let attached = Attached::new(workers, Arc::clone(&shared), config.bytes);
        self.core.journal.attached = Some(attached);
        Ok(Journal { shared })
    }
}

/// Makes the topics that were stored.
fn restore(topics: &mut DurableTopics<'_>, stored: &[StoredTopic], now: Time) -> Result<(), Error> {
    topics.allow(true);
    for topic in stored {
        let restored = Restored {
            name: &topic.name,
            epoch: topic.has_survived.then_some(topic.epoch),
            newest: topic.newest,
        };
        let messages = topic.messages.iter().map(StoredMessage::message);
        topics.restore(restored, messages, now).map_err(|_| Error::TopicLimit)?;
    }
    Ok(())
}

/// Removes what was restored of a journal that the loop cannot use.
fn remove(topics: &mut DurableTopics<'_>, stored: &[StoredTopic]) {
    topics.allow(false);
    for topic in stored {
        topics.remove(&topic.name);
    }
}
