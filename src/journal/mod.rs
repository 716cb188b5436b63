//! Durable topics: their messages are stored, and their positions and histories survive a restart.

#[cfg(feature = "sqlite")]
mod sqlite;
mod storage;
mod writer;

#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use rusqlite;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use sqlite::Sqlite;
pub use storage::{Change, Record, Storage, StorageError, StoredMessage, StoredTopic, TableChange};
pub(crate) use writer::{Outcome, Settled, Shared, Writer, guarded};

pub use crate::topics::TopicStorage;
