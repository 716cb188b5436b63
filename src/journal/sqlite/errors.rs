//! What goes wrong inside, and which [`StorageError`] it is.

use std::path::Path;

use rusqlite::{Error, ErrorCode};

use crate::journal::storage::StorageError;

/// An error before the application sees it.
#[derive(Debug)]
pub(super) enum Failure {
    /// Reported by SQLite, or by what converts its values.
    Sql(Error),
    /// Found here.
    Storage(StorageError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl Failure {
    /// A stored value that no journal writes.
    pub(super) fn damaged(why: String) -> Self {
        Self::Storage(StorageError::Damaged(why))
    }

    /// The error for the application, which has the journal at `path`.
    pub(super) fn into_error(self, path: &Path) -> StorageError {
        let at_path = |why: String| format!("{}: {why}", path.display());
        match self {
            Self::Storage(StorageError::Damaged(why)) => StorageError::Damaged(at_path(why)),
            Self::Storage(StorageError::Foreign(why)) => StorageError::Foreign(at_path(why)),
            Self::Storage(error) => error,
            Self::Sql(error) => sql_error(&error, path),
        }
    }
}

fn sql_error(error: &Error, path: &Path) -> StorageError {
    let why = || format!("{}: {error}", path.display());
    match error {
        Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => StorageError::Full,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StorageError::Damaged(why()),
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed => {
                StorageError::Locked(path.display().to_string())
            }
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly => {
                StorageError::Unavailable(why())
            }
            _ => StorageError::Failed(why()),
        },
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => StorageError::Damaged(why()),
        _ => StorageError::Failed(why()),
    }
}

/// Whether the file or the memory failed, rather than the statement.
pub(super) fn is_of_the_system(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::OutOfMemory
                | ErrorCode::SystemIoFailure
        )
    )
}

/// Whether another connection is in the way.
pub(super) fn is_busy(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
