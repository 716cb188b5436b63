//! Listening sockets, and attempts to connect to them.

use std::collections::{BTreeMap, VecDeque};
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

/// The lowest port that is chosen automatically.
const EPHEMERAL_PORT_MIN: u16 = 32_768;

/// All listeners, by their ids.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    pub(super) by_id: BTreeMap<u64, Listener>,
    /// The last port that was chosen automatically.
    last_port: u16,
}

impl Listeners {
    /// The listener that a connect to `address` reaches.
    pub(super) fn at(&self, address: SocketAddr) -> Option<u64> {
        let reaches = |own: SocketAddr| {
            let is_wildcard = own.ip().is_unspecified() && (own.is_ipv6() || address.is_ipv4());
            own.port() == address.port() && (own.ip() == address.ip() || is_wildcard)
        };
        let mut listeners = self.by_id.iter();
        listeners.find(|(_, listener)| reaches(listener.address)).map(|(&id, _)| id)
    }

    /// Takes the next connection from a backlog.
    pub(super) fn pop_waiting(&mut self, id: u64) -> Option<u64> {
        self.by_id.get_mut(&id)?.backlog.pop_front()
    }

    /// A port without a listener on any address.
    pub(super) fn free_port(&mut self) -> u16 {
        self.port_where(|listeners, port| {
            !listeners.by_id.values().any(|open| open.address.port() == port)
        })
    }

    /// A port without a listener on this address. There may be one on other addresses.
    pub(super) fn free_port_of(&mut self, mut address: SocketAddr) -> u16 {
        self.port_where(|listeners, port| {
            address.set_port(port);
            listeners.at(address).is_none()
        })
    }

    fn port_where(&mut self, mut is_free: impl FnMut(&Self, u16) -> bool) -> u16 {
        loop {
            self.last_port = self.last_port.wrapping_add(1).max(EPHEMERAL_PORT_MIN);
            if is_free(self, self.last_port) {
                return self.last_port;
            }
        }
    }
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
