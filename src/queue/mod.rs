//! Lock-free ways into the loop from other threads, the way from one handler to another, and a way
//! out to threads on which the loop never waits.

mod doorbell;
mod feed;
mod inbox;
mod local;
mod publish_error;
mod sync;
mod typed;

pub(crate) use doorbell::Doorbell;
pub(crate) use feed::{Feed, FeedEnd, FeedReceiver};
pub(crate) use inbox::{Inbox, InboxReceiver, LaneSender};
pub(crate) use local::{LocalEvents, TimerKey};
pub use publish_error::PublishError;

#[cfg(all(test, loom))]
mod tests;
