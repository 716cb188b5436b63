//! All listening sockets of a loop, and which of them accepts next.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use super::listener::{Accepted, Listener};
use super::named::Named;
use crate::logging::log_line;
use crate::reactor::Reactor;
use crate::slots::{Key, Slots};
use crate::time::Time;

/// How many connections are accepted in a turn, so that a storm of them does not hold up the
/// others.
pub(crate) const ACCEPT_BUDGET: usize = 32;

/// How often a port is looked for that is free on every address.
const PORT_TRIES_MAX: usize = 16;

/// The listening sockets. A turn looks only at those on which connections may wait.
#[derive(Debug)]
pub(crate) struct Listeners<R: Reactor> {
    slots: Slots<Listener<R>>,
    /// Those on which connections may wait, the next to accept first.
    ready: VecDeque<Key>,
    /// A connection that was accepted to find out whether one waits, although there was no place
    /// for it, and the socket that it came on.
    pending: Option<(Key, Accepted<R>)>,
}

/// An address that cannot be listened on.
#[derive(Debug)]
pub(crate) struct BindError {
    pub(crate) address: SocketAddr,
    pub(crate) error: io::Error,
}

/// What binding the addresses of a name to one port came to.
enum Bound {
    Sockets(Vec<Key>),
    /// The port that the system chose for the first address is taken on another address.
    PortTaken(BindError),
}

