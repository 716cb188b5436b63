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
use super::network::{Network, Planned};
use super::sockets::Source;

/// How long a connect waits before it retries after a full backlog, as after a lost SYN.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The most retries. With one each second they last as long as Linux tries (`tcp_syn_retries` = 6).
/// They are counted, so that a jump of the clock does not shorten the attempt.
const RETRIES_MAX: u32 = 127;

/// The longest extra time of [`Fault::ConnectSlow`].
const SLOW_CONNECT_MAX: Duration = Duration::from_secs(20);

impl Network {
    /// Begins to look a name up. An unknown name fails at once.
    pub(super) fn resolve(&mut self, host: &str, port: u16, done: ResolveDone) -> Lookup {
        let lookup = Lookup::new();
        let Some(ips) = self.names.get(host) else {
            done(Err(ErrorKind::NotFound.into()));
            return lookup;
        };
        let found = Ok(ips.iter().map(|&ip| SocketAddr::new(ip, port)).collect());
        let due = self.env.arrival();
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
            self.env.check_descriptors(self.descriptors)?;
        }
        self.env.check_family(address)?;
        if address.port() == 0 {
            address.set_port(self.sockets.listeners.free_port_of(address));
        } else if self.sockets.listeners.at(address).is_some() {
            return Err(ErrorKind::AddrInUse.into());
        }
        let limit = usize::try_from(backlog.max(1)).unwrap_or(usize::MAX);
        let id = self.env.number();
        let backlog = VecDeque::new();
        self.sockets
            .listeners
            .by_id
            .insert(id, Listener { address, key, backlog, limit, edge: false });
        self.descriptors += usize::from(key.is_some());
        Ok((id, address))
    }

    /// Accepts a connection for the engine.
    pub(super) fn accept(&mut self, id: u64) -> io::Result<(u64, SocketAddr)> {
        self.env.interruptible()?;
        if self.sockets.listeners.by_id.get(&id).is_none_or(|listener| listener.backlog.is_empty())
        {
            return Err(ErrorKind::WouldBlock.into());
        }
        if self.env.hits(Fault::WouldBlock) {
            // The whole backlog arrives again, a little later, with a new edge.
            while let Some(stream) = self.sockets.listeners.pop_waiting(id) {
                let due = self.env.arrival();
                self.plan(due, Planned::Arrival { listener: id, stream });
            }
            return Err(ErrorKind::WouldBlock.into());
        }
        // Without a descriptor the connection stays in the backlog, and no further edge reports it.
        self.env.check_descriptors(self.descriptors)?;
        self.env.exhaust_descriptors()?;
        let Some(stream) = self.sockets.listeners.pop_waiting(id) else {
            return Err(ErrorKind::WouldBlock.into());
        };
        if self.env.hits(Fault::Aborted) {
            self.abort(stream);
            self.close_stream(stream);
            return Err(ErrorKind::ConnectionAborted.into());
        }
        self.descriptors += 1;
        let remote = self.sockets.endpoints.end(stream)?.remote;
        Ok((stream, remote))
    }

    /// Begins a connect of the engine.
    pub(super) fn connect(&mut self, address: SocketAddr) -> io::Result<u64> {
        self.env.check_descriptors(self.descriptors)?;
        self.env.check_family(address)?;
        self.env.exhaust_descriptors()?;
        let mut due = self.env.arrival();
        let mut failure = None;
        if self.silent.contains(&address) || self.env.hits(Fault::ConnectNever) {
            due = self.env.elapsed + RETRY_DELAY * RETRIES_MAX;
            failure = Some(ErrorKind::TimedOut);
        } else if self.env.hits(Fault::Refused) {
            failure = Some(ErrorKind::ConnectionRefused);
        } else if self.env.hits(Fault::ConnectSlow) {
            due = due.saturating_add(self.env.choices.span(Duration::ZERO, SLOW_CONNECT_MAX));
        }
        self.descriptors += 1;
        Ok(self.attempt(address, None, due, failure))
    }

    /// The outcome of a connect: `true` if the connection is established.
    pub(super) fn connect_result(&mut self, id: u64) -> io::Result<bool> {
        self.env.interruptible()?;
        let end = self.sockets.endpoints.end(id)?;
        if end.is_connecting() {
            return Ok(false);
        }
        match end.take_error() {
            Some(error) => Err(error.into()),
            None if end.is_dead() => Err(ErrorKind::NotConnected.into()),
            None => Ok(true),
        }
    }

    /// Registers a stream. Its current state is the first edge.
    pub(super) fn register(&mut self, id: u64, key: u64) -> io::Result<()> {
        self.env.interruptible()?;
        let end = self.sockets.endpoints.end(id)?;
        if end.key.is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        end.key = Some(key);
        self.raise_if_ready(id);
        Ok(())
    }

    /// Gives a registered stream another key. Its current state is the first edge with that key.
    pub(super) fn rekey(&mut self, id: u64, key: u64) -> io::Result<()> {
        self.env.interruptible()?;
        let end = self.sockets.endpoints.end(id)?;
        let former = end.key.replace(key).ok_or(ErrorKind::NotFound)?;
        self.edges.retire(Some(former));
        self.raise_if_ready(id);
        Ok(())
    }

    fn raise_if_ready(&mut self, id: u64) {
        if self.sockets.endpoints.readiness(id, self.env.config.window).is_some() {
            self.raise(Source::Stream(id));
        }
    }

    /// Closes a stream or listener that its owner has dropped.
    pub(super) fn close(&mut self, source: Source) {
        self.descriptors = self.descriptors.saturating_sub(1);
        match source {
            Source::Stream(id) => self.close_stream(id),
            Source::Listener(id) => {
                let Some(listener) = self.sockets.listeners.by_id.remove(&id) else {
                    return;
                };
                self.edges.retire(listener.key);
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
        let Some(end) = self.sockets.endpoints.get(stream) else {
            return;
        };
        if let Some(failure) = attempt.failure {
            return self.fail_connect(stream, failure);
        }
        let Some(id) = self.sockets.listeners.at(end.remote) else {
            return self.fail_connect(stream, ErrorKind::ConnectionRefused);
        };
        if self.sockets.listeners.by_id[&id].backlog.len() < self.sockets.listeners.by_id[&id].limit
        {
            return self.make_connection(stream, id);
        }
        if attempt.retries == RETRIES_MAX {
            return self.fail_connect(stream, ErrorKind::TimedOut);
        }
        let retries = attempt.retries + 1;
        self.plan(self.env.elapsed + RETRY_DELAY, Planned::Connect(Attempt { retries, ..attempt }));
    }

    /// Appends a connection to a listener's backlog.
    pub(super) fn enqueue(&mut self, listener: u64, stream: u64) {
        match self.sockets.listeners.by_id.get_mut(&listener) {
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

    /// Plans a connect that completes at `due`, of a raw peer if there is a script.
    pub(super) fn attempt(
        &mut self,
        address: SocketAddr,
        script: Option<Script>,
        due: Duration,
        failure: Option<ErrorKind>,
    ) -> u64 {
        let stream = self.sockets.endpoints.insert(Endpoint::new(None, address, script));
        self.plan(due, Planned::Connect(Attempt { stream, retries: 0, failure }));
        stream
    }

    fn make_connection(&mut self, client: u64, listener: u64) {
        let port = self.sockets.listeners.free_port();
        let Some(end) = self.sockets.endpoints.get(client) else {
            return;
        };
        let host = match end.remote {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        let script = self.sockets.listeners.by_id[&listener].key.is_none().then(Script::default);
        let accepted = Endpoint::new(Some(client), SocketAddr::new(host, port), script);
        let server = self.sockets.endpoints.insert(accepted);
        if let Some(end) = self.sockets.endpoints.get_mut(client) {
            end.other = Some(server);
        }
        self.env.note(format_args!("connected #{client} to #{server}"));
        self.enqueue(listener, server);
        self.raise(Source::Stream(client));
        self.pump(client);
    }

    fn fail_connect(&mut self, id: u64, failure: ErrorKind) {
        if let Some(end) = self.sockets.endpoints.get_mut(id) {
            end.kill(failure);
            self.env.note(format_args!("failed #{id} {failure:?}"));
            self.raise(Source::Stream(id));
        }
    }
}
