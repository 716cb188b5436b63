//! How connections come about: names, listeners with their backlogs, and connects with their
//! outcomes.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::super::{Lookup, ResolveDone};
use super::config::Fault;
use super::endpoint::{Endpoint, Script};
use super::listener::{Attempt, Listener};
use super::names::Answer;
use super::network::{Network, Planned, Source};

/// How long a connect waits before it retries after a full backlog, as after a lost SYN.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The most retries. With one each second they last as long as Linux tries (`tcp_syn_retries` = 6).
/// They are counted, so that a jump of the clock does not shorten the attempt.
const RETRIES_MAX: u32 = 127;

/// The longest extra time of [`Fault::ConnectSlow`].
const SLOW_CONNECT_MAX: Duration = Duration::from_secs(20);

/// The lowest port that is chosen automatically.
const EPHEMERAL_PORT_MIN: u16 = 32_768;

const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

impl Network {
    /// Begins to look a name up. An unknown name fails at once.
    pub(super) fn resolve(&mut self, host: &str, port: u16, done: ResolveDone) -> Lookup {
        let lookup = Lookup::new();
        let Some(ips) = self.names.get(host) else {
            done(Err(ErrorKind::NotFound.into()));
            return lookup;
        };
        let found = Ok(ips.iter().map(|&ip| SocketAddr::new(ip, port)).collect());
        let due = self.arrival();
        self.plan(due, Planned::Answer(Answer { interest: lookup.interest(), found, done }));
        lookup
    }

    /// Opens a listener for the engine, or for a test if there is no key.
    pub(super) fn listen(
        &mut self,
        mut address: SocketAddr,
        backlog: u32,
        key: Option<u64>,
    ) -> io::Result<(u64, SocketAddr)> {
        if key.is_some() {
            self.check_descriptors()?;
        }
        self.check_family(address)?;
        if address.port() == 0 {
            address.set_port(self.free_port_of(address));
        } else if self.listener_at(address).is_some() {
            return Err(ErrorKind::AddrInUse.into());
        }
        let limit = usize::try_from(backlog.max(1)).unwrap_or(usize::MAX);
        let id = self.number();
        let backlog = VecDeque::new();
        self.listeners.insert(id, Listener { address, key, backlog, limit, edge: false });
        self.descriptors += usize::from(key.is_some());
        Ok((id, address))
    }

