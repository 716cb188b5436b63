//! A disk in memory that a journal can use, which fails as a test wants.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use eventwire::Durability;
use eventwire::journal::{
    Change, Record, Storage, StorageError, StoredMessage, StoredTopic, TopicStorage,
};

/// A disk, which outlives the loops that use it.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What is read now.
    present: Image,
    /// What survives a loss of power: the last synchronised image, and those after it, of which
    /// any may be the last that survives.
    synced: Image,
    unsynced: Vec<Image>,
    faults: VecDeque<Fault>,
    /// It acknowledges what it has not synchronised.
    lies: bool,
    /// How often the disk was taken away from its user.
    users: u64,
}

/// What happens at a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing, as usual.
    Nothing,
    /// Nothing is stored.
    Failure,
    /// The device is full.
    Full,
    /// Everything is stored, and yet it fails.
    FailureAfterwards,
    /// It panics.
    Panic,
}

/// What is on the disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Image {
    pub(crate) topics: BTreeMap<String, StoredRows>,
    /// Values of an application's own table.
    pub(crate) table: Vec<u64>,
    has_ended: bool,
}

/// A topic on the disk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredRows {
    /// None if it has ended: a later end in order does not bring it back.
    pub(crate) epoch: Option<u64>,
    pub(crate) newest: u64,
    pub(crate) durability: Durability,
    pub(crate) messages: VecDeque<(u64, StoredMessage)>,
}

/// A user of the disk.
pub(crate) struct DiskStorage {
    disk: Disk,
    user: u64,
}

impl Disk {
    /// A storage that uses the disk. One that was made before cannot use it any more.
    pub(crate) fn storage(&self) -> DiskStorage {
        let mut state = self.lock();
        state.users += 1;
        DiskStorage { disk: self.clone(), user: state.users }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no user panics while it has the lock")
    }

    /// Has further commits end in this way, the first fault first.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// What is on the disk.
    pub(crate) fn image(&self) -> Image {
        self.lock().present.clone()
    }

    /// The texts of a topic that are on the disk.
    pub(crate) fn texts(&self, topic: &str) -> Vec<String> {
        let image = self.image();
        let rows = image.topics.get(topic).map(|rows| rows.messages.iter()).into_iter().flatten();
        rows.map(|(_, message)| String::from_utf8_lossy(message.payload()).into_owned()).collect()
    }

    /// From now on, the disk acknowledges what it has not synchronised.
    pub(crate) fn lie(&self) {
        self.lock().lies = true;
    }

    /// How often the disk was used: another number for each user.
    pub(crate) fn users(&self) -> u64 {
        self.lock().users
    }

    /// The process ends at once: its user cannot use the disk any more.
    pub(crate) fn kill(&self) {
        self.lock().users += 1;
    }

    /// The power is lost: of what was not synchronised, a part survives, which `choice` decides.
    pub(crate) fn lose_power(&self, choice: usize) {
        let mut state = self.lock();
        state.users += 1;
        let survived = choice % (state.unsynced.len() + 1);
        let image = survived.checked_sub(1).map(|at| state.unsynced[at].clone());
        let survivor = image.unwrap_or_else(|| state.synced.clone());
        (state.synced, state.unsynced) = (survivor.clone(), Vec::new());
        state.present = survivor;
    }
}

impl State {
    fn write(&mut self, image: Image, is_synced: bool) {
        self.present = image.clone();
        if is_synced && !self.lies {
            self.unsynced.clear();
            self.synced = image;
        } else {
            self.unsynced.push(image);
        }
    }
}

impl DiskStorage {
    fn state(&self) -> Result<MutexGuard<'_, State>, StorageError> {
        let state = self.disk.lock();
        if state.users == self.user {
            Ok(state)
        } else {
            Err(StorageError::Failed("the disk is gone".to_owned()))
        }
    }
}

impl Storage for DiskStorage {
    fn load(
        &mut self,
        wanted: &dyn Fn(&str) -> Option<TopicStorage>,
    ) -> Result<Vec<StoredTopic>, StorageError> {
        let mut state = self.state()?;
        let mut image = state.present.clone();
        let has_ended = std::mem::replace(&mut image.has_ended, false);
        let mut found = Vec::new();
        for (name, rows) in &mut image.topics {
            let has_survived = has_ended || rows.durability == Durability::CommitFirst;
            let epoch = rows.epoch.filter(|_| has_survived);
            rows.epoch = epoch;
            let Some(storage) = wanted(name) else { continue };
            rows.durability = storage.durability;
            let most = usize::try_from(storage.loaded.messages_max()).unwrap_or(usize::MAX);
            let messages = rows.messages.iter().rev().take(most).rev();
            found.push(StoredTopic {
                name: name.clone(),
                epoch: epoch.unwrap_or(0),
                has_survived: epoch.is_some(),
                newest: rows.newest,
                messages: messages.map(|(_, message)| message.clone()).collect(),
            });
        }
        state.write(image, true);
        Ok(found)
    }

    fn commit(&mut self, batch: &mut [Record]) -> Result<(), StorageError> {
        let mut state = self.state()?;
        let fault = state.faults.pop_front().unwrap_or(Fault::Nothing);
        match fault {
            Fault::Failure => return Err(StorageError::Failed("a fault".to_owned())),
            Fault::Full => return Err(StorageError::Full),
            Fault::Panic => {
                drop(state);
                panic!("a fault");
            }
            Fault::Nothing | Fault::FailureAfterwards => {}
        }
        let mut image = state.present.clone();
        batch.iter_mut().for_each(|record| image.apply(record));
        let commits_first = |record: &Record| record.storage.durability == Durability::CommitFirst;
        state.write(image, batch.iter().any(commits_first));
        match fault {
            Fault::Nothing => Ok(()),
            _ => Err(StorageError::Failed("a fault afterwards".to_owned())),
        }
    }

    fn close(&mut self) -> Result<(), StorageError> {
        let mut state = self.state()?;
        let image = Image { has_ended: true, ..state.present.clone() };
        state.write(image, true);
        Ok(())
    }
}

impl Image {
    fn apply(&mut self, record: &mut Record) {
        let Change::Append { offset, message } = &record.change else {
            self.topics.remove(&*record.topic);
            return;
        };
        if let Some(change) = record.tables.take() {
            if let Err(why) = change.make(&mut self.table) {
                record.refused = Some(why);
                return;
            }
        }
        let rows = self.topics.entry(record.topic.to_string()).or_insert_with(|| StoredRows {
            epoch: Some(record.epoch),
            newest: record.inherited.end - 1,
            durability: record.storage.durability,
            messages: VecDeque::new(),
        });
        if rows.epoch != Some(record.epoch) {
            rows.messages.retain(|(number, _)| record.inherited.contains(number));
            rows.newest = record.inherited.end - 1;
            rows.epoch = Some(record.epoch);
        }
        rows.newest += 1;
        assert!(offset.is_none_or(|offset| offset == rows.newest), "{record:?}");
        rows.messages.push_back((rows.newest, message.clone()));
        while rows.messages.len() as u64 > record.storage.kept.messages_max() {
            rows.messages.pop_front();
        }
    }
}
