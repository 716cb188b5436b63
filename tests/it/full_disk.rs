//! A journal on a file system that is full for a while.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use eventwire::journal::rusqlite::Connection as Database;
use eventwire::journal::{Sqlite, StorageError};
use eventwire::{
    Config, Durability, DurableMessage, EventLoop, History, Journal, JournalConfig, JournalFailed,
    NotStored, Position, RunEnd, SendStatus, TopicConfig, TopicId,
};

use crate::util::Folder;

/// The small file system. Where it is set, this program uses it.
const DIRECTORY_VARIABLE: &str = "EVENTWIRE_FULL_DISK";

/// A message has that many bytes.
const MESSAGE_BYTES: usize = 20_000;

/// What the application has noted.
#[derive(Default)]
struct Notes {
    stored: BTreeSet<i64>,
    not_stored: BTreeSet<i64>,
    failures: Vec<StorageError>,
}

struct Settled(i64, Result<Position, NotStored>);

struct Loop {
    event_loop: EventLoop<Notes>,
    journal: Journal,
    topics: [TopicId; 2],
    notes: Notes,
}

impl Loop {
    fn start(file: &Path) -> Self {
        let kept = TopicConfig::default()
            .history(History::of(10))
            .stored(History::of(1_000_000).bytes(usize::MAX));
        let config = Config::default()
            .topics("committed", kept.clone().durable(Durability::CommitFirst))
            .topics("delivered", kept.durable(Durability::DeliverFirst));
        let mut event_loop = EventLoop::new(config).expect("a loop");
        let storage = Sqlite::open(file).and_then(|storage| {
            storage.with_tables(|database| {
                database.execute_batch("CREATE TABLE IF NOT EXISTS rows (number INTEGER)")
            })
        });
        let storage = storage.expect("the file opens");
        let journal = event_loop.journal(storage, JournalConfig::default()).expect("a journal");
        event_loop.on(|_, Settled(number, stored): &Settled, notes: &mut Notes| {
            let set = if stored.is_ok() { &mut notes.stored } else { &mut notes.not_stored };
            set.insert(*number);
        });
        event_loop.on(|_, failed: &JournalFailed, notes: &mut Notes| {
            notes.failures.push(failed.error.clone());
        });
        let topics = ["committed", "delivered"];
        let topics = topics.map(|name| event_loop.topic(name).expect("a topic"));
        Self { event_loop, journal, topics, notes: Notes::default() }
    }

    /// Stores a message of each topic, and a row beside the first.
    fn store(&mut self, number: i64) {
        let text = format!("{number:0MESSAGE_BYTES$}");
        let insert = Sqlite::tables(move |database| {
            database.execute("INSERT INTO rows VALUES (?1)", [number]).map(drop)
        });
        let mut cx = self.event_loop.context();
        let message = DurableMessage::new(&text).with(insert);
        let message = message.then(move |stored| Settled(number, stored));
        assert_eq!(cx.commit(self.topics[0], message), Ok(()));
        assert_eq!(cx.broadcast(self.topics[1], &text), SendStatus::Sent);
        while self.event_loop.stats().journal_waiting > 0 {
            let wait = Some(Duration::from_secs(1));
            self.event_loop.turn(wait, &mut self.notes).expect("a turn");
        }
        self.event_loop.turn(Some(Duration::ZERO), &mut self.notes).expect("a turn");
    }

    fn positions(&mut self) -> [Position; 2] {
        let cx = self.event_loop.context();
        self.topics.map(|topic| cx.position(topic).expect("a topic"))
    }

    fn shut_down(self) -> Notes {
        let Self { mut event_loop, journal, mut notes, .. } = self;
        event_loop.context().shutdown(Duration::from_secs(10));
        let summary = event_loop.run(&mut notes).expect("it runs");
        assert_eq!(summary.end, RunEnd::ShutDown);
        assert_eq!(journal.close(Duration::from_secs(10)), Ok(()));
        notes
    }
}

