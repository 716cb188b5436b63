//! The floor: a plain loop on SQLite with the journal's tables and settings, and the device by
//! itself.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use eventwire::Durability;
use eventwire::journal::rusqlite::{self, Connection};

use super::setting::{KEPT, Setting, Stored};
use crate::error::Error;
use crate::load::{Latencies, no_latencies};
use crate::scenario::{Sample, Timing};

const TABLES: &str = "
    CREATE TABLE topics (
        id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, epoch TEXT,
        first INTEGER NOT NULL, newest INTEGER NOT NULL, durability TEXT NOT NULL) STRICT;
    CREATE TABLE messages (
        topic INTEGER NOT NULL, offset INTEGER NOT NULL, time INTEGER NOT NULL,
        body ANY NOT NULL, PRIMARY KEY (topic, offset)) STRICT, WITHOUT ROWID;";

/// How often something is done, and for how long.
///
/// The device is measured as often as the engine commits, because pauses change how long a
/// synchronisation takes, and how long a thread waits for its CPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paced {
    pub(super) every: Duration,
    pub(super) time: Duration,
}

/// Stores messages in batches of that size for the time of a round.
pub(super) fn store(
    setting: &Setting,
    durability: Durability,
    batch: f64,
    timing: Timing,
) -> Result<Sample, Error> {
    let folder = setting.folder()?;
    let mut plain = Plain::open(&folder.file("plain.db"), durability, setting).map_err(failed)?;
    let batch = batch.round().max(1.0) as u64;
    plain.run(batch, timing.warm_up).map_err(failed)?;
    let before = Stored::now(0, 0);
    let commits = plain.run(batch, timing.duration).map_err(failed)?;
    Ok(Stored::now(batch * commits, commits).since(before))
}

/// Commits batches of that size, each of which is synchronised. Returns how long each takes.
pub(super) fn commit(setting: &Setting, batch: f64, paced: Paced) -> Result<Latencies, Error> {
    let folder = setting.folder()?;
    let path = folder.file("plain.db");
    let mut plain = Plain::open(&path, Durability::CommitFirst, setting).map_err(failed)?;
    let batch = batch.ceil().max(1.0) as u64;
    paced.measure(|| plain.commit(batch).map_err(failed))
}

/// Writes 4 KiB and synchronises them. Returns how long each takes. A write-ahead log is written
/// again and again, so the blocks of the file are, too.
pub(super) fn synchronise(setting: &Setting, paced: Paced) -> Result<Latencies, Error> {
    const BLOCK: [u8; 4096] = [1; 4096];
    const BLOCKS: u64 = 1024;
    let what = "cannot write and synchronise a file";
    let folder = setting.folder()?;
    let file = File::create(folder.file("blocks")).map_err(Error::system(what))?;
    let write = |block| file.write_all_at(&BLOCK, block * BLOCK.len() as u64);
    (0..BLOCKS).try_for_each(write).map_err(Error::system(what))?;
    file.sync_all().map_err(Error::system(what))?;
    let mut blocks = (0..BLOCKS).cycle();
    paced.measure(|| {
        let written = blocks.next().map_or(Ok(()), write);
        written.and_then(|()| file.sync_data()).map_err(Error::system(what))
    })
}

impl Paced {
    /// Does it again and again, once at least. Returns how long it takes, in nanoseconds.
    fn measure(self, mut act: impl FnMut() -> Result<(), Error>) -> Result<Latencies, Error> {
        let mut latencies = no_latencies();
        let until = Instant::now() + self.time;
        loop {
            let start = Instant::now();
            act()?;
            let taken = start.elapsed();
            latencies.saturating_record(taken.as_nanos() as u64);
            if Instant::now() >= until {
                return Ok(latencies);
            }
            thread::sleep(self.every.saturating_sub(taken));
        }
    }
}

/// A file with the journal's tables.
struct Plain {
    connection: Connection,
    topics: i64,
    body: String,
    /// Messages so far, which go to the topics in turn.
    stored: i64,
}

impl Plain {
    fn open(path: &Path, durability: Durability, setting: &Setting) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        let is_full = durability == Durability::CommitFirst;
        let synchronous = if is_full { "FULL" } else { "NORMAL" };
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
             PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4000; {TABLES}"
        ))?;
        let topics = setting.topics as i64;
        let sql = "INSERT INTO topics VALUES (?1, ?1, '0123456789abcdef', 1, 0, 'commit first')";
        (0..topics).try_for_each(|id| connection.execute(sql, [id]).map(drop))?;
        Ok(Self { connection, topics, body: "x".repeat(setting.size), stored: 0 })
    }

    /// Commits batches for that time. Returns their number.
    fn run(&mut self, batch: u64, time: Duration) -> rusqlite::Result<u64> {
        let until = Instant::now() + time;
        let mut commits = 0;
        while commits == 0 || Instant::now() < until {
            self.commit(batch)?;
            commits += 1;
        }
        Ok(commits)
    }

    /// Stores as many messages, in one transaction. Of their topics it deletes what is not kept,
    /// and writes the rows.
    fn commit(&mut self, messages: u64) -> rusqlite::Result<()> {
        let prepare = |sql| self.connection.prepare_cached(sql);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = since.as_millis() as i64;
        let end = self.stored + messages as i64;
        let place = |number| (number % self.topics, number / self.topics + 1);
        prepare("BEGIN IMMEDIATE")?.execute([])?;
        let mut insert =
            prepare("INSERT INTO messages (topic, offset, time, body) VALUES (?1, ?2, ?3, ?4)")?;
        for (topic, offset) in (self.stored..end).map(place) {
            insert.execute((topic, offset, now, &self.body))?;
        }
        let mut delete = prepare("DELETE FROM messages WHERE topic = ?1 AND offset < ?2")?;
        let mut update = prepare("UPDATE topics SET first = ?2, newest = ?3 WHERE id = ?1")?;
        for (topic, newest) in (self.stored.max(end - self.topics)..end).map(place) {
            let oldest = (newest + 1 - KEPT as i64).max(1);
            delete.execute((topic, oldest))?;
            update.execute((topic, oldest, newest))?;
        }
        prepare("COMMIT")?.execute([])?;
        self.stored = end;
        Ok(())
    }
}

fn failed(error: rusqlite::Error) -> Error {
    Error::Events(format!("SQLite failed: {error}"))
}
