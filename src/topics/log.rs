//! A topic's delivered batches: what lagging subscribers need, and its history.

use std::collections::VecDeque;

use bytes::Bytes;

use super::batch::Batch;
use super::shrink::shrink_queue;
use super::topic::Topic;
use crate::time::Time;

impl Topic {
    /// Appends a batch to the log, which was delivered just now.
    pub(super) fn append_to_log(&mut self, mut batch: Batch<Bytes>, now: Time) {
        batch.delivered = now;
        debug_assert!(self.log.back().is_none_or(|newest| newest.last() < batch.first()));
        self.log_frames += batch.frames.len();
        self.log_memory += batch.memory_bytes();
        self.log.push_back(batch);
    }

    /// Whether delivered batches are kept.
    pub(super) const fn keeps_log(&self) -> bool {
        self.lagging > 0 || self.history.is_some()
    }

    /// Whether the oldest logged batch must go: neither a lagging subscriber nor the history needs
    /// it. The log has at most `limit` bytes of frames for lagging subscribers.
    pub(super) fn outgrows(&self, limit: usize, now: Time) -> bool {
        !self.log.is_empty() && !self.is_oldest_pending(limit) && !self.is_oldest_kept(now)
    }

    /// Whether a lagging subscriber needs the oldest logged batch. One that needs only the last
    /// broadcast finds it in the newest batch, unless every broadcast in there leaves a subscriber
    /// out.
    fn is_oldest_pending(&self, limit: usize) -> bool {
        let Some(newest) = self.log.back().filter(|_| self.log.len() > 1) else {
            return self.lagging > 0;
        };
        let is_newest_enough = self.queueing == 0 && newest.exceptions < newest.marks.len();
        self.lagging > 0 && self.log_frames <= limit && !is_newest_enough
    }

    /// Whether the history has a message of the oldest logged batch.
    fn is_oldest_kept(&self, now: Time) -> bool {
        let (Some(history), Some(oldest)) = (self.history, self.log.front()) else {
            return false;
        };
        let undelivered = self.sealed.frames.len() + self.open.frames.len();
        let later = self.log_frames - oldest.frames.len() + undelivered;
        let last = oldest.marks.last().map_or(0, |mark| mark.number);
        last >= history.first_of(self.broadcasts).max(self.since)
            && later < history.bytes_max()
            && history.keeps_since(oldest.delivered, now)
    }

    /// The number of the oldest message that the history has, or that of the next one if it has
    /// none.
    pub(super) fn history_start(&self, now: Time) -> u64 {
        let next = self.broadcasts + 1;
        let Some(history) = self.history else {
            return next;
        };
        let (mut start, mut bytes) = (next, 0);
        let undelivered = [&self.open.marks, &self.sealed.marks];
        let kept = self.log.iter().rev();
        let kept = kept.take_while(|batch| history.keeps_since(batch.delivered, now));
        for marks in undelivered.into_iter().chain(kept.map(|batch| &batch.marks)) {
            let Some((first, last)) = marks.first().zip(marks.last()) else {
                continue;
            };
            if bytes + last.end > history.bytes_max() {
                // The frames from the one whose predecessor ends at `cut` or later.
                let cut = last.end - (history.bytes_max() - bytes);
                let gone = marks.partition_point(|mark| mark.end < cut) + 1;
                start = marks.get(gone).map_or(start, |mark| mark.number);
                break;
            }
            bytes += last.end;
            start = first.number;
        }
        start.max(history.first_of(self.broadcasts)).max(self.since)
    }

    /// Drops what only lagging subscribers needed, when there are none any more.
    pub(super) fn trim_log(&mut self) {
        if self.history.is_none() {
            self.clear_log();
            return;
        }
        // Of an unchanged age: that is looked at with each batch.
        while self.log.front().is_some_and(|oldest| !self.is_oldest_kept(oldest.delivered)) {
            self.pop_logged();
        }
    }

    /// Removes the oldest batch from the log.
    pub(super) fn pop_logged(&mut self) -> Option<Batch<Bytes>> {
        let oldest = self.log.pop_front()?;
        self.log_frames -= oldest.frames.len();
        self.log_memory -= oldest.memory_bytes();
        shrink_queue(&mut self.log, 0);
        Some(oldest)
    }

    fn clear_log(&mut self) {
        self.log = VecDeque::new();
        (self.log_frames, self.log_memory) = (0, 0);
    }
}
