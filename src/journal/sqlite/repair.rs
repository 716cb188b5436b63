//! Undoes batches of which it is unknown whether they were stored.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;

use super::commit::Topics;
use crate::journal::storage::Record;

/// The topics of failed batches, with their newest offsets before.
///
/// Even a commit that failed may be in the file, if its last step was the one that failed. Its
/// messages have to go, because the journal counts on without them. The epochs end, because their
/// clients may have got what is not stored.
#[derive(Debug, Default)]
pub(super) struct Doubtful {
    topics: HashMap<Arc<str>, i64>,
}

impl Doubtful {
    /// Notes the topics of a batch that failed.
    pub(super) fn add(&mut self, topics: &Topics, batch: &[Record]) {
        for (name, newest) in &topics.changed {
            self.topics.entry(Arc::clone(name)).or_insert(*newest);
        }
        // Those that were not reached.
        for record in batch {
            self.topics.entry(Arc::clone(&record.topic)).or_insert(i64::MAX);
        }
    }

    /// Whether no batch failed.
    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// All was undone.
    pub(super) fn clear(&mut self) {
        self.topics.clear();
    }

    /// Undoes what is stored of the batches. Within a transaction.
    pub(super) fn undo(&self, connection: &Connection) -> rusqlite::Result<()> {
        for (name, newest) in &self.topics {
            undo(connection, name, *newest)?;
        }
        Ok(())
    }
}

/// Deletes the messages of a topic after `newest`, and ends its epoch.
fn undo(connection: &Connection, name: &str, newest: i64) -> rusqlite::Result<()> {
    let messages = "DELETE FROM eventwire_messages WHERE offset > ?2 AND topic = \
                    (SELECT id FROM eventwire_topics WHERE name = ?1)";
    connection.execute(messages, (name, newest))?;
    let topic = "UPDATE eventwire_topics SET epoch = NULL, newest = min(newest, ?2), \
                 first = min(first, min(newest, ?2) + 1) WHERE name = ?1";
    connection.execute(topic, (name, newest)).map(drop)
}
