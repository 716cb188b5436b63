//! Lock-free ways into the loop from other threads, and the way from one handler to another.

mod doorbell;
mod inbox;
mod local;
mod typed;

pub(crate) use doorbell::Doorbell;
pub(crate) use inbox::{Inbox, InboxReceiver, LaneSender, Rejected};
pub(crate) use local::{LocalEvents, Refused, TimerKey};
