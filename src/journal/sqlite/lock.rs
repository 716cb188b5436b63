//! One loop at a time uses a journal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::errors::{Failure, is_busy};
use crate::journal::storage::StorageError;

/// A lock that ends with its value, or with the process.
///
/// It is the exclusive lock of an empty database beside the journal. The journal's own file is not
/// locked for good, so that other programs can read it.
#[derive(Debug)]
pub(super) struct Lock {
    _connection: Connection,
}

impl Lock {
    /// Locks the journal at `path`, without waiting.
    pub(super) fn acquire(path: &Path) -> Result<Self, StorageError> {
        let beside = beside(path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let lock = Connection::open_with_flags(&beside, flags).and_then(|connection| {
            connection.busy_timeout(Duration::ZERO)?;
            connection.execute_batch("BEGIN EXCLUSIVE")?;
            Ok(Self { _connection: connection })
        });
        lock.map_err(|error| match error.sqlite_error_code() {
            _ if is_busy(&error) => StorageError::Locked(path.display().to_string()),
            Some(ErrorCode::NotADatabase) => {
                StorageError::Foreign(format!("{}: {error}", beside.display()))
            }
            _ => Failure::Sql(error).into_error(&beside),
        })
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    PathBuf::from(name)
}
