//! The journal's tables, and the format of a file.

use rusqlite::{Connection, OptionalExtension};

use super::errors::Failure;
use crate::journal::storage::StorageError;

/// The version of the format.
const FORMAT: i64 = 1;

/// A table that the journal creates. SQLite stores the text as it is, so that equal texts mean
/// equal tables.
struct Table {
    name: &'static str,
    sql: &'static str,
}

/// Has this shape in every format.
const META: Table = Table {
    name: "eventwire_meta",
    sql: "CREATE TABLE eventwire_meta (\
          name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
};

const TOPICS: Table = Table {
    name: "eventwire_topics",
    sql: "CREATE TABLE eventwire_topics (\
          id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, epoch TEXT, \
          first INTEGER NOT NULL, newest INTEGER NOT NULL, durability TEXT NOT NULL) STRICT",
};

const MESSAGES: Table = Table {
    name: "eventwire_messages",
    sql: "CREATE TABLE eventwire_messages (\
          topic INTEGER NOT NULL, offset INTEGER NOT NULL, time INTEGER NOT NULL, \
          body ANY NOT NULL, PRIMARY KEY (topic, offset)) STRICT, WITHOUT ROWID",
};

/// A value of `eventwire_meta`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meta {
    /// The version of the format.
    Format,
    /// There, and 1, after an orderly end: all that was delivered is stored.
    CleanEnd,
}

impl Meta {
    const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::CleanEnd => "clean end",
        }
    }

    /// Reads the value.
    pub(super) fn get(self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT value FROM eventwire_meta WHERE name = ?1";
        connection.query_row(sql, [self.name()], |row| row.get(0)).optional()
    }

    /// Writes the value.
    pub(super) fn put(self, connection: &Connection, value: i64) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO eventwire_meta (name, value) VALUES (?1, ?2)";
        connection.execute(sql, (self.name(), value)).map(drop)
    }

    /// Deletes the value.
    pub(super) fn delete(self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "DELETE FROM eventwire_meta WHERE name = ?1";
        connection.execute(sql, [self.name()]).map(drop)
    }
}

/// Checks that the file is a journal of this format. Returns true if it has none of its tables.
pub(super) fn check(connection: &Connection) -> Result<bool, Failure> {
    let encoding: String = connection.query_row("PRAGMA encoding", [], |row| row.get(0))?;
    if encoding != "UTF-8" {
        return Err(StorageError::Foreign(format!("its text is {encoding}, not UTF-8")).into());
    }
    let has_meta = has(connection, &META)?;
    // A newer format may have other tables.
    if has_meta {
        check_format(connection)?;
    }
    match (has_meta, [has(connection, &TOPICS)?, has(connection, &MESSAGES)?]) {
        (false, [false, false]) => Ok(true),
        (true, [true, true]) => Ok(false),
        (true, _) => Err(Failure::damaged("one of the journal's tables is missing".to_owned())),
        (false, _) => {
            let why = "it has some tables of a journal, and no eventwire_meta".to_owned();
            Err(StorageError::Foreign(why).into())
        }
    }
}

/// Creates the tables.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    for table in [META, TOPICS, MESSAGES] {
        connection.execute(table.sql, [])?;
    }
    Meta::Format.put(connection, FORMAT)
}

/// Whether there is a table of that name. One of another shape is an error.
fn has(connection: &Connection, table: &Table) -> Result<bool, Failure> {
    let query = "SELECT sql FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE";
    let stored: Option<Option<String>> =
        connection.query_row(query, [table.name], |row| row.get(0)).optional()?;
    match stored {
        None => Ok(false),
        Some(stored) if stored.as_deref() == Some(table.sql) => Ok(true),
        Some(_) => {
            let why = format!("its {} is not the table of a journal", table.name);
            Err(StorageError::Foreign(why).into())
        }
    }
}

fn check_format(connection: &Connection) -> Result<(), Failure> {
    match Meta::Format.get(connection)? {
        Some(FORMAT) => Ok(()),
        Some(format @ 1..) => {
            let format = u32::try_from(format).unwrap_or(u32::MAX);
            Err(StorageError::Newer(format).into())
        }
        format => Err(Failure::damaged(format!("its format is {format:?}"))),
    }
}
