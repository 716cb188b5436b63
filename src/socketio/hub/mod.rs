//! The state of a Socket.IO server, without the application's handler, and what is done with it.

mod call;
mod changes;
mod deadlines;
mod emits;
mod endings;
mod entry;
mod joins;
mod members;
mod message;
mod namespace;
mod outputs;
mod records;
mod recoveries;
mod rooms;
mod session;
mod sessions;
mod state;

pub(super) use call::{Call, Report};
pub(super) use deadlines::Kind;
pub(super) use emits::{Emission, Emits};
pub(super) use endings::Endings;
pub(super) use entry::SocketEntry;
pub(super) use joins::Joins;
pub(super) use members::Members;
pub(super) use outputs::response;
pub(super) use recoveries::{Claimed, Recoveries};
pub(super) use rooms::Rooms;
pub(super) use session::{AttachmentError, Opening, Partial, Session};
pub(super) use sessions::Sessions;
pub(super) use state::{Hub, SharedHub};
