//! Applies a batch of records.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::errors::Failure;
use super::retention;
use super::topic::{Topic, offset};
use crate::journal::storage::{Change, Record, StorageError, StoredMessage};

const INSERT: &str =
    "INSERT INTO eventwire_messages (topic, offset, time, body) VALUES (?1, ?2, ?3, ?4)";

/// The topics of which the stored state is known.
#[derive(Debug, Default)]
pub(super) struct Topics {
    pub(super) known: HashMap<Arc<str>, Topic>,
    /// Those that the batch at hand changes, with the newest offset before: 0 of new ones. One that
    /// is removed and created again is there twice.
    pub(super) changed: Vec<(Arc<str>, i64)>,
}

impl Topics {
    /// The transaction of the last batch was committed.
    pub(super) fn committed(&mut self) {
        self.changed.clear();
    }

    /// Forgets everything, since it may not be what is stored.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.changed.clear();
    }
}

/// Applies the records that were not refused, within a transaction.
pub(super) fn apply(
    connection: &Connection,
    topics: &mut Topics,
    batch: &[Record],
    now: i64,
) -> Result<(), Failure> {
    let insert = connection.prepare_cached(INSERT)?;
    let mut writer = Writer { connection, insert, topics, now };
    for record in batch.iter().filter(|record| record.refused.is_none()) {
        match &record.change {
            Change::Append { offset, message } => writer.append(record, *offset, message)?,
            Change::Remove => writer.remove(&record.topic)?,
        }
    }
    writer.finish()
}

struct Writer<'a> {
    connection: &'a Connection,
    insert: CachedStatement<'a>,
    topics: &'a mut Topics,
    now: i64,
}

impl Writer<'_> {
    fn append(
        &mut self,
        record: &Record,
        given: Option<u64>,
        message: &StoredMessage,
    ) -> Result<(), Failure> {
        let given = given.map(offset).transpose()?;
        let topic = match self.topics.known.entry(Arc::clone(&record.topic)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(match Topic::read(self.connection, &record.topic)? {
                    Some(topic) => topic,
                    None => create(self.connection, record)?,
                })
            }
        };
        if !topic.is_changed {
            topic.is_changed = true;
            let newest = if topic.is_new { 0 } else { topic.newest };
            topic.is_new = false;
            self.topics.changed.push((Arc::clone(&record.topic), newest));
        }
        if topic.epoch != Some(record.epoch) {
            let Range { start, end } = record.inherited;
            begin_epoch(self.connection, topic, offset(start)?..offset(end)?)?;
            topic.epoch = Some(record.epoch);
        }
        topic.durability = record.storage.durability;
        topic.kept = Some(record.storage.kept);
        let next = topic.newest + 1;
        if given.unwrap_or(next) != next || next == i64::MAX {
            let why = format!("{}: {given:?} does not follow {}", record.topic, topic.newest);
            return Err(StorageError::Failed(why).into());
        }
        let body = ToSqlOutput::Borrowed(match message {
            StoredMessage::Text(text) => ValueRef::Text(text),
            StoredMessage::Binary(bytes) => ValueRef::Blob(bytes),
        });
        self.insert.execute((topic.id, next, self.now, body))?;
        topic.newest = next;
        topic.bytes += i64::try_from(message.payload().len()).unwrap_or(i64::MAX);
        Ok(())
    }

    fn remove(&mut self, name: &Arc<str>) -> Result<(), Failure> {
        let newest = "SELECT newest FROM eventwire_topics WHERE name = ?1";
        let mut newest = self.connection.prepare_cached(newest)?;
        let Some(newest) = newest.query_row([&**name], |row| row.get(0)).optional()? else {
            return Ok(());
        };
        let messages = "DELETE FROM eventwire_messages WHERE topic IN \
                        (SELECT id FROM eventwire_topics WHERE name = ?1)";
        let topic = "DELETE FROM eventwire_topics WHERE name = ?1";
        for sql in [messages, topic] {
            self.connection.prepare_cached(sql)?.execute([&**name])?;
        }
        let newest = match self.topics.known.remove(name) {
            // The row is written after the batch.
            Some(topic) if topic.is_changed => return Ok(()),
            _ => newest,
        };
        self.topics.changed.push((Arc::clone(name), newest));
        Ok(())
    }

    /// Deletes what is not kept, and writes the rows of the topics.
    fn finish(self) -> Result<(), Failure> {
        for (name, _) in &self.topics.changed {
            let topic = self.topics.known.get_mut(name).filter(|topic| topic.is_changed);
            let Some(topic) = topic else {
                continue;
            };
            topic.is_changed = false;
            if let Some(kept) = topic.kept {
                retention::trim(self.connection, topic, &kept, self.now)?;
            }
            topic.write(self.connection)?;
        }
        Ok(())
    }
}

fn create(connection: &Connection, record: &Record) -> Result<Topic, Failure> {
    Topic::create(connection, &record.topic, offset(record.inherited.end)?)
}

/// Keeps the messages that the epoch inherits. Keeps none if it inherits one that is not stored.
fn begin_epoch(
    connection: &Connection,
    topic: &mut Topic,
    inherited: Range<i64>,
) -> Result<(), Failure> {
    let newest = inherited.end - 1;
    let first = topic.first.max(inherited.start);
    let first = if newest <= topic.newest { first.min(inherited.end) } else { inherited.end };
    let deletes = topic.count() > 0 && (first > topic.first || newest < topic.newest);
    (topic.first, topic.newest) = (first, newest);
    if deletes {
        let sql = "DELETE FROM eventwire_messages WHERE topic = ?1 AND NOT \
                   offset BETWEEN ?2 AND ?3";
        connection.prepare_cached(sql)?.execute((topic.id, first, newest))?;
        topic.measure(connection)?;
    }
    Ok(())
}
