//! What becomes of a message for a durable topic.

use std::fmt;

use crate::journal::StorageError;
use crate::queue::LocalEvents;
use crate::topics::Position;

/// Why an entry was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommitError {
    /// There is no such topic.
    TopicGone,
    /// The topic is not [durable](crate::TopicConfig::durable).
    NotDurable,
    /// The entry changes tables, and the topic
    /// [delivers first](crate::Durability::DeliverFirst): its message would be delivered though the
    /// change may fail.
    NotCommitFirst,
    /// As much waits for the journal as it may ([`JournalConfig`](crate::JournalConfig)), or the
    /// key has more than 256 bytes.
    Full,
    /// The loop has ended.
    Ended,
}

/// Why an entry was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotStored {
    /// The change of the application's tables failed, with that message. Nothing is stored.
    Refused(String),
    /// The storage failed. It is not known whether the entry is stored.
    Failed(StorageError),
    /// The entry is stored, and the topic was removed before that.
    TopicGone,
}

/// Publishes what has become of a message.
pub(crate) struct Then(Box<ThenFunction>);

type ThenFunction = dyn FnOnce(Result<Position, NotStored>, &mut LocalEvents);

impl Then {
    pub(crate) fn publish<E: 'static>(
        event: impl FnOnce(Result<Position, NotStored>) -> E + 'static,
    ) -> Self {
        // The journal bounds how many there are.
        Self(Box::new(|stored, events| events.push_beyond(event(stored))))
    }

    pub(crate) fn call(self, stored: Result<Position, NotStored>, events: &mut LocalEvents) {
        (self.0)(stored, events);
    }
}

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Then").finish_non_exhaustive()
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TopicGone => "the topic was removed",
            Self::NotDurable => "the topic is not durable",
            Self::NotCommitFirst => "the topic delivers messages before they are stored",
            Self::Full => "too much waits for the journal",
            Self::Ended => "the loop has ended",
        })
    }
}

impl std::error::Error for CommitError {}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Failed(error) => error.fmt(f),
            Self::TopicGone => f.write_str("the topic was removed"),
        }
    }
}

impl std::error::Error for NotStored {}
