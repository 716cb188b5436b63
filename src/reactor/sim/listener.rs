//! A listening socket, and an attempt to connect to one.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;

/// A listening socket of the engine or of a test.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    /// `None` for a test's listener: the test accepts without readiness.
    pub(super) key: Option<u64>,
    /// Connections that wait to be accepted.
    pub(super) backlog: VecDeque<u64>,
    /// The longest backlog.
    pub(super) limit: usize,
    /// An edge is due and not reported.
    pub(super) edge: bool,
}

/// A connect that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) stream: u64,
    /// How often it has met a full backlog.
    pub(super) retries: u32,
    /// How the connect fails, whether or not there is a listener; `None` if no fault hit it.
    pub(super) failure: Option<ErrorKind>,
}
