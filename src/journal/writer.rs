//! Stores batches, on the journal's thread.

use std::any::Any;
use std::collections::BTreeMap;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::storage::{Change, Record, Storage, StorageError};

/// What a journal's writer and its loop share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// How many records the loop has handed over.
    pub(crate) accepted: AtomicU64,
    /// How the writer has ended, once it has.
    end: Mutex<Option<Result<(), StorageError>>>,
    ended: Condvar,
}

impl Shared {
    /// Waits until the writer has ended. `None` if that takes longer.
    pub(crate) fn wait(&self, timeout: Duration) -> Option<Result<(), StorageError>> {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.wait_timeout_while(end, timeout, |end| end.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

/// Stores the records of one journal.
pub(crate) struct Writer<T: Storage> {
    storage: T,
    /// The epochs of topics of which something was not stored. Nothing more of these is.
    broken: BTreeMap<Arc<str>, u64>,
    written: u64,
    // Dropped after the storage, which another loop may use then.
    ending: Ending,
}

/// Reports the end of a writer when it is dropped.
struct Ending {
    shared: Arc<Shared>,
    outcome: Result<(), StorageError>,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Settled {
    /// Of each record, in order.
    pub(crate) outcomes: Vec<Outcome>,
    /// Why records were not stored.
    pub(crate) error: Option<StorageError>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Stored,
    /// The change of the application's tables failed, with that message.
    Refused(String),
    /// The batch failed, or an earlier one of the topic's epoch.
    Failed,
}

impl<T: Storage> Writer<T> {
    pub(crate) const fn new(storage: T, shared: Arc<Shared>) -> Self {
        let ending = Ending { shared, outcome: Ok(()) };
        Self { storage, broken: BTreeMap::new(), written: 0, ending }
    }

    /// Stores a batch.
    pub(crate) fn write(&mut self, batch: Vec<Record>) -> Settled {
        self.written += batch.len() as u64;
        let mut outcomes: Vec<_> = batch.iter().map(|record| self.expected(record)).collect();
        let is_whole = !outcomes.contains(&Outcome::Failed);
        let mut batch = batch;
        if !is_whole {
            let mut kept = outcomes.iter();
            batch.retain(|_| kept.next() == Some(&Outcome::Stored));
        }
        let result = if batch.is_empty() { Ok(()) } else { self.commit(&mut batch) };
        let stored = outcomes.iter_mut().filter(|outcome| **outcome == Outcome::Stored);
        for (outcome, record) in stored.zip(&mut batch) {
            if result.is_err() {
                self.broken.insert(Arc::clone(&record.topic), record.epoch);
                *outcome = Outcome::Failed;
            } else if let Some(why) = record.refused.take() {
                *outcome = Outcome::Refused(why);
            }
        }
        if result.is_ok() && !self.broken.is_empty() {
            for record in &batch {
                self.broken.remove(&record.topic);
            }
        }
        let error = match result {
            Ok(()) if is_whole => None,
            Ok(()) => Some(StorageError::Failed("an earlier message was not stored".to_owned())),
            Err(error) => Some(error),
        };
        Settled { outcomes, error }
    }

    /// What becomes of a record, unless its batch fails.
    fn expected(&self, record: &Record) -> Outcome {
        let is_broken = self.broken.get(&record.topic) == Some(&record.epoch);
        if is_broken && record.change != Change::Remove { Outcome::Failed } else { Outcome::Stored }
    }

    fn commit(&mut self, batch: &mut [Record]) -> Result<(), StorageError> {
        guarded(|| self.storage.commit(batch))
    }

    fn end(&mut self) -> Result<(), StorageError> {
        let accepted = self.ending.shared.accepted.load(Ordering::Acquire);
        let missing = accepted.saturating_sub(self.written);
        if missing > 0 {
            return Err(StorageError::Failed(format!("{missing} changes were not stored")));
        }
        if !self.broken.is_empty() {
            return Err(StorageError::Failed("an epoch has ended by a failure".to_owned()));
        }
        guarded(|| self.storage.close())
    }
}

impl<T: Storage> Drop for Writer<T> {
    fn drop(&mut self) {
        self.ending.outcome = self.end();
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let outcome = mem::replace(&mut self.outcome, Ok(()));
        *self.shared.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.shared.ended.notify_all();
    }
}

/// Calls a storage, and makes its panic an error.
pub(crate) fn guarded<V>(
    call: impl FnOnce() -> Result<V, StorageError>,
) -> Result<V, StorageError> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|panic| Err(StorageError::Panicked(message(&*panic))))
}

/// The message of a panic.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
