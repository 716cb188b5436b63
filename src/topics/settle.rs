//! What a connection is owed by several topics, in the order of the broadcasts.

use super::Topics;
use super::batch::{Batch, Run};
use crate::slots::Key;

/// Frames that one topic owes a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    pub(super) sequence: u64,
    pub(super) topic: Key,
    pub(super) sealed: bool,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Topics {
    /// Hands over everything that the connection is owed, in the order of the broadcasts.
    pub(crate) fn settle(&mut self, conn: Key, mut append: impl FnMut(&Run<'_>)) {
        let Some(member) = self.members.get_mut(conn.index()) else {
            return;
        };
        if self.active.is_empty() || member.subscriptions.is_empty() {
            return;
        }
        self.owed.clear();
        for held in &member.subscriptions {
            let Some(topic) = self.topics.get(held.topic) else {
                continue;
            };
            let since = topic.subscribers[held.position as usize].since;
            let after = since.max(member.served);
            topic.sealed.owed_after(after, held.topic, true, &mut self.owed);
            topic.open.owed_after(after, held.topic, false, &mut self.owed);
        }
        member.served = self.sequence;
        self.owed.sort_unstable_by_key(|owed| owed.sequence);
        let mut rest = &self.owed[..];
        while let Some((first, others)) = rest.split_first() {
            let joined = others
                .iter()
                .zip(rest)
                .take_while(|(next, owed)| {
                    next.topic == owed.topic && next.sealed == owed.sealed && next.start == owed.end
                })
                .count();
            let run = first.start..rest[joined].end;
            if let Some(topic) = self.topics.get(first.topic) {
                append(&if first.sealed {
                    Run::Shared(&topic.sealed.frames, run)
                } else {
                    Run::Open(&topic.open.frames[run])
                });
            }
            rest = &rest[joined + 1..];
        }
    }
}

impl<B> Batch<B> {
    fn owed_after(&self, after: u64, topic: Key, sealed: bool, owed: &mut Vec<Owed>) {
        let mut start = self.offset_after(after);
        for mark in self.marks.iter().filter(|mark| mark.sequence > after) {
            owed.push(Owed { sequence: mark.sequence, topic, sealed, start, end: mark.end });
            start = mark.end;
        }
    }
}
