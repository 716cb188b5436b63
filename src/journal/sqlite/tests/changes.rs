//! Changes of an application's tables beside messages.

use super::{COMMIT, Directory, append, number, settings, texts};
use crate::journal::Sqlite;
use crate::journal::storage::{Record, Storage, StorageError, TableChange};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS seen (message TEXT UNIQUE NOT NULL)";

fn load(directory: &Directory) -> Sqlite {
    let journal = directory.open().with_tables(|tables| tables.execute_batch(CREATE));
    let mut journal = journal.expect("the tables are created");
    journal.load(&|_| Some(settings(COMMIT))).expect("it loads");
    journal
}

fn with(body: &str, tables: TableChange) -> Record {
    Record { tables: Some(tables), ..append("a", body, settings(COMMIT)) }
}

/// Notes the message in the table, once.
fn seen(body: &str) -> Record {
    let message = body.to_owned();
    let insert = "INSERT INTO seen VALUES (?1)";
    with(body, Sqlite::tables(move |tables| tables.execute(insert, [message]).map(drop)))
}

fn count(directory: &Directory) -> i64 {
    number(&directory.file(), "SELECT count(*) FROM seen")
}

/// The topic's messages after a restart.
fn messages(directory: &Directory, journal: Sqlite) -> Vec<String> {
    drop(journal);
    let (_, loaded) = directory.load(settings(COMMIT));
    loaded.iter().flat_map(texts).map(str::to_owned).collect()
}

#[test]
fn tables_change_in_the_transaction_of_the_message() {
    let directory = Directory::new();
    let mut journal = load(&directory);
    let mut batch = [seen("1"), append("a", "2", settings(COMMIT)), seen("3")];
    journal.commit(&mut batch).expect("it commits");
    assert!(batch.iter().all(|record| record.refused.is_none()));
    assert_eq!(count(&directory), 2);
    assert_eq!(messages(&directory, journal), ["1", "2", "3"]);
}

#[test]
fn a_change_that_fails_refuses_its_message_alone() {
    let directory = Directory::new();
    let mut journal = load(&directory);
    let mut batch = [seen("1"), seen("1"), seen("2"), seen("1")];
    journal.commit(&mut batch).expect("it commits");
    let refused: Vec<bool> = batch.iter().map(|record| record.refused.is_some()).collect();
    assert_eq!(refused, [false, true, false, true]);
    let why = batch[1].refused.as_deref().expect("a reason");
    assert!(why.contains("UNIQUE"), "{why}");
    assert_eq!(count(&directory), 2);
    assert_eq!(messages(&directory, journal), ["1", "2"]);
}

#[test]
fn a_change_is_undone_if_it_fails_or_panics_halfway() {
    let directory = Directory::new();
    let mut journal = load(&directory);
    let mut batch = [
        with(
            "error",
            Sqlite::tables(|tables| {
                tables.execute_batch("INSERT INTO seen VALUES ('half'); SELECT nonsense")
            }),
        ),
        with(
            "panic",
            Sqlite::tables(|tables| {
                tables.execute_batch("INSERT INTO seen VALUES ('half')")?;
                panic!("out of luck");
            }),
        ),
        seen("whole"),
    ];
    journal.commit(&mut batch).expect("it commits");
    assert!(batch[0].refused.as_deref().is_some_and(|why| why.contains("nonsense")));
    assert!(batch[1].refused.as_deref().is_some_and(|why| why.contains("out of luck")));
    assert_eq!(batch[2].refused, None);
    assert_eq!(count(&directory), 1);
    assert_eq!(messages(&directory, journal), ["whole"]);
}

#[test]
fn a_refused_message_begins_no_epoch() {
    let directory = Directory::new();
    let mut journal = load(&directory);
    journal.commit(&mut [seen("1"), seen("2")]).expect("it commits");
    let mut batch = [Record { epoch: 8, inherited: 3..3, ..seen("1") }];
    journal.commit(&mut batch).expect("it commits");
    assert!(batch[0].refused.is_some());
    drop(journal);
    let (_, loaded) = directory.load(settings(COMMIT));
    assert_eq!((loaded[0].epoch, texts(&loaded[0])), (7, vec!["1", "2"]));
}

#[test]
fn a_change_that_ends_the_transaction_fails_the_batch() {
    for sql in ["ROLLBACK", "COMMIT", "COMMIT; BEGIN", "ROLLBACK; BEGIN", "ROLLBACK; nonsense"] {
        let directory = Directory::new();
        let mut journal = load(&directory);
        let end = Sqlite::tables(move |tables| tables.execute_batch(sql));
        let error = journal.commit(&mut [seen("1"), with("2", end), seen("3")]);
        assert!(matches!(error, Err(StorageError::Failed(_))), "{sql}: {error:?}");
        journal.commit(&mut [Record { epoch: 8, ..seen("4") }]).expect("it commits");
        assert_eq!(messages(&directory, journal), ["4"], "{sql}");
    }
}

#[test]
fn a_deferred_constraint_fails_the_batch() {
    let directory = Directory::new();
    let mut journal = directory.open().with_tables(|tables| {
        tables.execute_batch(
            "CREATE TABLE users (name TEXT PRIMARY KEY);
             CREATE TABLE friends (name TEXT REFERENCES users DEFERRABLE INITIALLY DEFERRED);",
        )
    });
    let journal = journal.as_mut().expect("the tables are created");
    journal.load(&|_| Some(settings(COMMIT))).expect("it loads");
    let insert = "INSERT INTO friends VALUES ('nobody')";
    let change = Sqlite::tables(|tables| tables.execute_batch(insert));
    assert!(matches!(journal.commit(&mut [with("1", change)]), Err(StorageError::Failed(_))));
    let sql = "SELECT count(*) FROM eventwire_messages";
    assert_eq!(number(&directory.file(), sql), 0);
}

#[test]
fn a_change_for_another_storage_is_refused() {
    let directory = Directory::new();
    let mut journal = load(&directory);
    let foreign = TableChange::new(|tables| {
        tables.downcast_mut::<u8>().map(drop).ok_or_else(|| "no byte".to_owned())
    });
    let mut batch = [with("1", foreign)];
    journal.commit(&mut batch).expect("it commits");
    assert_eq!(batch[0].refused.as_deref(), Some("no byte"));
    let error = Sqlite::tables(|_| Ok(())).make(&mut 1_u8);
    assert_eq!(error, Err("the journal is not an SQLite file".to_owned()));
}

#[test]
fn tables_that_cannot_be_created_are_an_error() {
    let directory = Directory::new();
    let sql = "CREATE TABLE one (x); CREATE TABLE one (x)";
    let journal = directory.open().with_tables(|tables| tables.execute_batch(sql));
    assert!(matches!(journal, Err(StorageError::Failed(_))), "{journal:?}");
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'one'";
    assert_eq!(number(&directory.file(), sql), 0);
}
