//! A journal in an SQLite file.
//!
//! | file | contents |
//! | --- | --- |
//! | `clock` `errors` `lock` | the system's time, errors, one loop for a file |
//! | `schema` `database` | the tables, the connection and its transactions |
//! | `topic` `retention` | a topic's row, and the messages that are not kept |
//! | `changes` `commit` | the records of a batch: the application's tables, then the topics |
//! | `load` `repair` | what a loop starts with; what is done after an error |

mod changes;
mod clock;
mod commit;
mod database;
mod errors;
mod load;
mod lock;
mod repair;
mod retention;
mod schema;
#[cfg(test)]
mod tests;
mod topic;

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use commit::Topics;
use database::{Database, Synchronous};
use errors::Failure;
use lock::Lock;
use repair::Doubtful;
use schema::Meta;

use super::TopicStorage;
use super::storage::{Record, Storage, StorageError, StoredTopic, TableChange};
use crate::topics::Durability;

/// A [`Storage`] in an SQLite file. Needs the feature `sqlite`.
///
/// ```no_run
/// use eventwire::journal::Sqlite;
///
/// let journal = Sqlite::open("chat.db")?.with_tables(|database| {
///     database.execute_batch("CREATE TABLE IF NOT EXISTS seen (user TEXT, message TEXT)")
/// })?;
/// # let _ = journal;
/// # Ok::<(), eventwire::journal::StorageError>(())
/// ```
///
/// The file may be the application's own database. It is in
/// [WAL mode](https://www.sqlite.org/wal.html), so that any program may read it while a loop uses
/// it, the `sqlite3` shell for instance. One that writes to it should be quick: a commit waits up
/// to 5 seconds for it, and fails then. It must not change the tables of the journal. The file
/// belongs on a local disk, since network file systems do not support this mode.
///
/// While it is in use, the newest commits are in a file with the same name and `-wal`, usually of
/// 16 MiB at most. A copy needs both, or is made with the shell's `.backup`. Up to 16 MiB of pages
/// are kept in memory.
///
/// # Tables
///
/// | `eventwire_topics` | |
/// | --- | --- |
/// | `id` | the topic's number in `eventwire_messages` |
/// | `name` | the topic's name |
/// | `epoch` | 16 hexadecimal digits, or `NULL` if a crash or an error has ended it |
/// | `first` | the offset of the oldest message that is kept, or else of the next one |
/// | `newest` | the offset of the newest message, or else the one before `first` |
/// | `durability` | `commit first` or `deliver first` |
///
/// | `eventwire_messages` | |
/// | --- | --- |
/// | `topic` | the `id` of the topic |
/// | `offset` | the message's offset; those of a topic are consecutive |
/// | `time` | when it was stored, in milliseconds since 1970 |
/// | `body` | `TEXT` for a text message, `BLOB` for a binary one, without an envelope |
///
/// `eventwire_meta` has a `name` and a `value` in each row: the version of this format is `format`,
/// and after an orderly end there is `clean end`.
///
/// The topics, and the newest messages of one:
///
/// ```sql
/// SELECT name, epoch, first, newest, newest - first + 1 AS messages, durability
/// FROM eventwire_topics ORDER BY name;
///
/// SELECT messages.offset, datetime(messages.time / 1000, 'unixepoch') AS time, messages.body
/// FROM eventwire_messages AS messages
/// JOIN eventwire_topics AS topics ON topics.id = messages.topic
/// WHERE topics.name = 'lobby' ORDER BY messages.offset DESC LIMIT 20;
/// ```
///
/// Messages that are no longer kept are deleted with the next messages of their topic, and when a
/// loop starts. The file does not shrink: its free pages are used again.
pub struct Sqlite {
    path: PathBuf,
    /// None after an error: the connection may hold what the file does not have.
    database: Option<Database>,
    topics: Topics,
    doubtful: Doubtful,
    /// Whether the file says that it is in use.
    is_in_use: bool,
    // Dropped last: the connection is closed while the lock is held.
    _lock: Lock,
}

