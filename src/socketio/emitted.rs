//! What became of an event.

use std::fmt;

use super::arguments::{ArgumentsError, IntoArguments, Written, is_reserved};
use crate::SendStatus;

/// What became of an event or an acknowledgement that was sent.
#[derive(Debug)]
pub enum Emitted {
    /// Taken: it leaves with this turn, or with the client's next poll.
    Sent,
    /// Taken: for some sockets it waits until the client has read what was sent before.
    Queued,
    /// Some socket does not get it: a volatile event that could not leave at once, or more waits
    /// than may. In the latter case that socket is disconnected.
    Dropped,
    /// There is no such socket or namespace.
    Gone,
    /// It cannot be sent to anybody.
    Invalid(EmitError),
}

/// Why an event cannot be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum EmitError {
    /// Its name is one that the protocol's clients keep for themselves: `connect`,
    /// `connect_error`, `disconnect`, `disconnecting`, `newListener` or `removeListener`.
    ReservedName,
    /// Its arguments have no form in the protocol.
    Arguments(ArgumentsError),
}

impl Emitted {
    /// Whether it was taken for everybody.
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        matches!(self, Self::Sent | Self::Queued)
    }
}

impl From<SendStatus> for Emitted {
    fn from(status: SendStatus) -> Self {
        match status {
            SendStatus::Sent => Self::Sent,
            SendStatus::Queued => Self::Queued,
            SendStatus::Dropped => Self::Dropped,
            SendStatus::Gone => Self::Gone,
        }
    }
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedName => f.write_str("the event's name is reserved"),
            Self::Arguments(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EmitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::ReservedName => None,
            Self::Arguments(error) => error.source(),
        }
    }
}

/// The arguments of an event with that name, as they are sent.
pub(super) fn written(name: &str, arguments: &impl IntoArguments) -> Result<Written, EmitError> {
    if is_reserved(name) {
        return Err(EmitError::ReservedName);
    }
    Written::of(arguments).map_err(EmitError::Arguments)
}
