//! Durable topics: their messages are stored, and their positions and histories survive a restart.

mod storage;

pub use storage::{
    Change, Record, Storage, StorageError, StoredMessage, StoredTopic, TableChange, TopicStorage,
};
