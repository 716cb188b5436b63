//! The names of hosts, and the answers to lookups.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::super::{Interest, ResolveDone};

/// The addresses of every known name.
pub(super) type Names = BTreeMap<String, Vec<IpAddr>>;

/// The answer to a lookup, before it arrives.
pub(super) struct Answer {
    pub(super) interest: Interest,
    pub(super) found: io::Result<Vec<SocketAddr>>,
    pub(super) done: ResolveDone,
}

impl Answer {
    /// Delivers the answer, unless the lookup was dropped.
    pub(super) fn deliver(self) {
        if self.interest.is_there() {
            (self.done)(self.found);
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({:?})", self.found)
    }
}
