//! What a journal needs of the place where it stores messages.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::proto::Message;
use crate::topics::TopicStorage;

/// A place where a journal stores the messages of durable topics: `Sqlite`, or an application's
/// own. The journal calls it on one thread, one call at a time.
///
/// After an error of [`commit`](Self::commit), the state of the place is the one before the call as
/// far as it can tell, and the journal goes on with new epochs of the topics of that batch.
pub trait Storage: Send + 'static {
    /// Reads what is stored of the topics for which `wanted` returns settings. Called once, before
    /// any other method. Other topics stay as they are.
    ///
    /// When this has returned, the place remembers, across a loss of power, that it is in use, and
    /// the durability of each of these topics: until [`close`](Self::close), epochs of topics that
    /// [deliver first](crate::Durability::DeliverFirst) do not survive. Epochs that have not
    /// survived, of whatever topic, have ended for good: a later orderly end does not bring them
    /// back.
    ///
    /// # Errors
    ///
    /// The loop does not start to use the place.
    fn load(
        &mut self,
        wanted: &dyn Fn(&str) -> Option<TopicStorage>,
    ) -> Result<Vec<StoredTopic>, StorageError>;

    /// Applies changes in their order, in one transaction. If the batch has a record of a topic
    /// that [commits first](crate::Durability::CommitFirst), all of it survives a loss of power
    /// once this has returned. Sets [`Record::refused`] of the records whose tables' change failed.
    ///
    /// # Errors
    ///
    /// Nothing of the batch is stored, or that is unknown.
    fn commit(&mut self, batch: &mut [Record]) -> Result<(), StorageError>;

    /// Remembers an orderly end: all that was delivered is stored, so that every epoch survives.
    ///
    /// # Errors
    ///
    /// The epochs of topics that deliver first do not survive.
    fn close(&mut self) -> Result<(), StorageError>;
}

/// A topic that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTopic {
    /// Its name.
    pub name: String,
    /// The epoch of its positions. Any number unless it [has survived](Self::has_survived).
    pub epoch: u64,
    /// Whether positions of that epoch are still valid: everything that was delivered is stored.
    pub has_survived: bool,
    /// The offset of the newest message, or of the one before the first.
    pub newest: u64,
    /// The newest messages, the oldest first. Their offsets are consecutive and end with `newest`.
    pub messages: Vec<StoredMessage>,
}

/// A message, as it was broadcast.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StoredMessage {
    /// Text, which is UTF-8.
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
}

impl From<Message<'_>> for StoredMessage {
    fn from(message: Message<'_>) -> Self {
        let payload = Bytes::copy_from_slice(message.as_bytes());
        match message {
            Message::Text(_) => Self::Text(payload),
            Message::Binary(_) => Self::Binary(payload),
        }
    }
}

impl StoredMessage {
    /// The payload of either kind.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        match self {
            Self::Text(payload) | Self::Binary(payload) => payload,
        }
    }

    /// The message. Text that is not UTF-8 is a binary message.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Message::Text(text),
                Err(_) => Message::Binary(text),
            },
            Self::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

/// A change of a stored topic.
#[derive(Debug)]
pub struct Record {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The epoch of its positions. If another one is stored, that ends with this record.
    pub epoch: u64,
    /// The offsets of the messages from before this epoch that belong to it, too. When it begins,
    /// all others are deleted. The first new message follows them.
    pub inherited: Range<u64>,
    /// How it is stored.
    pub storage: TopicStorage,
    /// What changes.
    pub change: Change,
    /// What changes beside it in other tables, in the same transaction. If that fails, neither
    /// change is stored.
    pub tables: Option<TableChange>,
    /// Why the change of the tables failed. Set by [`Storage::commit`].
    pub refused: Option<String>,
}

/// What changes of a stored topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A message follows.
    Append {
        /// Its offset, if it has one: that of the topic's newest message + 1. A message without one
        /// gets that offset.
        offset: Option<u64>,
        /// The message.
        message: StoredMessage,
    },
    /// The topic and all its messages go.
    Remove,
}

/// A change of an application's own tables, which is made in a transaction of the journal. The
/// storage that it is for makes it.
pub struct TableChange(Box<TableFunction>);

type TableFunction = dyn FnOnce(&mut dyn Any) -> Result<(), String> + Send;

impl TableChange {
    /// A change that is made with a value of the storage's own type, a connection for instance.
    /// The error is a message for the application.
    pub fn new(change: impl FnOnce(&mut dyn Any) -> Result<(), String> + Send + 'static) -> Self {
        Self(Box::new(change))
    }

    /// Makes the change.
    ///
    /// # Errors
    ///
    /// The message of the error, for instance that `tables` has another type.
    pub fn make(self, tables: &mut dyn Any) -> Result<(), String> {
        (self.0)(tables)
    }
}

impl fmt::Debug for TableChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableChange").finish_non_exhaustive()
    }
}

/// Why a storage failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageError {
    /// It cannot be opened: the directory is missing, or access is denied.
    Unavailable(String),
    /// Another process or loop uses it.
    Locked(String),
    /// It is something else than a journal.
    Foreign(String),
    /// A newer version of the library has written it, in this version of the format.
    Newer(u32),
    /// It is damaged.
    Damaged(String),
    /// The device or file system is full.
    Full,
    /// The system or the library below reports another error.
    Failed(String),
    /// The storage panicked, with this message.
    Panicked(String),
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "the journal cannot be opened: {why}"),
            Self::Locked(path) => write!(f, "the journal {path} is in use by another loop"),
            Self::Foreign(why) => write!(f, "the file is not a journal: {why}"),
            Self::Newer(version) => {
                write!(f, "the journal has format {version}, written by a newer version")
            }
            Self::Damaged(why) => write!(f, "the journal is damaged: {why}"),
            Self::Full => write!(f, "there is no space left for the journal"),
            Self::Failed(why) => write!(f, "the journal failed: {why}"),
            Self::Panicked(message) => write!(f, "the journal's storage panicked: {message}"),
        }
    }
}

impl std::error::Error for StorageError {}
