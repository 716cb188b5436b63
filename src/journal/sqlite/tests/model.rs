//! Random batches, failures and ends, beside a model of what is to be stored.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{COMMIT, DELIVER, Directory, number, settings};
use crate::journal::storage::{Change, Record, Storage, StorageError, StoredMessage, TableChange};
use crate::journal::{Sqlite, TopicStorage};
use crate::topics::{Durability, History};

/// The first of each commits first; all are kept within both limits.
const TOPICS: [&str; 3] = ["a", "b", "c"];
const KEPT_MESSAGES: usize = 12;
const KEPT_BYTES: usize = 100;
const LOADED_MESSAGES: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Tables {
    Unchanged,
    Changed,
    Error,
    Panic,
}

#[derive(Clone, Debug)]
enum Action {
    Append {
        topic: usize,
        length: usize,
        is_numbered: bool,
        tables: Tables,
    },
    /// The next message begins an epoch that keeps so many before it.
    NewEpoch {
        topic: usize,
        keeps: u64,
    },
    Remove {
        topic: usize,
    },
}

#[derive(Clone, Copy, Debug)]
enum End {
    Goes,
    /// Fails with its last record.
    Fails,
    Closes,
    Crashes,
}

fn actions() -> impl Strategy<Value = Action> {
    let tables = prop_oneof![
        6 => Just(Tables::Unchanged),
        1 => Just(Tables::Changed),
        1 => Just(Tables::Error),
        1 => Just(Tables::Panic),
    ];
    let topic = || 0..TOPICS.len();
    prop_oneof![
        12 => (topic(), 0..30_usize, any::<bool>(), tables).prop_map(
            |(topic, length, is_numbered, tables)| {
                Action::Append { topic, length, is_numbered, tables }
            }
        ),
        2 => (topic(), 0..6_u64).prop_map(|(topic, keeps)| Action::NewEpoch { topic, keeps }),
        1 => topic().prop_map(|topic| Action::Remove { topic }),
    ]
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Goes),
        1 => Just(End::Fails),
        1 => Just(End::Closes),
        1 => Just(End::Crashes),
    ]
}

fn durability(topic: usize) -> Durability {
    if topic == 0 { COMMIT } else { DELIVER }
}

fn storage(topic: usize) -> TopicStorage {
    TopicStorage {
        kept: History::of(KEPT_MESSAGES as u64).bytes(KEPT_BYTES).age(Duration::MAX),
        loaded: History::of(LOADED_MESSAGES as u64).bytes(usize::MAX),
        ..settings(durability(topic))
    }
}

/// What is to be stored of a topic.
#[derive(Clone, Debug, Default)]
struct Stored {
    /// None if it has ended.
    epoch: Option<u64>,
    newest: u64,
    messages: Vec<StoredMessage>,
}

impl Stored {
    fn begin_epoch(&mut self, epoch: u64, first: u64) {
        let oldest = self.newest + 1 - self.messages.len() as u64;
        let gone = first.saturating_sub(oldest).min(self.messages.len() as u64);
        self.messages.drain(..gone as usize);
        self.epoch = Some(epoch);
    }

    fn append(&mut self, message: StoredMessage) {
        self.newest += 1;
        self.messages.push(message);
    }

    fn trim(&mut self) {
        let bytes = |messages: &[StoredMessage]| {
            messages.iter().map(|message| message.payload().len()).sum::<usize>()
        };
        while self.messages.len() > KEPT_MESSAGES || bytes(&self.messages) > KEPT_BYTES {
            self.messages.remove(0);
        }
    }
}

/// What the journal of a loop knows: the epoch of each topic, and what it inherits.
#[derive(Clone, Debug)]
struct Epoch {
    number: u64,
    inherited: Range<u64>,
}

struct Run {
    directory: Directory,
    journal: Option<Sqlite>,
    stored: BTreeMap<usize, Stored>,
    epochs: [Epoch; TOPICS.len()],
    next_epoch: u64,
    table_rows: i64,
}

impl Run {
    fn new() -> Self {
        let mut run = Self {
            directory: Directory::new(),
            journal: None,
            stored: BTreeMap::new(),
            epochs: std::array::from_fn(|_| Epoch { number: 0, inherited: 1..1 }),
            next_epoch: 1,
            table_rows: 0,
        };
        for topic in 0..TOPICS.len() {
            run.new_epoch(topic, 0);
        }
        run.open();
        run
    }

    fn new_epoch(&mut self, topic: usize, keeps: u64) {
        let newest = self.stored.get(&topic).map_or(0, |stored| stored.newest);
        let oldest = (newest + 1).saturating_sub(keeps).max(1);
        self.epochs[topic] = Epoch { number: self.next_epoch, inherited: oldest..newest + 1 };
        self.next_epoch += 1;
    }

