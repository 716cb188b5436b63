//! Batches that fail, and what comes after them.

use std::collections::HashMap;
use std::ffi::c_int;
use std::time::Duration;

use rusqlite::ffi;
use rusqlite::hooks::Wal;

use super::{COMMIT, DELIVER, Directory, append, number, record, settings, texts};
use crate::journal::Sqlite;
use crate::journal::storage::{Change, Record, Storage, StorageError, StoredMessage};

/// Allows so few pages that the file cannot grow.
fn fill(journal: &Sqlite) {
    let connection = journal.database.as_ref().expect("it is open").connection();
    let sql = "PRAGMA max_page_count = 1";
    connection.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a limit");
}

fn large(topic: &str) -> Record {
    let message = StoredMessage::Binary(vec![0; 100_000].into());
    record(topic, Change::Append { offset: None, message }, settings(DELIVER))
}

#[test]
fn a_full_device_fails_the_batch_and_not_those_after_it() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(DELIVER));
    journal.commit(&mut [append("a", "1", settings(DELIVER))]).expect("it commits");
    fill(&journal);
    let mut batch = [append("a", "2", settings(DELIVER)), large("a"), large("b")];
    assert_eq!(journal.commit(&mut batch), Err(StorageError::Full));
    // There is space again.
    let mut batch = [Record { epoch: 8, inherited: 1..2, ..append("a", "4", settings(DELIVER)) }];
    journal.commit(&mut batch).expect("it commits");
    journal.close().expect("it closes");
    drop(journal);
    let (_, loaded) = directory.load(settings(DELIVER));
    assert_eq!(loaded.len(), 1);
    assert_eq!((loaded[0].epoch, texts(&loaded[0])), (8, vec!["1", "4"]));
    assert!(loaded[0].has_survived);
}

#[test]
fn a_full_device_fails_the_batch_if_a_change_of_tables_meets_it() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(DELIVER));
    fill(&journal);
    let sql = "CREATE TABLE big AS SELECT randomblob(100000)";
    let tables = Some(Sqlite::tables(|tables| tables.execute_batch(sql)));
    let mut batch = [Record { tables, ..append("a", "1", settings(DELIVER)) }];
    assert_eq!(journal.commit(&mut batch), Err(StorageError::Full));
}

#[test]
fn a_failed_batch_ends_the_epochs_of_its_topics() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(DELIVER));
    let mut batch = ["a", "b", "c"].map(|topic| append(topic, "1", settings(DELIVER)));
    journal.commit(&mut batch).expect("it commits");
    fill(&journal);
    assert_eq!(journal.commit(&mut [large("a"), large("c")]), Err(StorageError::Full));
    journal.commit(&mut [append("b", "2", settings(DELIVER))]).expect("it commits");
    journal
        .commit(&mut [Record { epoch: 9, inherited: 1..2, ..append("c", "2", settings(DELIVER)) }])
        .expect("it commits");
    journal.close().expect("it closes");
    drop(journal);
    let (_, loaded) = directory.load(settings(DELIVER));
    let found: HashMap<&str, (bool, u64, u64)> = loaded
        .iter()
        .map(|topic| (&*topic.name, (topic.has_survived, topic.epoch, topic.newest)))
        .collect();
    assert!(!found["a"].0);
    assert_eq!(found["b"], (true, 7, 2));
    assert_eq!(found["c"], (true, 9, 2));
}

#[test]
fn an_orderly_end_right_after_a_failed_batch_does_not_save_its_epochs() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(DELIVER));
    journal.commit(&mut [append("a", "1", settings(DELIVER))]).expect("it commits");
    fill(&journal);
    assert_eq!(journal.commit(&mut [large("a")]), Err(StorageError::Full));
    journal.close().expect("it closes");
    drop(journal);
    let (_, loaded) = directory.load(settings(DELIVER));
    assert_eq!((loaded[0].has_survived, texts(&loaded[0])), (false, vec!["1"]));
}

/// The error of a disk that did not store what it was given.
fn fail_to_synchronise(_: &Wal, _: c_int) -> rusqlite::Result<()> {
    let error = ffi::Error::new(ffi::SQLITE_IOERR_FSYNC);
    Err(rusqlite::Error::SqliteFailure(error, None))
}

#[test]
fn a_batch_that_was_stored_although_it_failed_is_undone() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(COMMIT));
    let mut batch = ["a", "removed"].map(|topic| append(topic, "1", settings(COMMIT)));
    journal.commit(&mut batch).expect("it commits");
    let connection = journal.database.as_ref().expect("it is open").connection();
    connection.wal_hook(Some(fail_to_synchronise));
    let mut batch = [
        append("a", "2", settings(COMMIT)),
        append("a", "3", settings(COMMIT)),
        append("new", "1", settings(COMMIT)),
        record("removed", Change::Remove, settings(COMMIT)),
        append("removed", "2", settings(COMMIT)),
        append("removed", "3", settings(COMMIT)),
        record("unknown", Change::Remove, settings(COMMIT)),
    ];
    let error = journal.commit(&mut batch);
    assert!(matches!(error, Err(StorageError::Failed(_))), "{error:?}");
    let messages = "SELECT count(*) FROM eventwire_messages";
    assert_eq!(number(&directory.file(), messages), 6);
    let mut batch = [Record { epoch: 8, inherited: 1..2, ..append("a", "2", settings(COMMIT)) }];
    journal.commit(&mut batch).expect("it commits");
    assert_eq!(number(&directory.file(), messages), 3);
    drop(journal);
    let (_, loaded) = directory.load(settings(COMMIT));
    assert_eq!((loaded[0].epoch, texts(&loaded[0])), (8, vec!["1", "2"]));
    assert_eq!((&*loaded[1].name, loaded[1].has_survived, loaded[1].newest), ("new", false, 0));
    assert_eq!((&*loaded[2].name, loaded[2].has_survived, loaded[2].newest), ("removed", false, 1));
}

#[test]
fn a_program_that_keeps_the_file_to_itself_is_waited_for_and_then_an_error() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(COMMIT));
    let connection = journal.database.as_ref().expect("it is open").connection();
    connection.busy_timeout(Duration::from_millis(1)).expect("a limit");
    let shell = directory.shell();
    shell.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
    let mut batch = [append("a", "1", settings(COMMIT))];
    let error = journal.commit(&mut batch);
    assert!(matches!(error, Err(StorageError::Locked(_))), "{error:?}");
    drop(shell);
    journal.commit(&mut batch).expect("it commits");
}
