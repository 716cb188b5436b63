//! One topic: its subscribers, and the batches that are on their way to them.

use bytes::{Bytes, BytesMut};

use super::batch::Batch;
use crate::slots::Key;

/// A topic that was busy gives back what it holds beyond this, in bytes.
const KEEP: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Topic {
    pub(super) name: Box<str>,
    pub(super) subscribers: Vec<Subscriber>,
    /// How many of `subscribers`, from the first, the sealed batch was delivered to.
    pub(super) cursor: usize,
    /// What is being delivered.
    pub(super) sealed: Batch<Bytes>,
    /// What was broadcast since the sealed batch was.
    pub(super) open: Batch<BytesMut>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    pub(super) conn: Key,
    /// Where this subscription stands in the member's list.
    pub(super) position: u32,
    /// The last broadcast before the subscription.
    pub(super) since: u64,
}

impl Topic {
    pub(super) fn last(&self) -> u64 {
        self.open.last().max(self.sealed.last())
    }

    /// Makes the open batch the one that is delivered.
    pub(super) fn seal(&mut self) {
        self.cursor = 0;
        self.sealed.frames = self.open.frames.split().freeze();
        std::mem::swap(&mut self.sealed.marks, &mut self.open.marks);
    }

    /// Forgets the batch that was delivered to all; whether another waits.
    pub(super) fn finish(&mut self) -> bool {
        self.cursor = 0;
        self.sealed.frames = Bytes::new();
        self.sealed.marks.clear();
        let waiting = !self.open.marks.is_empty();
        if !waiting && self.open.frames.capacity() > KEEP {
            self.open = Batch::default();
        }
        waiting
    }
}
