//! What events and acknowledgements carry: JSON with attachments in it.
//!
//! In JSON, an attachment is a placeholder that has its number: `{"_placeholder":true,"num":0}`.
//! The functions [`event`], [`acknowledgement`] and [`connect`] check what a peer sent. Received
//! arguments are [`Arguments`]; those to be sent are [`IntoArguments`]. In both, [`Binary`] is an
//! attachment.

mod binary;
mod check;
mod error;
mod placeholders;
mod received;
mod tokens;
mod written;

pub use binary::Binary;
pub(super) use check::is_reserved;
pub use check::{MAX_DEPTH, acknowledgement, connect, event};
pub use error::ArgumentsError;
pub use received::Arguments;
pub use written::{IntoArguments, Written};
