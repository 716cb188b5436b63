//! Which files open.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{COMMIT, Directory, append, number, settings};
use crate::journal::Sqlite;
use crate::journal::storage::{Storage, StorageError};

/// Earlier ones may corrupt a file when the write-ahead log starts over.
#[test]
fn the_library_is_of_a_version_that_keeps_its_log_whole() {
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}

#[test]
fn a_new_file_is_empty_and_in_write_ahead_mode() {
    let directory = Directory::new();
    let (mut journal, loaded) = directory.load(settings(COMMIT));
    assert_eq!(loaded, []);
    journal.close().expect("it closes");
    drop(journal);
    let mode: String =
        directory.shell().query_row("PRAGMA journal_mode", [], |row| row.get(0)).expect("a mode");
    assert_eq!(mode, "wal");
}

#[test]
fn a_missing_directory_is_not_made() {
    let directory = Directory::new();
    let path = directory.0.join("missing").join("journal.db");
    assert!(matches!(Sqlite::open(&path), Err(StorageError::Unavailable(_))));
    assert!(!directory.0.join("missing").exists());
}

#[test]
fn a_directory_is_no_journal() {
    let directory = Directory::new();
    for path in [directory.0.clone(), directory.0.join("..")] {
        assert!(matches!(Sqlite::open(&path), Err(StorageError::Unavailable(_))), "{path:?}");
    }
}

#[test]
fn names_that_mean_memory_to_sqlite_are_names_of_files() {
    let directory = Directory::new();
    for name in [":memory:", "file:memory?mode=memory"] {
        let path = directory.0.join(name);
        drop(Sqlite::open(&path).expect("the journal opens"));
        assert!(path.exists(), "{name}");
    }
    assert!(matches!(Sqlite::open(""), Err(StorageError::Unavailable(_))));
}

#[test]
fn a_second_loop_is_locked_out_until_the_first_ends() {
    let directory = Directory::new();
    let path = directory.file();
    let (mut first, _) = directory.load(settings(COMMIT));
    let locked = StorageError::Locked(path.canonicalize().expect("a path").display().to_string());
    assert_eq!(Sqlite::open(&path).err(), Some(locked.clone()));
    let link = directory.0.join("link.db");
    symlink(&path, &link).expect("a link");
    assert_eq!(Sqlite::open(&link).err(), Some(locked.clone()));
    first.commit(&mut [append("a", "1", settings(COMMIT))]).expect("it commits");
    first.close().expect("it closes");
    assert_eq!(Sqlite::open(&path).err(), Some(locked));
    drop(first);
    assert_eq!(directory.load(settings(COMMIT)).1.len(), 1);
}

#[test]
fn other_programs_read_while_a_loop_uses_the_file() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(COMMIT));
    journal.commit(&mut [append("a", "1", settings(COMMIT))]).expect("it commits");
    let reader = directory.shell();
    reader.execute_batch("BEGIN; SELECT * FROM eventwire_messages;").expect("it reads");
    journal.commit(&mut [append("a", "2", settings(COMMIT))]).expect("it commits");
    journal.close().expect("it closes");
    assert_eq!(number(&directory.file(), "SELECT count(*) FROM eventwire_messages"), 2);
}

#[test]
fn an_applications_database_gets_the_journals_tables() {
    let directory = Directory::new();
    directory.shell().execute_batch("CREATE TABLE users (name)").expect("a table");
    let (mut journal, _) = directory.load(settings(COMMIT));
    journal.commit(&mut [append("a", "1", settings(COMMIT))]).expect("it commits");
    assert_eq!(number(&directory.file(), "SELECT count(*) FROM users"), 0);
    assert_eq!(number(&directory.file(), "SELECT count(*) FROM eventwire_topics"), 1);
}

