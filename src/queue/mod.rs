//! The queues of events: into the loop from other threads, between handlers, and out of the loop to
//! other threads.
//!
//! | from | to | queue |
//! | --- | --- | --- |
//! | a publisher's thread | handlers | `inbox`: a bounded lock-free queue for each publisher |
//! | a handler, a timer | handlers | `local`: a bounded queue for each type, without locks |
//! | the loop | a subscriber's thread | `subscriber_queue`: handed over under a lock |
//! | a handler, a thread | worker threads | `job_queue`: one bounded lock-free queue |
//!
//! The loop waits for no lock, except when it closes an inbox or drops a subscriber queue.
//!
//! `doorbell` wakes a sleeping loop or worker. `hold_count` counts what keeps a loop from ending.
//! `sync` replaces the atomics for the loom models.

mod doorbell;
mod hold_count;
mod inbox;
mod job_queue;
mod local;
mod publish_error;
mod subscriber_queue;
mod sync;
mod typed;

pub(crate) use doorbell::Doorbell;
pub(crate) use hold_count::HoldCount;
pub(crate) use inbox::{Inbox, InboxReceiver, InboxSender, SharedInbox};
pub(crate) use job_queue::{JobQueue, Taken};
pub(crate) use local::{LocalEvents, TimerKey};
pub use publish_error::PublishError;
pub(crate) use subscriber_queue::{SubscriberEnd, SubscriberQueue, SubscriberReceiver};

#[cfg(all(test, loom))]
mod tests;
