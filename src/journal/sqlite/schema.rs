//! The journal's tables, and the format of a file.

use rusqlite::{Connection, OptionalExtension};

use super::errors::Failure;
use crate::journal::storage::StorageError;

/// The version of the format.
const FORMAT: i64 = 1;

/// SQLite stores these texts as they are, and they are compared with what is stored. The first
/// table has this shape in every format.
const TABLES: [(&str, &str); 3] = [
    (
        "eventwire_meta",
        "CREATE TABLE eventwire_meta (\
         name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ),
    (
        "eventwire_topics",
        "CREATE TABLE eventwire_topics (\
         id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, epoch TEXT, \
         first INTEGER NOT NULL, newest INTEGER NOT NULL, durability TEXT NOT NULL) STRICT",
    ),
    (
        "eventwire_messages",
        "CREATE TABLE eventwire_messages (\
         topic INTEGER NOT NULL, offset INTEGER NOT NULL, time INTEGER NOT NULL, \
         body ANY NOT NULL, PRIMARY KEY (topic, offset)) STRICT, WITHOUT ROWID",
    ),
];

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
    let mut found = [false; TABLES.len()];
    let [meta, others @ ..] = &TABLES;
    found[0] = has(connection, meta)?;
    // A newer format may have other tables.
    if found[0] {
        check_format(connection)?;
    }
    for (found, table) in found[1..].iter_mut().zip(others) {
        *found = has(connection, table)?;
    }
    let missing = TABLES.iter().zip(found).find(|(_, found)| !found);
    match missing {
        Some(_) if !found.contains(&true) => Ok(true),
        Some(((name, _), _)) if found[0] => {
            Err(Failure::damaged(format!("there is no table {name}")))
        }
        Some(((name, _), _)) => {
            Err(StorageError::Foreign(format!("there is no table {name}")).into())
        }
        None => Ok(false),
    }
}

/// Creates the tables.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    for (_, sql) in TABLES {
        connection.execute(sql, [])?;
    }
    Meta::Format.put(connection, FORMAT)
}

/// Whether there is a table of that name. One of another shape is an error.
fn has(connection: &Connection, (name, sql): &(&str, &str)) -> Result<bool, Failure> {
    let query = "SELECT sql FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE";
    let stored: Option<Option<String>> =
        connection.query_row(query, [name], |row| row.get(0)).optional()?;
    match stored {
        None => Ok(false),
        Some(stored) if stored.as_deref() == Some(sql) => Ok(true),
        Some(_) => {
            let why = format!("its {name} is not the table of a journal");
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
