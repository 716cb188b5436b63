//! A topic's row, and what is known of its messages.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};

use super::errors::Failure;
use crate::journal::storage::StorageError;
use crate::topics::{Durability, History};

/// What is stored of a topic. Offsets are those of a `Record`, as SQLite's
/// integers.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: i64,
    /// None if positions of earlier epochs are no longer valid, and no message of a new one came.
    pub(super) epoch: Option<u64>,
    /// The offset of the oldest message, or of the next one.
    pub(super) first: i64,
    /// The offset of the newest message, or the one before the first.
    pub(super) newest: i64,
    /// The sum of the lengths of the payloads.
    pub(super) bytes: i64,
    pub(super) durability: Durability,
    /// How much is kept, by the latest record.
    pub(super) kept: Option<History>,
    /// When ages were checked last.
    pub(super) checked: Option<i64>,
    /// Whether the batch at hand has created it.
    pub(super) is_new: bool,
    /// Whether the batch at hand has changed it.
    pub(super) is_changed: bool,
}

impl Topic {
    /// Reads a topic, and checks its messages.
    pub(super) fn read(connection: &Connection, name: &str) -> Result<Option<Self>, Failure> {
        let sql = "SELECT id, epoch, first, newest, durability FROM eventwire_topics \
                   WHERE name = ?1";
        let mut query = connection.prepare_cached(sql)?;
        let read = query.query_row([name], |row| Ok(Self::from_row(row))).optional()?;
        let Some(mut topic) = read.transpose()? else {
            return Ok(None);
        };
        topic.measure(connection)?;
        Ok(Some(topic))
    }

    /// Creates a topic whose first message will have the offset `first`.
    pub(super) fn create(connection: &Connection, name: &str, first: i64) -> Result<Self, Failure> {
        let sql = "INSERT INTO eventwire_topics (name, first, newest, durability) \
                   VALUES (?1, ?2, ?3, ?4)";
        let durability = Durability::DeliverFirst;
        let values = (name, first, first - 1, durability_name(durability));
        connection.prepare_cached(sql)?.execute(values)?;
        Ok(Self {
            id: connection.last_insert_rowid(),
            epoch: None,
            first,
            newest: first - 1,
            bytes: 0,
            durability,
            kept: None,
            checked: None,
            is_new: true,
            is_changed: false,
        })
    }

    /// Writes its row.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "UPDATE eventwire_topics SET epoch = ?2, first = ?3, newest = ?4, \
                   durability = ?5 WHERE id = ?1";
        let digits = self.epoch.map(hex);
        let epoch = digits.as_ref().map_or(ValueRef::Null, |digits| ValueRef::Text(digits));
        let durability = durability_name(self.durability);
        let mut update = connection.prepare_cached(sql)?;
        update.execute((
            self.id,
            ToSqlOutput::Borrowed(epoch),
            self.first,
            self.newest,
            durability,
        ))?;
        Ok(())
    }

    /// How many messages it has.
    pub(super) const fn count(&self) -> i64 {
        self.newest - self.first + 1
    }

    fn from_row(row: &Row<'_>) -> Result<Self, Failure> {
        let epoch: Option<String> = row.get(1)?;
        let epoch = epoch.map(|digits| parse_epoch(&digits)).transpose()?;
        let (first, newest): (i64, i64) = (row.get(2)?, row.get(3)?);
        if first < 1 || newest < first - 1 || newest == i64::MAX {
            return Err(Failure::damaged(format!("a topic has the offsets {first} to {newest}")));
        }
        let durability: String = row.get(4)?;
        Ok(Self {
            id: row.get(0)?,
            epoch,
            first,
            newest,
            bytes: 0,
            durability: parse_durability(&durability)?,
            kept: None,
            checked: None,
            is_new: false,
            is_changed: false,
        })
    }

    /// Sums the lengths of its messages, whose offsets have to be all from `first` to `newest`.
    pub(super) fn measure(&mut self, connection: &Connection) -> Result<(), Failure> {
        let sql = "SELECT count(*), min(offset), max(offset), coalesce(sum(octet_length(body)), 0) \
                   FROM eventwire_messages WHERE topic = ?1";
        let mut query = connection.prepare_cached(sql)?;
        let (count, oldest, newest, bytes): (i64, Option<i64>, Option<i64>, i64) = query
            .query_row([self.id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let is_whole = count == self.count()
            && oldest.is_none_or(|oldest| oldest == self.first)
            && newest.is_none_or(|newest| newest == self.newest);
        if !is_whole {
            let why = format!(
                "topic {} has {count} messages from {oldest:?} to {newest:?}, and not those from \
                 {} to {}",
                self.id, self.first, self.newest
            );
            return Err(Failure::damaged(why));
        }
        self.bytes = bytes;
        Ok(())
    }
}

/// SQLite's integer for an offset.
pub(super) fn offset(offset: u64) -> Result<i64, Failure> {
    let integer = i64::try_from(offset).ok().filter(|offset| (1..i64::MAX).contains(offset));
    integer.ok_or_else(|| {
        StorageError::Failed(format!("no message can have the offset {offset}")).into()
    })
}

/// How a durability is stored.
pub(super) fn durability_name(durability: Durability) -> &'static str {
    match durability {
        Durability::CommitFirst => "commit first",
        Durability::DeliverFirst => "deliver first",
    }
}

fn parse_durability(name: &str) -> Result<Durability, Failure> {
    match name {
        "commit first" => Ok(Durability::CommitFirst),
        "deliver first" => Ok(Durability::DeliverFirst),
        _ => Err(Failure::damaged(format!("a topic has the durability {name:?}"))),
    }
}

fn parse_epoch(digits: &str) -> Result<u64, Failure> {
    let epoch =
        u64::from_str_radix(digits, 16).ok().filter(|epoch| hex(*epoch) == *digits.as_bytes());
    epoch.ok_or_else(|| Failure::damaged(format!("a topic has the epoch {digits:?}")))
}

/// The 16 hexadecimal digits of an epoch.
fn hex(epoch: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (index, digit) in digits.iter_mut().rev().enumerate() {
        let value = (epoch >> (4 * index)) & 0xf;
        *digit = b"0123456789abcdef"[value as usize];
    }
    digits
}
