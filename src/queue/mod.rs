//! Lock-free ways into the loop from other threads, the way from one handler to another, and a way
//! out to threads on which the loop never waits.

mod doorbell;
mod feed;
mod inbox;
mod local;
mod sync;
mod typed;

pub(crate) use doorbell::Doorbell;
pub(crate) use feed::{Feed, FeedEnd, FeedReceiver, WhenFull};
pub(crate) use inbox::{Inbox, InboxReceiver, LaneSender, Rejected};
pub(crate) use local::{LocalEvents, Refused, TimerKey};

#[cfg(all(test, loom))]
mod tests;
