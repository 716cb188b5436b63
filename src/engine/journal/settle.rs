//! What becomes of what the journal has taken.

use crate::engine::bus::events::EventHandler;
use crate::engine::context::Context;
use crate::engine::ids::TopicId;
use crate::engine::journal::outcome::NotStored;
use crate::engine::journal::waiting::{Attached, Delivery, Pending, Waiting};
use crate::journal::{Outcome, Settled, StorageError};
use crate::logging::log_line;
use crate::proto::Outgoing;
use crate::slots::Key;
use crate::topics::{DurableTopics, Position};

/// An event: the journal failed to store something.
///
/// The topics of it have new epochs: clients that come back with an older position have lost
/// messages. What was not stored of topics that [commit first](crate::Durability::CommitFirst) was
/// not delivered either, and they keep their histories. The histories of those that
/// [deliver first](crate::Durability::DeliverFirst) begin anew. The journal goes on with the
/// messages that come later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalFailed {
    /// Why it failed.
    pub error: StorageError,
    /// How many messages were not stored, as far as that is known.
    pub messages: u64,
    /// The topics of these messages.
    pub topics: Vec<TopicId>,
}

/// Handles what the journal's thread reports.
pub(crate) struct Settle;

impl<S> EventHandler<Settled, S> for Settle {
    fn on_event(&mut self, cx: &mut Context<'_>, settled: &Settled, _: &mut S) {
        let mut batch = Batch { error: settled.error.as_ref(), failed: Vec::new() };
        cx.core.journal.counts.add(settled);
        let mut oldest = None;
        for outcome in &settled.outcomes {
            let next = cx.core.journal.attached.as_mut().and_then(Attached::next);
            let Some(waiting) = next else { break };
            oldest = oldest.or(Some(waiting.since));
            batch.settle(waiting, outcome, cx);
        }
        let waited = cx.core.now().since(oldest.unwrap_or(cx.core.now()));
        cx.core.handle.meters().commit_time.record(waited);
        if let Some(error) = &settled.error {
            log_line!(error, "{error}");
            let failed = settled.outcomes.iter().filter(|outcome| **outcome == Outcome::Failed);
            let messages = failed.count() as u64;
            let topics = batch.failed.into_iter().map(TopicId).collect();
            // Dropped if it has no handler. The statistics count it anyway.
            cx.core.events.push_beyond(JournalFailed { error: error.clone(), messages, topics });
        }
    }
}

/// A batch that is being settled.
struct Batch<'a> {
    error: Option<&'a StorageError>,
    /// Topics of which something was not stored.
    failed: Vec<Key>,
}

impl Batch<'_> {
    fn settle(&mut self, waiting: Waiting, outcome: &Outcome, cx: &mut Context<'_>) {
        let Waiting { topic, epoch, what, then, .. } = waiting;
        let result = match outcome {
            Outcome::Stored => deliver(topic, what, cx),
            Outcome::Refused(why) => Err(NotStored::Refused(why.clone())),
            Outcome::Failed => {
                self.end_epoch(topic, epoch, cx);
                let error = self.error.cloned();
                let unknown = || StorageError::Failed("for an unknown reason".to_owned());
                Err(NotStored::Failed(error.unwrap_or_else(unknown)))
            }
        };
        if let Some(then) = then {
            then.call(result, &mut cx.core.events);
        }
    }

    /// Ends the epoch of a topic of which something was not stored, once.
    fn end_epoch(&mut self, topic: Key, epoch: u64, cx: &mut Context<'_>) {
        if !self.failed.contains(&topic) {
            self.failed.push(topic);
        }
        let mut topics = DurableTopics(&mut cx.core.topics);
        if topics.epoch(topic).is_some_and(|present| present.epoch == epoch) {
            topics.end_epoch(topic);
        }
    }
}

/// Delivers what was stored, unless that was done.
fn deliver(topic: Key, what: Pending, cx: &mut Context<'_>) -> Result<Position, NotStored> {
    match what {
        Pending::Delivery(Delivery { message, may_compress, key, except }) => {
            let message = message.message();
            let outgoing = match may_compress {
                true => Outgoing::from(message),
                false => Outgoing::uncompressed(message),
            };
            let mut topics = DurableTopics(&mut cx.core.topics);
            topics.broadcast(topic, &key, outgoing, except).ok_or(NotStored::TopicGone)
        }
        Pending::Delivered(position) => Ok(position),
        Pending::Removed => Err(NotStored::TopicGone),
    }
}
