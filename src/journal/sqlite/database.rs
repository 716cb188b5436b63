//! The connection to the file: how it is opened, and how transactions begin and end.

use std::cell::Cell;
use std::ffi::c_int;
use std::path::Path;
use std::time::Duration;

use rusqlite::hooks::Wal;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

use super::errors::Failure;
use super::schema;
use crate::journal::storage::StorageError;

/// How long a transaction waits for a program that writes to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of the write-ahead log, 4 KiB each, from which on a commit copies them into the file.
/// SQLite's 1,000 would be copied so often that a page is rarely changed by two batches between.
const LOG_PAGES_MAX: c_int = 4000;
/// Memory for pages. A hundred active topics would read theirs again and again with SQLite's 2 MiB.
const CACHE_KIB: i64 = 16 * 1024;
/// The journal's own statements are about 20; the others are for the application's changes.
const STATEMENTS: usize = 64;

thread_local! {
    /// Pages of the write-ahead log after a commit on this thread: the hook has no other place.
    static LOG_PAGES: Cell<c_int> = const { Cell::new(0) };
}

/// Whether a commit waits until the device has its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Synchronous {
    /// Commits survive a crash of the process, and not a loss of power.
    Normal,
    /// Commits survive a loss of power, too.
    Full,
}

/// An open file with the journal's tables.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    synchronous: Option<Synchronous>,
    /// The file could not take what its log has.
    has_failed: bool,
    /// The error of the last change of the application's tables.
    pub(super) change_error: Option<Error>,
}

impl Database {
    /// Opens the file at `path`, or creates it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        if connection.is_readonly("main")? {
            let why = format!("{} cannot be written", path.display());
            return Err(StorageError::Unavailable(why).into());
        }
        let is_new = schema::check(&connection).map_err(|failure| match failure {
            Failure::Sql(error) if is_no_database(&error) => {
                StorageError::Foreign(error.to_string()).into()
            }
            other => other,
        })?;
        use_log(&connection, path)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let mut database =
            Self { connection, synchronous: None, has_failed: false, change_error: None };
        if is_new {
            database.transaction(Synchronous::Full, |database| {
                Ok(schema::create(&database.connection)?)
            })?;
        }
        Ok(database)
    }

    /// The connection.
    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether it is of no use, although its last transaction is stored.
    pub(super) const fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Does `work` in a transaction, which is undone if that fails. The database is of no use then.
    pub(super) fn transaction<T>(
        &mut self,
        synchronous: Synchronous,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.synchronize(synchronous)?;
        self.run("BEGIN IMMEDIATE")?;
        let done = work(self).and_then(|done| {
            self.run("COMMIT")?;
            Ok(done)
        });
        if done.is_err() {
            // It may have ended already, or the file may fail again: the first error counts.
            drop(self.run("ROLLBACK"));
            return done;
        }
        match (self.limit_log(), synchronous) {
            (Ok(()), _) => done,
            // The device has the transaction, and all before it: they are in the log.
            (Err(_), Synchronous::Full) => {
                self.has_failed = true;
                done
            }
            // The log may not be on the device, and its next synchronisation would not say so.
            (Err(error), Synchronous::Normal) => Err(error.into()),
        }
    }

    /// Runs a statement without parameters and results.
    pub(super) fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Copies all of the write-ahead log into the file, and empties it.
    pub(super) fn empty_log(&self) -> Result<(), Failure> {
        if self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")? == 0 {
            return Ok(());
        }
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        Err(Error::SqliteFailure(busy, None).into())
    }

    /// Keeps the write-ahead log short. SQLite's own checkpoints would hide their errors.
    fn limit_log(&self) -> rusqlite::Result<()> {
        if LOG_PAGES.take() < LOG_PAGES_MAX { Ok(()) } else { self.shorten_log() }
    }

    /// Copies as much of the write-ahead log into the file as other connections allow.
    pub(super) fn shorten_log(&self) -> rusqlite::Result<()> {
        self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)").map(drop)
    }

    /// Not zero if other connections prevented it.
    fn checkpoint(&self, sql: &str) -> rusqlite::Result<i64> {
        self.connection.query_row(sql, [], |row| row.get(0))
    }

    fn synchronize(&mut self, synchronous: Synchronous) -> rusqlite::Result<()> {
        if self.synchronous != Some(synchronous) {
            self.synchronous = None;
            self.connection.execute_batch(match synchronous {
                Synchronous::Normal => "PRAGMA synchronous = NORMAL",
                Synchronous::Full => "PRAGMA synchronous = FULL",
            })?;
            self.synchronous = Some(synchronous);
        }
        Ok(())
    }
}

fn is_no_database(error: &Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::NotADatabase)
}

/// Has commits go to a write-ahead log: they need one synchronisation, and readers do not wait.
fn use_log(connection: &Connection, path: &Path) -> Result<(), Failure> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        let why = format!("{}: the file system allows no write-ahead log", path.display());
        return Err(StorageError::Unavailable(why).into());
    }
    connection.wal_hook(Some(note_log));
    Ok(())
}

/// Notes the length of the write-ahead log. As a hook it replaces SQLite's own checkpoints.
fn note_log(_: &Wal, pages: c_int) -> rusqlite::Result<()> {
    LOG_PAGES.set(pages);
    Ok(())
}
