//! Names of hosts, and looking them up.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::super::{Interest, Lookup, ResolveDone};
use super::SimReactor;
use super::network::{Network, Planned};

/// The addresses that names stand for.
pub(super) type Names = BTreeMap<String, Vec<IpAddr>>;

/// What a lookup comes to, on its way.
pub(super) struct Answer {
    interest: Interest,
    found: io::Result<Vec<SocketAddr>>,
    done: ResolveDone,
}

impl Answer {
    pub(super) fn give(self) {
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

impl Network {
    /// Begins to look a name up. What is known of no name comes at once.
    pub(super) fn resolve(&mut self, host: &str, port: u16, done: ResolveDone) -> Lookup {
        let lookup = Lookup::new();
        let Some(ips) = self.names.get(host) else {
            done(Err(io::ErrorKind::NotFound.into()));
            return lookup;
        };
        let found = Ok(ips.iter().map(|&ip| SocketAddr::new(ip, port)).collect());
        let due = self.arrival();
        self.plan(due, Planned::Answer(Answer { interest: lookup.interest(), found, done }));
        lookup
    }
}

impl SimReactor {
    /// Gives a host a name. An event loop looks it up in about the time that bytes take to the
    /// other end; names that were not given do not exist.
    pub fn name(&mut self, host: impl Into<String>, ips: impl Into<Vec<IpAddr>>) {
        self.network.names.insert(host.into(), ips.into());
    }

    /// From now on nobody answers who connects to `address`, which fails after 127 s as on Linux.
    pub fn silence(&mut self, address: SocketAddr) {
        self.network.silent.insert(address);
    }
}
