//! What the journal has taken, and has not settled yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::bus::jobs::Workers;
use crate::engine::journal::outcome::Then;
use crate::journal::{Outcome, Record, Settled, Shared, StoredMessage};
use crate::slots::Key;
use crate::time::Time;
use crate::topics::Position;

/// Memory of a record besides its payload: a bound of the memory of records without payload.
const RECORD_BYTES: usize = 256;

/// The loop's journal, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Journaling {
    pub(crate) attached: Option<Attached>,
    pub(crate) counts: Counts,
}

/// What the loop counts of its journal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    pub(crate) commits: u64,
    pub(crate) largest: u64,
    pub(crate) failed: u64,
    pub(crate) refused: u64,
}

/// A journal that the loop uses.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) workers: Workers<Record>,
    pub(crate) shared: Arc<Shared>,
    /// In the order of the records.
    waiting: VecDeque<Waiting>,
    /// Bytes of the records that wait.
    bytes: usize,
    /// The most of them.
    bytes_max: usize,
}

/// A record that waits for the journal.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) topic: Key,
    pub(crate) epoch: u64,
    /// When it was taken.
    pub(crate) since: Time,
    /// Bytes of the record.
    pub(crate) bytes: usize,
    pub(crate) what: Pending,
    pub(crate) then: Option<Then>,
}

/// What happens once a record is stored.
#[derive(Debug)]
pub(crate) enum Pending {
    /// The message is delivered.
    Delivery(Delivery),
    /// Nothing: the message was delivered.
    Delivered(Position),
    /// Nothing: the topic was removed.
    Removed,
}

/// A message that is delivered once it is stored.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: StoredMessage,
    pub(crate) may_compress: bool,
    pub(crate) key: Box<str>,
    pub(crate) except: Option<Key>,
}

impl Counts {
    pub(crate) fn add(&mut self, settled: &Settled) {
        let (mut stored, mut failed, mut refused) = (0, 0, 0);
        for outcome in &settled.outcomes {
            match outcome {
                Outcome::Stored => stored += 1,
                Outcome::Refused(_) => refused += 1,
                Outcome::Failed => failed += 1,
            }
        }
        self.messages += stored;
        self.failed += failed;
        self.refused += refused;
        self.commits += 1;
        self.largest = self.largest.max(stored);
    }
}

impl Attached {
    pub(crate) const fn new(
        workers: Workers<Record>,
        shared: Arc<Shared>,
        bytes_max: usize,
    ) -> Self {
        Self { workers, shared, waiting: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Whether a message of `len` bytes can be taken.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        let fits = self.bytes == 0 || self.bytes + len + RECORD_BYTES <= self.bytes_max;
        fits && self.workers.has_room()
    }

    /// Takes a record. Returns whether it did.
    pub(crate) fn take(&mut self, record: Record, waiting: Waiting) -> bool {
        let bytes = waiting.bytes + RECORD_BYTES;
        if self.workers.submit(record).is_err() {
            return false;
        }
        self.shared.accepted.fetch_add(1, Ordering::Release);
        self.bytes += bytes;
        self.waiting.push_back(Waiting { bytes, ..waiting });
        true
    }

    /// The next record that is settled.
    pub(crate) fn next(&mut self) -> Option<Waiting> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.bytes;
        Some(next)
    }

    /// How many records wait, and their bytes.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.waiting.len(), self.bytes)
    }
}
