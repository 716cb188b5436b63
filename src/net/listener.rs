use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::logging::log_line;
use crate::reactor::Reactor;
use crate::time::Time;

/// How long accepting pauses first when there are no descriptors; doubled up to the longest pause
/// while there are none.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A stream that was accepted, and the address of its other end if that has one.
pub(crate) type Accepted<R> = (<R as Reactor>::Stream, Option<SocketAddr>);

/// A listening socket, and whether connections may wait on it.
#[derive(Debug)]
pub(crate) struct Listener<R: Reactor> {
    socket: R::Listener,
    /// The address, unless it is a path.
    pub(crate) local: Option<SocketAddr>,
    /// The slot of the endpoint of its connections.
    pub(crate) endpoint: usize,
    /// Readiness has come and was not used up: edge-triggered readiness does not come twice.
    pub(crate) ready: bool,
    /// There were no descriptors: accepting is tried again at this moment.
    paused_until: Option<Time>,
    pause: Duration,
}

impl<R: Reactor> Listener<R> {
    pub(crate) const fn new(
        socket: R::Listener,
        local: Option<SocketAddr>,
        endpoint: usize,
    ) -> Self {
        Self { socket, local, endpoint, ready: true, paused_until: None, pause: PAUSE_MIN }
    }

    /// When to try again, if it is paused, or nothing is accepted before `full_until`.
    pub(crate) fn deadline(&self, full_until: Option<Time>) -> Option<Time> {
        self.paused_until.max(full_until).filter(|_| self.ready)
    }

    /// Whether a connection can be accepted now.
    pub(crate) fn may_accept(&self, now: Time) -> bool {
        self.ready && self.paused_until.is_none_or(|until| until <= now)
    }

    /// Whether there were no descriptors.
    pub(crate) fn is_short(&self, now: Time) -> bool {
        self.paused_until.is_some_and(|until| until > now)
    }

    /// Accepts one connection; `None`: there are no more now.
    pub(crate) fn accept(&mut self, reactor: &mut R, now: Time) -> Option<Accepted<R>> {
        loop {
            match reactor.accept(&mut self.socket) {
                Ok(accepted) => {
                    self.paused_until = None;
                    self.pause = PAUSE_MIN;
                    return Some(accepted);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready = false;
                    return None;
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    log_line!(warn, "cannot accept: {error}; trying again in {:?}", self.pause);
                    // Most likely there are no descriptors or no memory. Connections that wait
                    // raise no new edge when there are some again.
                    self.paused_until = now.checked_add(self.pause);
                    self.pause = (self.pause * 2).min(PAUSE_MAX);
                    return None;
                }
            }
        }
    }
}

/// Whether only that one connection failed before it was accepted, or the call was interrupted: the
/// next one may be accepted at once (accept(2)).
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepting_goes_on_at_once_after_errors_of_one_connection_only() {
        for kind in [io::ErrorKind::ConnectionAborted, io::ErrorKind::Interrupted] {
            assert!(concerns_one_connection(&kind.into()), "{kind}");
        }
        // EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM: trying again at once would never end.
        for code in [22, 24, 23, 105, 12] {
            let error = io::Error::from_raw_os_error(code);
            assert!(!concerns_one_connection(&error), "{error}");
        }
    }
}
