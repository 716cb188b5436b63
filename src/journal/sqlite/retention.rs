//! Deletes the messages that are not kept.

use rusqlite::Connection;

use super::topic::Topic;
use crate::topics::History;

/// Ages are checked that often, in milliseconds: messages of an inactive topic may stay that much
/// longer, and not every batch reads the oldest message.
const AGE_INTERVAL: i64 = 1000;

/// Deletes the oldest messages until the others are within the limits of `kept`.
pub(super) fn trim(
    connection: &Connection,
    topic: &mut Topic,
    kept: &History,
    now: i64,
) -> rusqlite::Result<()> {
    let expired = expired(topic, kept, now);
    let limits = Limits {
        messages: i64::try_from(kept.messages_max()).unwrap_or(i64::MAX),
        bytes: i64::try_from(kept.bytes_max()).unwrap_or(i64::MAX),
        expired: expired.unwrap_or(i64::MIN),
    };
    if expired.is_some() || limits.are_exceeded(topic) {
        delete_oldest(connection, topic, &limits)?;
    }
    Ok(())
}

/// Messages of that time and before are too old. None if that is not to be checked now.
fn expired(topic: &mut Topic, kept: &History, now: i64) -> Option<i64> {
    let age = i64::try_from(kept.age_max().as_millis()).ok()?;
    // The system's clock may be set back.
    let is_due = |checked| now.saturating_sub(checked) >= AGE_INTERVAL || now < checked;
    if !topic.checked.is_none_or(is_due) {
        return None;
    }
    topic.checked = Some(now);
    Some(now.saturating_sub(age))
}

struct Limits {
    messages: i64,
    bytes: i64,
    expired: i64,
}

impl Limits {
    const fn are_exceeded(&self, topic: &Topic) -> bool {
        topic.count() > self.messages || topic.bytes > self.bytes
    }
}

fn delete_oldest(
    connection: &Connection,
    topic: &mut Topic,
    limits: &Limits,
) -> rusqlite::Result<()> {
    let oldest = topic.first;
    let sql = "SELECT octet_length(body), time FROM eventwire_messages WHERE topic = ?1 \
               ORDER BY offset";
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query([topic.id])?;
    while let Some(row) = rows.next()? {
        let (bytes, time): (i64, i64) = (row.get(0)?, row.get(1)?);
        if time > limits.expired && !limits.are_exceeded(topic) {
            break;
        }
        topic.first += 1;
        topic.bytes -= bytes;
    }
    drop(rows);
    if topic.first > oldest {
        let sql = "DELETE FROM eventwire_messages WHERE topic = ?1 AND offset < ?2";
        connection.prepare_cached(sql)?.execute((topic.id, topic.first))?;
    }
    Ok(())
}
