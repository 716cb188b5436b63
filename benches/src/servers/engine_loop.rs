//! What all servers of the engine share: their limits, and their loop from beginning to end.

use std::time::Duration;

use eventwire::{Config, EventLoop, ListenerId};

use crate::error::Error;
use crate::machine;
use crate::service::{ReadyLine, ServiceConfig};

/// The topic that every connection of a broadcast server subscribes to.
pub(super) const TOPIC: &str = "all";

/// How long peers may take to answer a close frame at shutdown.
const DRAIN: Duration = Duration::from_secs(1);

/// The configuration of the loop.
pub(super) fn engine_config(config: &ServiceConfig) -> Config {
    Config::default().idle(config.idle.engine()).max_connections(connections_max())
}

/// As many connections as open files are allowed, like the other contestants: a scenario opens up
/// to 100,000 idle ones.
pub(crate) fn connections_max() -> usize {
    const OTHER_FILES: u64 = 64;
    const MOST: u64 = 1 << 20;
    machine::raise_file_limit(0).saturating_sub(OTHER_FILES).clamp(1, MOST) as usize
}

/// Serves what `listener` accepts until it is stopped.
pub(crate) fn serve<S: Default>(
    mut event_loop: EventLoop<S>,
    listener: Result<ListenerId, eventwire::Error>,
    address: &str,
    ready: ReadyLine,
) -> Result<(), Error> {
    let listener = listener.map_err(|error| match error {
        eventwire::Error::Io { source, .. } => {
            Error::System { what: format!("cannot listen on {address}"), source }
        }
        error => Error::Engine(error),
    })?;
    let address = event_loop.local_addr(listener).expect("the listener is open");
    let handle = event_loop.handle();
    ready.listening(address, Box::new(move || handle.shutdown(DRAIN)));
    event_loop.run(&mut S::default())?;
    Ok(())
}