impl Sqlite {
    /// Opens the journal at `path`, or creates it there. The file may be an application's database.
    /// Its directory has to be there. An empty file with the same name and `-lock` is created
    /// beside it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](StorageError::Unavailable) without a directory or the permission to write,
    /// [`Locked`](StorageError::Locked) while another loop uses it,
    /// [`Foreign`](StorageError::Foreign) if the file is no SQLite database or has other tables of
    /// the journal's names, [`Newer`](StorageError::Newer), [`Damaged`](StorageError::Damaged),
    /// [`Full`](StorageError::Full), and [`Failed`](StorageError::Failed) for other errors of the
    /// system.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        let path = full_path(path.as_ref())?;
        let lock = Lock::acquire(&path)?;
        let database = Database::open(&path).map_err(|failure| failure.into_error(&path))?;
        Ok(Self {
            path,
            database: Some(database),
            topics: Topics::default(),
            doubtful: Doubtful::default(),
            is_in_use: false,
            _lock: lock,
        })
    }

    /// Creates the application's own tables in the same file, unless they exist, or reads what the
    /// application starts with: `create` runs at once, in a transaction.
    ///
    /// # Errors
    ///
    /// What `create` returns, as [`Failed`](StorageError::Failed) mostly. No table is created then.
    pub fn with_tables(
        mut self,
        create: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, StorageError> {
        self.transaction(Synchronous::Full, |connection, _| Ok(create(connection)?))?;
        Ok(self)
    }

    /// A change of the application's own tables, made in the transaction that stores the message.
    /// If it returns an error or panics, it is undone, and the message is refused.
    ///
    /// The changes of a batch are made before its messages are stored. A change must not end the
    /// transaction: that fails the whole batch. So does a deferred constraint that it violates.
    ///
    /// If the file fails ([`NotStored::Failed`](crate::NotStored::Failed)), only the tables tell
    /// whether the change was made.
    pub fn tables(
        change: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> TableChange {
        changes::wrap(change)
    }

    fn transaction<T>(
        &mut self,
        synchronous: Synchronous,
        work: impl FnOnce(&Connection, &mut Topics) -> Result<T, Failure>,
    ) -> Result<T, StorageError> {
        let topics = &mut self.topics;
        let done = ready(&mut self.database, &self.path, &mut self.doubtful).and_then(|database| {
            database.transaction(synchronous, |database| work(database.connection(), topics))
        });
        done.map_err(|failure| self.failed(failure))
    }

    /// Has the next call read from the file what is stored.
    fn failed(&mut self, failure: Failure) -> StorageError {
        self.topics.forget();
        self.database = None;
        failure.into_error(&self.path)
    }

    fn commit_at(&mut self, batch: &mut [Record], now: i64) -> Result<(), StorageError> {
        self.check_in_use()?;
        let topics = &mut self.topics;
        let done = ready(&mut self.database, &self.path, &mut self.doubtful).and_then(|database| {
            database.transaction(synchronous(batch), |database| {
                changes::make_all(database, batch)?;
                commit::apply(database.connection(), topics, batch, now)
            })
        });
        match done {
            Ok(()) => {
                self.topics.committed();
                Ok(())
            }
            Err(failure) => {
                self.doubtful.add(&self.topics, batch);
                Err(self.failed(failure))
            }
        }
    }

    fn check_in_use(&self) -> Result<(), StorageError> {
        if self.is_in_use {
            return Ok(());
        }
        Err(StorageError::Failed(format!("{} was not loaded", self.path.display())))
    }
}

impl Storage for Sqlite {
    fn load(
        &mut self,
        wanted: &dyn Fn(&str) -> Option<TopicStorage>,
    ) -> Result<Vec<StoredTopic>, StorageError> {
        let now = clock::now();
        let loaded = self.transaction(Synchronous::Full, |connection, topics| {
            load::load(connection, topics, wanted, now)
        })?;
        self.is_in_use = true;
        Ok(loaded)
    }

    fn commit(&mut self, batch: &mut [Record]) -> Result<(), StorageError> {
        self.commit_at(batch, clock::now())
    }

    fn close(&mut self) -> Result<(), StorageError> {
        self.check_in_use()?;
        // Also synchronises the commits before it, which are in the same log.
        self.transaction(
            Synchronous::Full,
            |connection, _| Ok(Meta::CleanEnd.put(connection, 1)?),
        )?;
        self.is_in_use = false;
        if let Some(database) = &self.database {
            // If that fails, the log is read when the file is opened again.
            drop(database.shorten_log());
        }
        Ok(())
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The open database, opened again if the last call failed, or what followed it.
fn ready<'a>(
    database: &'a mut Option<Database>,
    path: &Path,
    doubtful: &mut Doubtful,
) -> Result<&'a mut Database, Failure> {
    let open = match database.take().filter(|database| !database.has_failed()) {
        Some(open) => open,
        None => reopen(path, doubtful)?,
    };
    Ok(database.insert(open))
}

/// Opens the file after an error. What the log holds may not be on the device, although it can be
/// read, and later synchronisations would not say so: it is copied and synchronised anew.
fn reopen(path: &Path, doubtful: &mut Doubtful) -> Result<Database, Failure> {
    let mut database = Database::open(path)?;
    database.empty_log()?;
    if !doubtful.is_empty() {
        database
            .transaction(Synchronous::Full, |database| Ok(doubtful.undo(database.connection())?))?;
        doubtful.clear();
    }
    Ok(database)
}

fn synchronous(batch: &[Record]) -> Synchronous {
    let commits_first = |record: &Record| record.storage.durability == Durability::CommitFirst;
    if batch.iter().any(commits_first) { Synchronous::Full } else { Synchronous::Normal }
}

/// The path without links, so that a file has one lock, whatever way leads to it.
fn full_path(path: &Path) -> Result<PathBuf, StorageError> {
    let unavailable = |why: String| StorageError::Unavailable(format!("{}: {why}", path.display()));
    let Some(name) = path.file_name() else {
        return Err(unavailable("this is no path of a file".to_owned()));
    };
    if path.is_dir() {
        return Err(unavailable("this is a directory".to_owned()));
    }
    if let Ok(full) = path.canonicalize() {
        return Ok(full);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let directory = directory.canonicalize().map_err(|error| unavailable(error.to_string()))?;
    Ok(directory.join(name))
}