impl<R: Reactor> Listeners<R> {
    pub(crate) const fn new() -> Self {
        Self { slots: Slots::new(), ready: VecDeque::new(), pending: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Adds the socket that `listen` opens and registers under the key it is given. Its connections
    /// are of the endpoint in that slot.
    pub(crate) fn open(
        &mut self,
        endpoint: usize,
        listen: impl FnOnce(u64) -> io::Result<(R::Listener, Option<SocketAddr>)>,
    ) -> io::Result<Key> {
        let key = self.slots.try_insert_with(|key| {
            let (socket, local) = listen(Named::Listener(key).to_bits())?;
            Ok::<_, io::Error>(Listener::new(socket, local, endpoint))
        })?;
        self.ready.push_back(key);
        Ok(key)
    }

    /// Listens on every address that this machine has; those with port 0 get the same port.
    ///
    /// # Errors
    ///
    /// When one of them is in use or not permitted, or the machine has none of them. Then it
    /// listens on none.
    pub(crate) fn bind(
        &mut self,
        reactor: &mut R,
        addresses: &[SocketAddr],
        backlog: u32,
        endpoint: usize,
    ) -> Result<Vec<Key>, BindError> {
        let addresses = wildcard_first(addresses);
        for _ in 1..PORT_TRIES_MAX {
            if let Bound::Sockets(keys) = self.bind_once(reactor, &addresses, backlog, endpoint)? {
                return Ok(keys);
            }
        }
        match self.bind_once(reactor, &addresses, backlog, endpoint)? {
            Bound::Sockets(keys) => Ok(keys),
            Bound::PortTaken(error) => Err(error),
        }
    }

    fn bind_once(
        &mut self,
        reactor: &mut R,
        addresses: &[SocketAddr],
        backlog: u32,
        endpoint: usize,
    ) -> Result<Bound, BindError> {
        let (mut keys, mut absent, mut port) = (Vec::new(), None, 0);
        for &asked in addresses {
            let is_chosen = asked.port() == 0 && port != 0;
            let address = if is_chosen { SocketAddr::new(asked.ip(), port) } else { asked };
            if self.covers(&keys, address) {
                continue;
            }
            let opened = self.open(endpoint, |key| {
                let (socket, local) = reactor.listen(address, backlog, key)?;
                Ok((socket, Some(local)))
            });
            match opened {
                Ok(key) => {
                    keys.push(key);
                    if asked.port() == 0 {
                        port = self.local(key).map_or(0, |local| local.port());
                    }
                }
                Err(error) if is_absent(&error) => {
                    log_line!(warn, "does not listen on {address}: {error}");
                    absent.get_or_insert(BindError { address, error });
                }
                Err(error) => {
                    self.close(&keys);
                    let is_taken = is_chosen && error.kind() == io::ErrorKind::AddrInUse;
                    let error = BindError { address, error };
                    return if is_taken { Ok(Bound::PortTaken(error)) } else { Err(error) };
                }
            }
        }
        match absent {
            Some(error) if keys.is_empty() => Err(error),
            _ => Ok(Bound::Sockets(keys)),
        }
    }

    /// Whether one of these sockets accepts connections to `address`, as the IPv6 wildcard does for
    /// the IPv4 wildcard.
    fn covers(&self, keys: &[Key], address: SocketAddr) -> bool {
        let mut locals = keys.iter().filter_map(|&key| self.local(key));
        locals.any(|local| {
            let is_wildcard = local.is_ipv6() && local.ip().is_unspecified();
            let is_ipv4_wildcard = address.is_ipv4() && address.ip().is_unspecified();
            local == address || is_wildcard && is_ipv4_wildcard && local.port() == address.port()
        })
    }

    /// The address of a socket, unless that is a path.
    pub(crate) fn local(&self, key: Key) -> Option<SocketAddr> {
        self.slots.get(key)?.local
    }

    /// Closes sockets. Readiness that names one of them finds nothing any more.
    pub(crate) fn close(&mut self, keys: &[Key]) {
        self.pending.take_if(|(key, _)| keys.contains(key));
        for &key in keys {
            if self.slots.remove(key).is_some_and(|listener| listener.ready) {
                self.ready.retain(|ready| *ready != key);
            }
        }
    }

    /// Readiness has reported that connections wait.
    pub(crate) fn note_ready(&mut self, key: Key) {
        if let Some(listener) = self.slots.get_mut(key).filter(|listener| !listener.ready) {
            listener.ready = true;
            self.ready.push_back(key);
        }
    }

    /// Whether a connection can be accepted now.
    pub(crate) fn may_accept(&self, now: Time) -> bool {
        self.ready().any(|listener| listener.may_accept(now))
    }

    /// Whether connections may wait on one of them.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When to try again, if all that are ready are paused, or nothing is accepted before
    /// `full_until`.
    pub(crate) fn deadline(&self, full_until: Option<Time>) -> Option<Time> {
        self.ready().filter_map(|listener| listener.deadline(full_until)).min()
    }

    fn ready(&self) -> impl Iterator<Item = &Listener<R>> {
        self.ready.iter().filter_map(|&key| self.slots.get(key))
    }

    /// Whether there were no descriptors.
    pub(crate) fn is_short(&self, now: Time) -> bool {
        self.ready().any(|listener| listener.is_short(now))
    }

    /// Whether a connection waits: readiness may be older than the last one that was taken.
    pub(crate) fn has_pending(&mut self, reactor: &mut R, now: Time) -> bool {
        if self.pending.is_none() {
            self.pending = self.accept_next(reactor, now);
        }
        self.pending.is_some()
    }

    /// Takes one connection, with the slot of its endpoint. `None`: no more now.
    pub(crate) fn accept(&mut self, reactor: &mut R, now: Time) -> Option<(Accepted<R>, usize)> {
        let pending = self.pending.take();
        let (key, accepted) = pending.or_else(|| self.accept_next(reactor, now))?;
        Some((accepted, self.slots.get(key)?.endpoint))
    }

    /// Listeners take turns, one connection each, so that none of them waits for the end of
    /// another's storm.
    fn accept_next(&mut self, reactor: &mut R, now: Time) -> Option<(Key, Accepted<R>)> {
        for _ in 0..self.ready.len() {
            let key = self.ready.pop_front()?;
            let Some(listener) = self.slots.get_mut(key) else {
                continue;
            };
            let accepted =
                if listener.may_accept(now) { listener.accept(reactor, now) } else { None };
            if listener.ready {
                self.ready.push_back(key);
            }
            if let Some(accepted) = accepted {
                return Some((key, accepted));
            }
        }
        None
    }
}

/// Whether this machine does not have the address, or no address of its family.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
}

/// The addresses in their order, except that the IPv6 wildcard comes first: it makes the IPv4
/// wildcard unnecessary.
fn wildcard_first(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut ordered = addresses.to_vec();
    ordered.sort_by_key(|address| !(address.is_ipv6() && address.ip().is_unspecified()));
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::SimReactor;
    use crate::reactor::sim::SimConfig;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn world() -> (SimReactor, Listeners<SimReactor>) {
        (SimReactor::new(0, SimConfig::calm()), Listeners::new())
    }

    fn bind(
        (reactor, listeners): &mut (SimReactor, Listeners<SimReactor>),
        addresses: &[&str],
    ) -> Result<(Vec<Key>, Vec<String>), BindError> {
        let addresses: Vec<_> = addresses.iter().map(|text| address(text)).collect();
        let keys = listeners.bind(reactor, &addresses, 16, 0)?;
        let locals = keys.iter().filter_map(|&key| listeners.local(key));
        let locals = locals.map(|local| local.to_string()).collect();
        Ok((keys, locals))
    }

    #[test]
    fn a_turn_looks_at_no_closed_listener_and_none_that_nobody_connects_to() {
        let mut world = world();
        let (stays, _) = bind(&mut world, &["127.0.0.1:0"]).expect("a listener");
        for _ in 0..1_000 {
            let (keys, _) = bind(&mut world, &["127.0.0.1:0"]).expect("a listener");
            world.1.close(&keys);
            // Its readiness comes late.
            world.1.note_ready(keys[0]);
        }
        assert_eq!(world.1.ready, stays);
        assert_eq!(world.1.slots.len(), 1);
        assert!(world.1.accept(&mut world.0, Time::BEGINNING).is_none());
        assert!(world.1.ready.is_empty());
    }

    #[test]
    fn listeners_take_turns() {
        let mut world = world();
        let keys = [0, 1, 2].map(|endpoint| {
            let at = [address(&format!("127.0.0.1:{}", 9_000 + endpoint))];
            world.1.bind(&mut world.0, &at, 16, endpoint).expect("a listener")[0]
        });
        for (endpoint, peers) in [(0, 4), (1, 1), (2, 2)] {
            for _ in 0..peers {
                world.0.peer_connect(address(&format!("127.0.0.1:{}", 9_000 + endpoint)));
            }
        }
        while !world.0.is_quiescent() {
            world.0.poll(None, &mut Vec::new()).expect("a poll");
        }
        keys.into_iter().for_each(|key| world.1.note_ready(key));
        let (reactor, listeners) = &mut world;
        let accepted = std::iter::from_fn(|| listeners.accept(reactor, Time::BEGINNING));
        let endpoints: Vec<_> = accepted.map(|(_, endpoint)| endpoint).collect();
        assert_eq!(endpoints, [0, 1, 2, 0, 2, 0, 0]);
    }

    #[test]
    fn addresses_with_port_zero_get_one_port_that_is_free_on_all() {
        let mut world = world();
        world.0.peer_listen(address("[::1]:32768")).expect("a port");
        let (_, locals) =
            bind(&mut world, &["127.0.0.1:0", "[::1]:0", "127.0.0.1:0"]).expect("a port");
        assert_eq!(locals, ["127.0.0.1:32769", "[::1]:32769"]);
    }

    #[test]
    fn an_address_in_use_is_an_error_and_leaves_the_others_free() {
        let mut world = world();
        bind(&mut world, &["[::1]:9000"]).expect("a port");
        let failed = bind(&mut world, &["127.0.0.1:9000", "[::1]:9000"]).expect_err("it is taken");
        assert_eq!(failed.address, address("[::1]:9000"));
        assert_eq!(failed.error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!((world.1.slots.len(), world.1.ready.len()), (1, 1));
        bind(&mut world, &["127.0.0.1:9000"]).expect("it is free");
    }

    #[test]
    fn an_address_that_the_machine_lacks_is_left_out_if_there_is_another() {
        let mut world = world();
        world.0.set_config(SimConfig::calm().ipv6(false));
        let (_, locals) = bind(&mut world, &["[::1]:9000", "127.0.0.1:9000"]).expect("IPv4");
        assert_eq!(locals, ["127.0.0.1:9000"]);
        let failed = bind(&mut world, &["[::1]:9001"]).expect_err("no IPv6");
        assert_eq!(failed.error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn the_wildcard_of_ipv6_makes_that_of_ipv4_needless() {
        for addresses in [["0.0.0.0:0", "[::]:0"], ["[::]:0", "0.0.0.0:0"]] {
            let (_, locals) = bind(&mut world(), &addresses).expect("a port");
            assert_eq!(locals, ["[::]:32768"]);
        }
    }
}
