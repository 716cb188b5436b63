//! Tests of a journal in a file.

mod batches;
mod changes;
mod damage;
mod epochs;
mod failures;
mod files;
mod loading;
mod model;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs, process};

use bytes::Bytes;
use rusqlite::Connection;

use super::Sqlite;
use crate::journal::TopicStorage;
use crate::journal::storage::{Change, Record, Storage, StoredMessage, StoredTopic};
use crate::topics::{Durability, History};

const COMMIT: Durability = Durability::CommitFirst;
const DELIVER: Durability = Durability::DeliverFirst;

/// A directory that is removed at the end of its test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("eventwire-sqlite-{}-{count}", process::id()));
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    /// The path of the journal.
    fn file(&self) -> PathBuf {
        self.0.join("journal.db")
    }

    fn open(&self) -> Sqlite {
        Sqlite::open(self.file()).expect("the journal opens")
    }

    /// A journal that was loaded, and what is stored in it.
    fn load(&self, settings: TopicStorage) -> (Sqlite, Vec<StoredTopic>) {
        let mut journal = self.open();
        let loaded = journal.load(&|_| Some(settings)).expect("the journal loads");
        (journal, loaded)
    }

    /// A connection of another program.
    fn shell(&self) -> Connection {
        Connection::open(self.file()).expect("the file opens")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Everything is kept and loaded.
fn settings(durability: Durability) -> TopicStorage {
    let all = History::of(1_000_000).bytes(usize::MAX).age(Duration::MAX);
    TopicStorage { durability, kept: all, loaded: all }
}

fn text(text: &str) -> StoredMessage {
    StoredMessage::Text(Bytes::copy_from_slice(text.as_bytes()))
}

/// A message of the epoch 7, which inherits nothing.
fn append(topic: &str, body: &str, settings: TopicStorage) -> Record {
    record(topic, Change::Append { offset: None, message: text(body) }, settings)
}

fn record(topic: &str, change: Change, storage: TopicStorage) -> Record {
    Record {
        topic: Arc::from(topic),
        epoch: 7,
        inherited: 1..1,
        storage,
        change,
        tables: None,
        refused: None,
    }
}

/// The texts of the topic's messages.
fn texts(topic: &StoredTopic) -> Vec<&str> {
    topic
        .messages
        .iter()
        .map(|message| std::str::from_utf8(message.payload()).expect("a text"))
        .collect()
}

/// A number that another program reads.
fn number(path: &Path, sql: &str) -> i64 {
    let shell = Connection::open(path).expect("the file opens");
    shell.query_row(sql, [], |row| row.get(0)).expect("a number")
}
