//! The floor: a plain loop on SQLite, with the journal's tables and settings.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use eventwire::Durability;
use eventwire::journal::rusqlite::{Connection, Result as SqlResult};

use super::folder::Folder;
use super::paced::Paced;
use super::{KEPT, Setting, Stored};
use crate::error::Error;
use crate::load::Latencies;
use crate::machine::process_cpu;

const TABLES: &str = "
    CREATE TABLE topics (
        id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, epoch TEXT,
        first INTEGER NOT NULL, newest INTEGER NOT NULL, durability TEXT NOT NULL) STRICT;
    CREATE TABLE messages (
        topic INTEGER NOT NULL, offset INTEGER NOT NULL, time INTEGER NOT NULL,
        body ANY NOT NULL, PRIMARY KEY (topic, offset)) STRICT, WITHOUT ROWID;";

/// A file with the journal's tables.
struct Plain {
    connection: Connection,
    /// The newest offset of each topic, whose ids are those of the vector.
    newest: Vec<i64>,
    /// The topic of the next message.
    next: usize,
    body: String,
}

/// Stores messages in batches of that size, for that time after a quarter of it.
pub(super) fn measure(
    setting: &Setting,
    durability: Durability,
    batch: f64,
    time: Duration,
) -> Result<Stored, Error> {
    let folder = Folder::create(&setting.directory)?;
    let mut plain = Plain::open(&folder.file("plain.db"), durability, setting).map_err(failed)?;
    let batch = batch.round().max(1.0) as u64;
    plain.run(batch, time / 4).map_err(failed)?;
    let (start, cpu) = (Instant::now(), process_cpu());
    let commits = plain.run(batch, time).map_err(failed)?;
    let messages = (batch * commits) as f64;
    Ok(Stored {
        messages_per_second: messages / start.elapsed().as_secs_f64(),
        cpu_ns_per_message: (process_cpu() - cpu).as_nanos() as f64 / messages,
        messages_per_commit: batch as f64,
    })
}

/// Commits batches of that size, each of which is synchronised. Returns how long each takes.
pub(super) fn commits(setting: &Setting, batch: f64, paced: Paced) -> Result<Latencies, Error> {
    let folder = Folder::create(&setting.directory)?;
    let path = folder.file("plain.db");
    let mut plain = Plain::open(&path, Durability::CommitFirst, setting).map_err(failed)?;
    let batch = batch.ceil().max(1.0) as u64;
    paced.measure(|| plain.commit(batch).map_err(failed))
}

impl Plain {
    fn open(path: &Path, durability: Durability, setting: &Setting) -> SqlResult<Self> {
        let connection = Connection::open(path)?;
        let is_full = durability == Durability::CommitFirst;
        let synchronous = if is_full { "FULL" } else { "NORMAL" };
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
             PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4000;"
        ))?;
        connection.execute_batch(TABLES)?;
        for id in 0..setting.topics as i64 {
            let sql =
                "INSERT INTO topics VALUES (?1, ?1, '0123456789abcdef', 1, 0, 'commit first')";
            connection.execute(sql, [id])?;
        }
        let newest = vec![0; setting.topics];
        Ok(Self { connection, newest, next: 0, body: "x".repeat(setting.size) })
    }

    /// Commits batches for that time. Returns their number.
    fn run(&mut self, batch: u64, time: Duration) -> SqlResult<u64> {
        let until = Instant::now() + time;
        let mut commits = 0;
        while commits == 0 || Instant::now() < until {
            self.commit(batch)?;
            commits += 1;
        }
        Ok(commits)
    }

    /// Stores as many messages, in one transaction.
    fn commit(&mut self, messages: u64) -> SqlResult<()> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = since.as_millis() as i64;
        self.run_cached("BEGIN IMMEDIATE")?;
        let sql = "INSERT INTO messages (topic, offset, time, body) VALUES (?1, ?2, ?3, ?4)";
        let mut insert = self.connection.prepare_cached(sql)?;
        let changed = self.newest.len().min(messages as usize);
        let first = self.next;
        for _ in 0..messages {
            self.newest[self.next] += 1;
            let topic = self.next as i64;
            insert.execute((topic, self.newest[self.next], now, &self.body))?;
            self.next = (self.next + 1) % self.newest.len();
        }
        drop(insert);
        for index in 0..changed {
            self.finish((first + index) % self.newest.len())?;
        }
        self.run_cached("COMMIT")
    }

    /// Deletes what is not kept of a topic, and writes its row.
    fn finish(&self, topic: usize) -> SqlResult<()> {
        let newest = self.newest[topic];
        let oldest = (newest + 1 - KEPT as i64).max(1);
        let id = topic as i64;
        let sql = "DELETE FROM messages WHERE topic = ?1 AND offset < ?2";
        self.connection.prepare_cached(sql)?.execute((id, oldest))?;
        let sql = "UPDATE topics SET first = ?2, newest = ?3 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute((id, oldest, newest))?;
        Ok(())
    }

    fn run_cached(&self, sql: &str) -> SqlResult<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

fn failed(error: eventwire::journal::rusqlite::Error) -> Error {
    Error::Events(format!("SQLite failed: {error}"))
}