/// Stores messages until that fails, and further ones once there is space again.
fn fill_and_go_on(directory: &Path) {
    let (file, filler) = (directory.join("journal.db"), directory.join("filler"));
    let mut running = Loop::start(&file);
    let mut numbers = 1..;
    running.store(0);
    let before = running.positions();
    while running.notes.failures.is_empty() {
        running.store(numbers.next().expect("endless"));
    }
    let is_full = |error: &StorageError| *error == StorageError::Full;
    assert!(running.notes.failures.iter().all(is_full), "{:?}", running.notes.failures);
    // It stays full.
    let failures = running.notes.failures.len();
    running.store(numbers.next().expect("endless"));
    assert!(running.notes.failures.len() > failures);
    assert!(running.notes.failures.iter().all(is_full), "{:?}", running.notes.failures);
    let epochs = |positions: [Position; 2]| positions.map(Position::epoch);
    let ended = epochs(running.positions()).into_iter().zip(epochs(before));
    assert!(ended.into_iter().all(|(now, before)| now != before), "epochs have not ended");
    fs::remove_file(filler).expect("the filler is there");
    let failures = running.notes.failures.len();
    let later: Vec<i64> = numbers.take(3).collect();
    later.iter().for_each(|number| running.store(*number));
    assert_eq!(running.notes.failures.len(), failures);
    let after = running.positions();
    let notes = running.shut_down();
    assert_eq!(Loop::start(&file).positions(), after, "positions survive");
    check_file(&file, &notes, &later);
}

/// The file has the messages that were stored and their rows, and no others. Of the topic that
/// delivers first it has the messages of the new epoch.
fn check_file(file: &Path, notes: &Notes, later: &[i64]) {
    let database = Database::open(file).expect("the file opens");
    let numbers = |sql: &str| -> Vec<i64> {
        let mut query = database.prepare(sql).expect("tables");
        let rows = query.query_map([], |row| row.get(0)).expect("rows");
        rows.map(|row| row.expect("a number")).collect()
    };
    let rows = numbers("SELECT number FROM rows ORDER BY number");
    let [committed, delivered] = ["committed", "delivered"].map(|name| {
        numbers(&format!(
            "SELECT cast(body AS INTEGER) FROM eventwire_messages AS messages \
             JOIN eventwire_topics AS topics ON topics.id = messages.topic \
             WHERE topics.name = '{name}' ORDER BY offset"
        ))
    });
    assert!(rows.iter().eq(&notes.stored), "{:?} were not stored", notes.not_stored);
    assert_eq!((committed, &*delivered), (rows, later));
    let check: String =
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    assert_eq!(check, "ok");
}

/// Not a test: the tests here start this program again, in a small file system, with this alone.
#[test]
#[ignore = "the tests here start it"]
fn inside() {
    if let Some(directory) = env::var_os(DIRECTORY_VARIABLE) {
        fill_and_go_on(&PathBuf::from(directory));
    }
}

/// Uses a file system of so many MiB, of which so many are free.
fn run_in(name: &str, mebibytes: usize, free: usize) {
    let folder = Folder::new(name);
    let program = env::current_exe().expect("the path of this test");
    let taken = mebibytes - free;
    let script = format!(
        "mount -t tmpfs -o size={mebibytes}m tmpfs \"${DIRECTORY_VARIABLE}\" || exit 100\n\
         head -c {taken}M /dev/zero > \"${DIRECTORY_VARIABLE}/filler\" || exit 100\n\
         exec \"$0\" full_disk::inside --exact --ignored --nocapture"
    );
    // A user's own namespace, or root's.
    for namespace in ["-rm", "-m"] {
        let mut command = Command::new("unshare");
        command.args([namespace, "sh", "-c", &script]).arg(&program);
        let Ok(output) = command.env(DIRECTORY_VARIABLE, folder.path()).output() else {
            continue;
        };
        if output.status.success() {
            return;
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("running 1 test"), "{text}");
    }
    eprintln!("skipped: this machine mounts no file system for a test (unshare -rm)");
}

#[test]
fn a_journal_goes_on_when_a_full_disk_has_space_again() {
    run_in("full", 6, 2);
}

#[test]
fn a_journal_goes_on_when_there_was_space_for_its_log_and_none_for_its_file() {
    // The log is copied into the file at 16 MiB.
    run_in("full-later", 40, 20);
}
