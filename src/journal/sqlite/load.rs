//! Reads what a loop needs when it starts.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::commit::Topics;
use super::errors::Failure;
use super::retention;
use super::schema::Meta;
use super::topic::{Topic, durability_name};
use crate::journal::TopicStorage;
use crate::journal::storage::{StoredMessage, StoredTopic};
use crate::topics::{Durability, History};

/// Reads the topics that have settings, and notes that the journal is in use. Within a transaction.
pub(super) fn load(
    connection: &Connection,
    topics: &mut Topics,
    wanted: &dyn Fn(&str) -> Option<TopicStorage>,
    now: i64,
) -> Result<Vec<StoredTopic>, Failure> {
    let was_closed = Meta::CleanEnd.get(connection)? == Some(1);
    if !was_closed {
        // Of all topics: a later load may want others, after an orderly end.
        let sql = "UPDATE eventwire_topics SET epoch = NULL WHERE durability = ?1";
        connection.execute(sql, [durability_name(Durability::DeliverFirst)])?;
    }
    let mut loaded = Vec::new();
    for name in names(connection)? {
        let Some(storage) = wanted(&name) else {
            continue;
        };
        let Some(mut topic) = Topic::read(connection, &name)? else {
            continue;
        };
        retention::trim(connection, &mut topic, &storage.kept, now)?;
        topic.durability = storage.durability;
        topic.kept = Some(storage.kept);
        topic.write(connection)?;
        loaded.push(StoredTopic {
            epoch: topic.epoch.unwrap_or_default(),
            has_survived: topic.epoch.is_some(),
            newest: topic.newest.unsigned_abs(),
            messages: newest_messages(connection, &topic, &storage.loaded)?,
            name: name.clone(),
        });
        topics.known.insert(Arc::from(name), topic);
    }
    Meta::CleanEnd.delete(connection)?;
    Ok(loaded)
}

fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut query = connection.prepare("SELECT name FROM eventwire_topics ORDER BY name")?;
    query.query_map([], |row| row.get(0))?.collect()
}

/// The newest messages within the limits, the oldest first.
fn newest_messages(
    connection: &Connection,
    topic: &Topic,
    loaded: &History,
) -> Result<Vec<StoredMessage>, Failure> {
    let sql = "SELECT offset, body FROM eventwire_messages WHERE topic = ?1 \
               ORDER BY offset DESC LIMIT ?2";
    let messages = i64::try_from(loaded.messages_max()).unwrap_or(i64::MAX);
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query((topic.id, messages))?;
    let (mut found, mut bytes) = (Vec::new(), 0_usize);
    for expected in (topic.first..=topic.newest).rev() {
        let Some(row) = rows.next()? else {
            break;
        };
        let offset: i64 = row.get(0)?;
        let message = message(row.get_ref(1)?);
        let Some(message) = message.filter(|_| offset == expected) else {
            let why = format!("topic {} has no message {expected}", topic.id);
            return Err(Failure::damaged(why));
        };
        bytes = bytes.saturating_add(message.payload().len());
        if bytes > loaded.bytes_max() {
            break;
        }
        found.push(message);
    }
    found.reverse();
    Ok(found)
}

/// None if it is no message.
fn message(body: ValueRef<'_>) -> Option<StoredMessage> {
    match body {
        ValueRef::Text(text) => {
            let is_text = std::str::from_utf8(text).is_ok();
            is_text.then(|| StoredMessage::Text(Bytes::copy_from_slice(text)))
        }
        ValueRef::Blob(bytes) => Some(StoredMessage::Binary(Bytes::copy_from_slice(bytes))),
        _ => None,
    }
}
