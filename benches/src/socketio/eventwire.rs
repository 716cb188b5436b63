//! The engine's own Socket.IO server.

use crate::error::Error;
use crate::service::{ReadyLine, ServiceConfig};

/// Serves until it is stopped.
pub(super) fn serve(_: &ServiceConfig, _: ReadyLine) -> Result<(), Error> {
    Err(Error::Settings("the engine's server needs its command: --eventwire".to_owned()))
}