    /// Opens the journal, and checks what it loads.
    fn open(&mut self) {
        let create = "CREATE TABLE IF NOT EXISTS rows (row)";
        let journal = self.directory.open().with_tables(|tables| tables.execute_batch(create));
        let mut journal = journal.expect("the tables are created");
        let index = |name: &str| TOPICS.iter().position(|topic| *topic == name);
        let loaded = journal.load(&|name| index(name).map(storage)).expect("it loads");
        self.journal = Some(journal);
        assert_eq!(loaded.len(), self.stored.len());
        for (found, (topic, stored)) in loaded.iter().zip(&self.stored) {
            assert_eq!(found.name, TOPICS[*topic]);
            assert_eq!(found.newest, stored.newest);
            let skipped = stored.messages.len().saturating_sub(LOADED_MESSAGES);
            assert_eq!(found.messages, stored.messages[skipped..]);
            assert_eq!(found.has_survived.then_some(found.epoch), stored.epoch);
        }
        let rows = number(&self.directory.file(), "SELECT count(*) FROM rows");
        assert_eq!(rows, self.table_rows);
        for topic in 0..TOPICS.len() {
            let survives = self.stored.get(&topic).is_some_and(|stored| stored.epoch.is_some());
            if !survives {
                self.new_epoch(topic, 3);
            }
        }
    }

    fn commit(&mut self, actions: &[Action], end: End) {
        let before = (self.stored.clone(), self.table_rows);
        let mut batch = Vec::new();
        for action in actions {
            batch.extend(self.take(action));
        }
        self.stored.values_mut().for_each(Stored::trim);
        let fails = matches!(end, End::Fails);
        if fails {
            let change = Change::Append { offset: Some(0), message: body(0) };
            batch.push(self.record(0, change, Tables::Unchanged));
        }
        let journal = self.journal.as_mut().expect("it is open");
        let committed = journal.commit(&mut batch);
        if fails {
            assert!(matches!(committed, Err(StorageError::Failed(_))), "{committed:?}");
            (self.stored, self.table_rows) = before;
            self.end_epochs(&batch);
        } else {
            assert_eq!(committed, Ok(()));
        }
    }

    /// The record of an action, which is also made in the model.
    fn take(&mut self, action: &Action) -> Option<Record> {
        match *action {
            Action::NewEpoch { topic, keeps } => {
                self.new_epoch(topic, keeps);
                None
            }
            Action::Remove { topic } => {
                let record = self.record(topic, Change::Remove, Tables::Unchanged);
                self.stored.remove(&topic);
                self.new_epoch(topic, 0);
                Some(record)
            }
            Action::Append { topic, length, is_numbered, tables } => {
                let epoch = self.epochs[topic].clone();
                let newest = self.stored.get(&topic).map_or(0, |stored| stored.newest);
                let offset = is_numbered.then_some(newest + 1);
                let message = body(length);
                let change = Change::Append { offset, message: message.clone() };
                let record = self.record(topic, change, tables);
                if !matches!(tables, Tables::Error | Tables::Panic) {
                    let stored = self.stored.entry(topic).or_default();
                    if stored.epoch != Some(epoch.number) {
                        stored.begin_epoch(epoch.number, epoch.inherited.start);
                    }
                    stored.append(message);
                }
                self.table_rows += i64::from(matches!(tables, Tables::Changed));
                Some(record)
            }
        }
    }

    fn record(&self, topic: usize, change: Change, tables: Tables) -> Record {
        let epoch = self.epochs[topic].clone();
        Record {
            topic: Arc::from(TOPICS[topic]),
            epoch: epoch.number,
            inherited: epoch.inherited,
            storage: storage(topic),
            change,
            tables: table_change(tables),
            refused: None,
        }
    }

    /// After a batch that failed, its topics have new epochs.
    fn end_epochs(&mut self, batch: &[Record]) {
        for (topic, name) in TOPICS.iter().enumerate() {
            if batch.iter().any(|record| *record.topic == **name) {
                if let Some(stored) = self.stored.get_mut(&topic) {
                    stored.epoch = None;
                }
                self.new_epoch(topic, 2);
            }
        }
    }

    fn restart(&mut self, is_orderly: bool) {
        let mut journal = self.journal.take().expect("it is open");
        if is_orderly {
            journal.close().expect("it closes");
        } else {
            let lost = self.stored.iter_mut().filter(|(topic, _)| durability(**topic) == DELIVER);
            lost.for_each(|(_, stored)| stored.epoch = None);
        }
        drop(journal);
        self.open();
    }
}

fn body(length: usize) -> StoredMessage {
    if length % 2 == 0 {
        StoredMessage::Text(Bytes::from("x".repeat(length)))
    } else {
        StoredMessage::Binary(Bytes::from(vec![0xff; length]))
    }
}

fn table_change(tables: Tables) -> Option<TableChange> {
    const INSERT: &str = "INSERT INTO rows VALUES (1)";
    match tables {
        Tables::Unchanged => None,
        Tables::Changed => Some(Sqlite::tables(|tables| tables.execute_batch(INSERT))),
        Tables::Error => Some(Sqlite::tables(|tables| {
            tables.execute_batch(INSERT)?;
            tables.execute_batch("nonsense")
        })),
        Tables::Panic => Some(Sqlite::tables(|tables| {
            tables.execute_batch(INSERT)?;
            std::panic::resume_unwind(Box::new("a panic without output"));
        })),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn what_is_stored_is_what_the_model_has(
        batches in proptest::collection::vec(
            (proptest::collection::vec(actions(), 0..8), ends()),
            1..25,
        ),
    ) {
        let mut run = Run::new();
        for (actions, end) in batches {
            run.commit(&actions, end);
            match end {
                End::Goes | End::Fails => {}
                End::Closes => run.restart(true),
                End::Crashes => run.restart(false),
            }
        }
        run.restart(true);
    }
}