    /// Accepts a connection for the engine.
    pub(super) fn accept(&mut self, id: u64) -> io::Result<(u64, SocketAddr)> {
        self.interruptible()?;
        if self.listeners.get(&id).is_none_or(|listener| listener.backlog.is_empty()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        if self.hits(Fault::WouldBlock) {
            self.arrive_later(id);
            return Err(ErrorKind::WouldBlock.into());
        }
        // Without a descriptor the connection stays in the backlog, and no further edge reports it.
        self.check_descriptors()?;
        self.exhausted_by_chance()?;
        let Some(stream) = self.take_waiting(id) else {
            return Err(ErrorKind::WouldBlock.into());
        };
        if self.hits(Fault::Aborted) {
            self.abort(stream);
            self.close_stream(stream);
            return Err(ErrorKind::ConnectionAborted.into());
        }
        self.descriptors += 1;
        let remote = self.end(stream)?.remote;
        Ok((stream, remote))
    }

    /// The next connection in the backlog.
    pub(super) fn take_waiting(&mut self, id: u64) -> Option<u64> {
        self.listeners.get_mut(&id)?.backlog.pop_front()
    }

    /// Begins a connect of the engine.
    pub(super) fn connect(&mut self, address: SocketAddr) -> io::Result<u64> {
        self.check_descriptors()?;
        self.check_family(address)?;
        self.exhausted_by_chance()?;
        let mut due = self.arrival();
        let mut failure = None;
        if self.silent.contains(&address) || self.hits(Fault::ConnectNever) {
            due = self.elapsed + RETRY_DELAY * RETRIES_MAX;
            failure = Some(ErrorKind::TimedOut);
        } else if self.hits(Fault::Refused) {
            failure = Some(ErrorKind::ConnectionRefused);
        } else if self.hits(Fault::ConnectSlow) {
            due = due.saturating_add(self.choices.span(Duration::ZERO, SLOW_CONNECT_MAX));
        }
        self.descriptors += 1;
        Ok(self.attempt(address, None, due, failure))
    }

    /// Begins a connect of a raw peer, which fails only if there is no listener.
    pub(super) fn connect_peer(&mut self, address: SocketAddr) -> u64 {
        let due = self.arrival();
        self.attempt(address, Some(Script::default()), due, None)
    }

    /// The outcome of a connect: `true` if the connection is established.
    pub(super) fn connect_result(&mut self, id: u64) -> io::Result<bool> {
        self.interruptible()?;
        let end = self.end(id)?;
        if end.is_connecting() {
            return Ok(false);
        }
        match end.error.take() {
            Some(error) => Err(error.into()),
            None if end.dead => Err(ErrorKind::NotConnected.into()),
            None => Ok(true),
        }
    }

    /// Registers a stream. Its current state is the first edge.
    pub(super) fn register(&mut self, id: u64, key: u64) -> io::Result<()> {
        self.interruptible()?;
        let end = self.end(id)?;
        if end.key.is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        end.key = Some(key);
        if self.stream_readiness(id).is_some() {
            self.raise(Source::Stream(id));
        }
        Ok(())
    }

    /// Gives a registered stream another key. Its current state is the first edge with that key.
    pub(super) fn rekey(&mut self, id: u64, key: u64) -> io::Result<()> {
        self.interruptible()?;
        let end = self.end(id)?;
        let former = end.key.replace(key).ok_or(ErrorKind::NotFound)?;
        self.retire(Some(former));
        if self.stream_readiness(id).is_some() {
            self.raise(Source::Stream(id));
        }
        Ok(())
    }

    /// Closes a stream or listener that its owner has dropped.
    pub(super) fn close(&mut self, source: Source) {
        self.descriptors = self.descriptors.saturating_sub(1);
        match source {
            Source::Stream(id) => self.close_stream(id),
            Source::Listener(id) => {
                let Some(listener) = self.listeners.remove(&id) else {
                    return;
                };
                self.retire(listener.key);
                for stream in listener.backlog {
                    self.abort(stream);
                    self.close_stream(stream);
                }
            }
        }
    }

    /// Completes a connect: there is a listener, there is none, or its backlog is full.
    pub(super) fn finish_connect(&mut self, attempt: Attempt) {
        let stream = attempt.stream;
        let Some(end) = self.endpoints.get(stream) else {
            return;
        };
        if let Some(failure) = attempt.failure {
            return self.fail_connect(stream, failure);
        }
        let Some(id) = self.listener_at(end.remote) else {
            return self.fail_connect(stream, ErrorKind::ConnectionRefused);
        };
        if self.listeners[&id].backlog.len() < self.listeners[&id].limit {
            return self.make_connection(stream, id);
        }
        if attempt.retries == RETRIES_MAX {
            return self.fail_connect(stream, ErrorKind::TimedOut);
        }
        let retries = attempt.retries + 1;
        self.plan(self.elapsed + RETRY_DELAY, Planned::Connect(Attempt { retries, ..attempt }));
    }

    /// Appends a connection to a listener's backlog.
    pub(super) fn enqueue(&mut self, listener: u64, stream: u64) {
        match self.listeners.get_mut(&listener) {
            Some(open) => {
                open.backlog.push_back(stream);
                self.raise(Source::Listener(listener));
            }
            None => {
                self.abort(stream);
                self.close_stream(stream);
            }
        }
    }

    /// The listener that a connect to `address` reaches.
    pub(super) fn listener_at(&self, address: SocketAddr) -> Option<u64> {
        let reaches = |own: SocketAddr| {
            let is_wildcard = own.ip().is_unspecified() && (own.is_ipv6() || address.is_ipv4());
            own.port() == address.port() && (own.ip() == address.ip() || is_wildcard)
        };
        let mut listeners = self.listeners.iter();
        listeners.find(|(_, listener)| reaches(listener.address)).map(|(&id, _)| id)
    }

    fn attempt(
        &mut self,
        address: SocketAddr,
        script: Option<Script>,
        due: Duration,
        failure: Option<ErrorKind>,
    ) -> u64 {
        let stream = self.endpoints.insert(Endpoint::new(None, address, script));
        self.plan(due, Planned::Connect(Attempt { stream, retries: 0, failure }));
        stream
    }

    fn make_connection(&mut self, client: u64, listener: u64) {
        let port = self.free_port();
        let Some(end) = self.endpoints.get(client) else {
            return;
        };
        let host = match end.remote {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        let script = self.listeners[&listener].key.is_none().then(Script::default);
        let accepted = Endpoint::new(Some(client), SocketAddr::new(host, port), script);
        let server = self.endpoints.insert(accepted);
        if let Some(end) = self.endpoints.get_mut(client) {
            end.other = Some(server);
        }
        self.note(format_args!("connected #{client} to #{server}"));
        self.enqueue(listener, server);
        self.raise(Source::Stream(client));
        self.pump(client);
    }

    fn fail_connect(&mut self, id: u64, failure: ErrorKind) {
        if let Some(end) = self.endpoints.get_mut(id) {
            end.kill(failure);
            self.note(format_args!("failed #{id} {failure:?}"));
            self.raise(Source::Stream(id));
        }
    }

    /// Makes the connections of a backlog arrive again, a little later, with a new edge.
    fn arrive_later(&mut self, listener: u64) {
        while let Some(stream) = self.take_waiting(listener) {
            let due = self.arrival();
            self.plan(due, Planned::Arrival { listener, stream });
        }
    }

    /// # Errors
    ///
    /// EMFILE if the engine has the most descriptors that it may have.
    fn check_descriptors(&self) -> io::Result<()> {
        if self.descriptors < self.config.descriptors {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(EMFILE))
        }
    }

    fn exhausted_by_chance(&mut self) -> io::Result<()> {
        if self.hits(Fault::DescriptorsExhausted) {
            let code = if self.choices.index(2) == 0 { EMFILE } else { ENFILE };
            return Err(io::Error::from_raw_os_error(code));
        }
        Ok(())
    }

    /// # Errors
    ///
    /// If the address is an IPv6 one and the system has no IPv6.
    fn check_family(&self, address: SocketAddr) -> io::Result<()> {
        if address.is_ipv4() || self.config.has_ipv6 {
            return Ok(());
        }
        Err(ErrorKind::AddrNotAvailable.into())
    }

    /// A port without a listener on any address.
    fn free_port(&mut self) -> u16 {
        self.port_where(|network, port| {
            !network.listeners.values().any(|open| open.address.port() == port)
        })
    }

    /// A port without a listener on this address. There may be one on other addresses.
    fn free_port_of(&mut self, mut address: SocketAddr) -> u16 {
        self.port_where(|network, port| {
            address.set_port(port);
            network.listener_at(address).is_none()
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
