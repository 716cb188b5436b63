//! Durable topics: their messages are stored, and their positions and histories survive a restart.

mod storage;
mod writer;

pub use storage::{Change, Record, Storage, StorageError, StoredMessage, StoredTopic, TableChange};
pub(crate) use writer::{Outcome, Settled, Shared, Writer, guarded};

pub use crate::topics::TopicStorage;
