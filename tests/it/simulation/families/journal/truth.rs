//! What is known of all messages.

use std::collections::{BTreeMap, BTreeSet};

use eventwire::Position;

use super::process::Process;
use super::{COMMIT_FIRST, NAMES};
use crate::util::disk::Image;

/// What all lives of a process have come to.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// The number of each message that a client has got, by its topic, epoch and offset.
    messages: BTreeMap<(usize, u64, u64), u64>,
    /// The newest acknowledged position of each topic that commits first, in its present epoch.
    acknowledged: [Option<Position>; COMMIT_FIRST],
    /// The numbers of the messages whose change of the table was stored, or was not.
    pub(super) stored: BTreeSet<u64>,
    pub(super) refused: BTreeSet<u64>,
    /// How many messages were broadcast.
    pub(super) count: u64,
    has_ended_in_order: Option<bool>,
    pub(super) outcomes: Outcomes,
}

/// What happened, in numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcomes {
    pub(super) recovered: u64,
    pub(super) recovered_after_crash: u64,
    pub(super) recovered_after_end: u64,
    pub(super) lost: u64,
    pub(super) acknowledged: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) full: u64,
}

impl Default for Outcomes {
    fn default() -> Self {
        Self::NONE
    }
}

impl Outcomes {
    pub(super) const NONE: Self = Self {
        recovered: 0,
        recovered_after_crash: 0,
        recovered_after_end: 0,
        lost: 0,
        acknowledged: 0,
        refused: 0,
        failed: 0,
        full: 0,
    };

    pub(super) fn counts(self) -> [(&'static str, u64); 8] {
        [
            ("recovered", self.recovered),
            ("recovered after a crash", self.recovered_after_crash),
            ("recovered after an end in order", self.recovered_after_end),
            ("lost", self.lost),
            ("acknowledged", self.acknowledged),
            ("refused", self.refused),
            ("failed", self.failed),
            ("full", self.full),
        ]
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            recovered: self.recovered + other.recovered,
            recovered_after_crash: self.recovered_after_crash + other.recovered_after_crash,
            recovered_after_end: self.recovered_after_end + other.recovered_after_end,
            lost: self.lost + other.lost,
            acknowledged: self.acknowledged + other.acknowledged,
            refused: self.refused + other.refused,
            failed: self.failed + other.failed,
            full: self.full + other.full,
        }
    }
}

impl Truth {
    /// A client has got a message.
    pub(super) fn note_message(&mut self, topic: usize, position: Position, number: u64) {
        assert!(!self.refused.contains(&number), "a refused message was delivered");
        let place = (topic, position.epoch(), position.offset());
        let known = *self.messages.entry(place).or_insert(number);
        assert_eq!(known, number, "two messages at {position}");
    }

    /// A message of a topic is stored.
    pub(super) fn acknowledge(&mut self, topic: usize, position: Position, number: u64) {
        self.outcomes.acknowledged += 1;
        self.note_message(topic, position, number);
        if topic < COMMIT_FIRST {
            let before = self.acknowledged[topic].replace(position);
            assert!(before.is_none_or(|before| before.offset() < position.offset()));
        }
    }

    /// The journal has failed: the topic has another epoch.
    pub(super) fn note_failure(&mut self, topic: usize) {
        self.outcomes.failed += 1;
        if topic < COMMIT_FIRST {
            self.acknowledged[topic] = None;
        }
    }

    /// A client comes back, for the first time in this life, and recovers.
    pub(super) fn note_recovery(&mut self, is_first: bool) {
        self.outcomes.recovered += 1;
        match self.has_ended_in_order {
            Some(true) if is_first => self.outcomes.recovered_after_end += 1,
            Some(false) if is_first => self.outcomes.recovered_after_crash += 1,
            _ => {}
        }
    }

    /// What was acknowledged before must be there.
    pub(super) fn begin_life(&mut self, process: &mut Process) {
        for (topic, acknowledged) in self.acknowledged.into_iter().enumerate() {
            let Some(acknowledged) = acknowledged else { continue };
            let newest = process.position(topic);
            assert_eq!(newest.epoch(), acknowledged.epoch(), "{}", NAMES[topic]);
            assert!(newest.offset() >= acknowledged.offset(), "{newest} after {acknowledged}");
        }
    }

    pub(super) fn end_life(&mut self, in_order: bool) {
        self.has_ended_in_order = Some(in_order);
    }

    /// Checks the order of all messages, and the application's table.
    pub(super) fn conclude(&self, image: &Image) {
        let mut before = None;
        for ((topic, epoch, offset), number) in &self.messages {
            if let Some((of, last)) = before {
                assert!(of != (topic, epoch) || last < number, "{topic} {epoch}:{offset}");
            }
            before = Some(((topic, epoch), number));
        }
        for number in &self.stored {
            assert!(image.table.contains(number), "{number} is not in the table");
        }
        for number in &self.refused {
            assert!(!image.table.contains(number), "{number} is in the table");
        }
    }
}
