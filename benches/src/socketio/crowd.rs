//! All sessions, on one thread.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use super::session::{Endpoint, Network, Ready, Receiver, Session, Way, place, unexpected};
use crate::error::Error;
use crate::load::Target;
use crate::machine;

/// Open files that the program needs besides its sessions.
const OTHER_FILES: u64 = 64;

/// Sessions that join at the same time, where no storm is measured.
pub(super) const GENTLY: usize = 32;

/// How long sessions may take to join.
const JOINING_MAX: Duration = Duration::from_secs(60);

/// The longest wait. Only a load without a CPU of its own waits at all.
const WAIT_MAX: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Crowd {
    poll: Poll,
    events: Events,
    endpoint: Endpoint,
    /// `None` once it has failed.
    sessions: Vec<Option<Session>>,
    joined: usize,
    failed: usize,
    /// Why the first session failed that did.
    reason: String,
    buffer: Vec<u8>,
    wait: Duration,
}

/// Expects no packets.
#[derive(Debug)]
pub(super) struct Nobody;

impl Receiver for Nobody {
    fn packet(&mut self, _: usize, packet: &[u8]) -> Result<Option<Vec<u8>>, String> {
        Err(unexpected(packet))
    }
}

impl Crowd {
    /// No sessions. `spins`: whether the load has a CPU of its own.
    pub(super) fn new(target: &Target, way: Way, spins: bool) -> Result<Self, Error> {
        let host = target.host.parse();
        let host = host.map_err(|_| Error::Settings("the server has no address".to_owned()))?;
        let address = SocketAddr::new(host, target.port);
        Ok(Self {
            poll: Poll::new().map_err(Error::system("cannot poll"))?,
            events: Events::with_capacity(1024),
            endpoint: Endpoint { address, target: target.clone(), way },
            sessions: Vec::new(),
            joined: 0,
            failed: 0,
            reason: String::new(),
            buffer: vec![0; 64 * 1024],
            wait: if spins { Duration::ZERO } else { WAIT_MAX },
        })
    }

    /// Has so many more sessions join, of which at most `at_once` are about to. Returns how long
    /// that took. All have to.
    pub(super) fn join(&mut self, count: usize, at_once: usize) -> Result<Duration, Error> {
        let (start, wanted) = (Instant::now(), self.sessions.len() + count);
        self.make_room(wanted)?;
        while self.joined < wanted {
            while self.sessions.len() < wanted.min(self.joined + at_once) {
                self.dial();
            }
            self.turn(&mut Nobody)?;
            self.check()?;
            let outstanding = (wanted - self.joined) as u64;
            self.limit(start, JOINING_MAX, outstanding)?;
        }
        Ok(start.elapsed())
    }

    /// Has so many sessions join at once. Returns how many did in time, and how long that took.
    /// [`check`](Self::check) says why others did not.
    pub(super) fn storm(
        &mut self,
        count: usize,
        patience: Duration,
    ) -> Result<(usize, Duration), Error> {
        self.make_room(count)?;
        let start = Instant::now();
        (0..count).for_each(|_| self.dial());
        while self.joined + self.failed < count && start.elapsed() < patience {
            self.turn(&mut Nobody)?;
        }
        Ok((self.joined, start.elapsed()))
    }

    fn make_room(&self, sessions: usize) -> Result<(), Error> {
        let each = if self.endpoint.way == Way::Polling { 2 } else { 1 };
        let files = each * sessions as u64 + OTHER_FILES;
        if machine::raise_file_limit(files) < files {
            let reason = format!("{files} open files are needed, and not so many are allowed");
            return Err(Error::Settings(reason));
        }
        Ok(())
    }

    fn dial(&mut self) {
        let network = Network { endpoint: &self.endpoint, registry: self.poll.registry() };
        let index = self.sessions.len();
        match Session::dial(index, network) {
            Ok(session) => self.sessions.push(Some(session)),
            Err(reason) => {
                self.sessions.push(None);
                self.fail(index, reason);
            }
        }
    }

    fn fail(&mut self, index: usize, reason: String) {
        let has_joined = self.sessions[index].take().is_some_and(|session| session.has_joined());
        self.joined -= usize::from(has_joined);
        if self.failed == 0 {
            self.reason = format!("session {index}: {reason}");
        }
        self.failed += 1;
    }

    /// How many requests were sent again on other connections.
    pub(super) fn repeated(&self) -> u32 {
        self.sessions.iter().flatten().map(Session::repeated).sum()
    }

    /// Fails if a session has.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.failed == 0 { Ok(()) } else { Err(Error::Events(self.reason.clone())) }
    }

    /// Fails if that much time has passed.
    pub(super) fn limit(
        &self,
        since: Instant,
        patience: Duration,
        outstanding: u64,
    ) -> Result<(), Error> {
        if since.elapsed() > patience {
            return Err(Error::Stalled { outstanding, seconds: patience.as_secs() });
        }
        Ok(())
    }

    /// Sends one packet of a session.
    pub(super) fn send(&mut self, index: usize, packet: &[u8]) {
        let network = Network { endpoint: &self.endpoint, registry: self.poll.registry() };
        let session = self.sessions.get_mut(index).and_then(Option::as_mut);
        if let Some(Err(reason)) = session.map(|session| session.send(packet, network)) {
            self.fail(index, reason);
        }
    }

    /// Handles what is ready.
    pub(super) fn turn(&mut self, receiver: &mut impl Receiver) -> Result<(), Error> {
        match self.poll.poll(&mut self.events, Some(self.wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            outcome => outcome.map_err(Error::system("cannot wait for sockets"))?,
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let (index, side) = place(event.token());
            let network = Network { endpoint: &self.endpoint, registry: self.poll.registry() };
            let Some(session) = &mut self.sessions[index] else { continue };
            let had_joined = session.has_joined();
            let ready = Ready { side, has_ended: event.is_read_closed() || event.is_error() };
            match session.advance(ready, network, &mut self.buffer, receiver) {
                Ok(()) => self.joined += usize::from(session.has_joined() && !had_joined),
                Err(reason) => {
                    self.joined += usize::from(session.has_joined() && !had_joined);
                    self.fail(index, reason);
                }
            }
        }
        self.events = events;
        Ok(())
    }
}
