//! The event bus: publishers, subscribers, handlers of events, timers, workers, holds.

pub(crate) mod event_types;
pub(crate) mod events;
pub(crate) mod hold;
pub(crate) mod inboxes;
pub(crate) mod jobs;
pub(crate) mod pools;
pub(crate) mod publisher;
pub(crate) mod serve;
pub(crate) mod subscriber;
pub(crate) mod timers;
pub(crate) mod workers;
