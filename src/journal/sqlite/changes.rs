//! Changes of the application's tables, in the journal's transaction.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;

use super::database::Database;
use super::errors::{Failure, is_of_the_system};
use crate::journal::storage::{Record, StorageError, TableChange};

/// Wraps a change of an application.
pub(super) fn wrap(
    change: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
) -> TableChange {
    TableChange::new(|tables: &mut dyn Any| {
        let Some(database) = tables.downcast_mut::<Database>() else {
            return Err("the journal is not an SQLite file".to_owned());
        };
        change(database.connection()).map_err(|error| {
            let why = error.to_string();
            database.change_error = Some(error);
            why
        })
    })
}

/// Makes the changes of all records. Those that fail are undone, and their records refused.
pub(super) fn make_all(database: &mut Database, batch: &mut [Record]) -> Result<(), Failure> {
    for record in batch {
        if let Some(change) = record.tables.take() {
            record.refused = make(database, change)?;
        }
    }
    Ok(())
}

/// Makes one change; returns why it failed.
fn make(database: &mut Database, change: TableChange) -> Result<Option<String>, Failure> {
    database.run("SAVEPOINT eventwire_change")?;
    database.change_error = None;
    let made = catch_unwind(AssertUnwindSafe(|| change.make(database)));
    let refused = made.unwrap_or_else(|panic| Err(panic_message(&*panic))).err();
    if let Some(error) = database.change_error.take().filter(is_of_the_system) {
        return Err(error.into());
    }
    if database.connection().is_autocommit() {
        let why = "a change of tables ended the journal's transaction".to_owned();
        return Err(StorageError::Failed(why).into());
    }
    if refused.is_some() {
        database.run("ROLLBACK TO eventwire_change")?;
    }
    database.run("RELEASE eventwire_change")?;
    Ok(refused)
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the change panicked: {}", text.unwrap_or("no message"))
}