#[test]
fn a_file_of_something_else_is_foreign() {
    let directory = Directory::new();
    fs::write(directory.file(), "This is a letter. ".repeat(500)).expect("a file");
    let Err(StorageError::Foreign(why)) = Sqlite::open(directory.file()) else {
        panic!("it is no journal");
    };
    assert!(why.contains("journal.db"), "{why}");
    assert!(fs::read(directory.file()).expect("a file").starts_with(b"This is"));
}

#[test]
fn tables_of_the_same_names_are_foreign() {
    for sql in [
        "CREATE TABLE eventwire_meta (key, value)",
        "CREATE TABLE Eventwire_Topics (name)",
        "CREATE VIEW eventwire_messages AS SELECT 1",
    ] {
        let directory = Directory::new();
        directory.shell().execute_batch(sql).expect("a table");
        let error = Sqlite::open(directory.file()).err();
        assert!(matches!(error, Some(StorageError::Foreign(_))), "{sql}: {error:?}");
    }
}

#[test]
fn text_of_another_encoding_is_foreign() {
    let directory = Directory::new();
    let sql = "PRAGMA encoding = 'UTF-16le'; CREATE TABLE users (name)";
    directory.shell().execute_batch(sql).expect("a table");
    let error = Sqlite::open(directory.file()).err();
    assert!(matches!(error, Some(StorageError::Foreign(_))), "{error:?}");
}

#[test]
fn a_newer_format_is_named() {
    let directory = Directory::new();
    drop(directory.open());
    let sql = "UPDATE eventwire_meta SET value = 2 WHERE name = 'format'; \
               ALTER TABLE eventwire_topics ADD COLUMN news TEXT";
    directory.shell().execute_batch(sql).expect("a change");
    assert_eq!(Sqlite::open(directory.file()).err(), Some(StorageError::Newer(2)));
}

#[test]
fn a_missing_table_or_format_is_damage() {
    for sql in [
        "DROP TABLE eventwire_messages",
        "DELETE FROM eventwire_meta",
        "UPDATE eventwire_meta SET value = 0",
    ] {
        let directory = Directory::new();
        drop(directory.open());
        directory.shell().execute_batch(sql).expect("a change");
        let error = Sqlite::open(directory.file()).err();
        assert!(matches!(error, Some(StorageError::Damaged(_))), "{sql}: {error:?}");
    }
}

#[test]
fn what_cannot_be_written_is_unavailable() {
    let directory = Directory::new();
    drop(directory.open());
    let set = |path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set(directory.file(), 0o444).expect("permissions");
    let may_all = fs::OpenOptions::new().write(true).open(directory.file()).is_ok();
    let of_file = Sqlite::open(directory.file()).err();
    set(directory.0.clone(), 0o555).expect("permissions");
    let of_directory = Sqlite::open(directory.0.join("other.db")).err();
    set(directory.0.clone(), 0o755).expect("permissions");
    // The superuser may write everywhere.
    if !may_all {
        assert!(matches!(of_file, Some(StorageError::Unavailable(_))), "{of_file:?}");
        assert!(matches!(of_directory, Some(StorageError::Unavailable(_))), "{of_directory:?}");
    }
}

#[test]
fn the_documented_queries_run() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(COMMIT));
    let mut batch = [append("lobby", "hello", settings(COMMIT))];
    journal.commit(&mut batch).expect("it commits");
    let docs = include_str!("../mod.rs").replace("/// ", "").replace("///", "");
    let (_, queries) = docs.split_once("```sql\n").expect("queries");
    let (queries, _) = queries.split_once("```").expect("an end of the queries");
    let shell = directory.shell();
    let mut rows = 0;
    for sql in queries.split(';').filter(|sql| !sql.trim().is_empty()) {
        let mut query = shell.prepare(sql).expect("the query is valid");
        let mut found = query.query([]).expect("the query runs");
        while found.next().expect("a row").is_some() {
            rows += 1;
        }
    }
    assert_eq!(rows, 2, "a topic, and its message");
}
