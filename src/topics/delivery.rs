//! Batches on their way, to one subscriber after the other.

use super::Topics;
use super::batch::Run;
use crate::slots::Key;

/// The next connection to be served.
#[derive(Debug)]
pub(crate) enum Delivery<'a> {
    /// This connection is owed these frames and no others; they count as delivered.
    Run(Key, Run<'a>),
    /// This connection is owed frames of several topics: [`Topics::settle`] merges them.
    Several(Key),
}

impl Topics {
    /// The next connection that is owed something.
    pub(crate) fn deliver(&mut self) -> Option<Delivery<'_>> {
        let (key, position, from) = self.next_unserved()?;
        let subscriber = self.topics.get(key)?.subscribers[position];
        if self.is_owed_by_others(subscriber.conn, key) {
            return Some(Delivery::Several(subscriber.conn));
        }
        let topic = self.topics.get(key)?;
        self.members[subscriber.conn.index()].served = topic.sealed.last();
        let frames = &topic.sealed.frames;
        Some(Delivery::Run(subscriber.conn, Run::Shared(frames, from..frames.len())))
    }

    /// Moves the front topic's cursor to the next subscriber that its sealed batch has something
    /// for, sealing and finishing batches on the way: the topic, where that subscriber stands,
    /// and where in the batch what it is owed begins.
    fn next_unserved(&mut self) -> Option<(Key, usize, usize)> {
        while let Some(&key) = self.active.front() {
            let Some(topic) = self.topics.get_mut(key) else {
                self.active.pop_front();
                continue;
            };
            if topic.sealed.marks.is_empty() {
                topic.seal();
            }
            let last = topic.sealed.last();
            while let Some(subscriber) = topic.subscribers.get(topic.cursor) {
                topic.cursor += 1;
                let after = subscriber.since.max(self.members[subscriber.conn.index()].served);
                if after < last {
                    let from = topic.sealed.offset_after(after);
                    return Some((key, topic.cursor - 1, from));
                }
            }
            self.active.pop_front();
            if topic.finish() {
                self.active.push_back(key);
            }
        }
        None
    }

    /// Whether topics other than `besides` owe the connection something.
    fn is_owed_by_others(&self, conn: Key, besides: Key) -> bool {
        let member = &self.members[conn.index()];
        member.subscriptions.len() > 1
            && member.subscriptions.iter().any(|held| {
                held.topic != besides
                    && self.topics.get(held.topic).is_some_and(|topic| {
                        let since = topic.subscribers[held.position as usize].since;
                        topic.last() > since.max(member.served)
                    })
            })
    }
}
