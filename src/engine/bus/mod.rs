//! The event bus: publishers, subscribers, handlers of events, timers.

pub(crate) mod events;
pub(crate) mod inboxes;
pub(crate) mod publisher;
pub(crate) mod serve;
pub(crate) mod subscriber;
pub(crate) mod timers;
