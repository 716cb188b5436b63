//! Attempts to connect that are under way, of connections that are being made.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::named::Named;
use super::streams::repeat;
use crate::reactor::Reactor;
use crate::slots::{Key, Slots};
use crate::time::Time;

/// After this time, the next address is tried beside an attempt that goes on (RFC 8305 §5).
const NEXT_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Every attempt that is under way. A connection may have several at a time. Their streams are not
/// among those of connections.
#[derive(Debug)]
pub(crate) struct Attempts<R: Reactor> {
    slots: Slots<Attempt<R>>,
    /// When the next address is tried although this attempt goes on. May name some that are over.
    due: VecDeque<(Time, Key)>,
    /// Attempts that began beside another of their connection.
    extra: usize,
}

/// One address that is being tried.
#[derive(Debug)]
pub(crate) struct Attempt<R: Reactor> {
    /// The connection that is being made.
    pub(crate) conn: Key,
    /// The address, unless it is a path.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) stream: R::Stream,
    is_extra: bool,
}

impl<R: Reactor> Attempts<R> {
    pub(crate) const fn new() -> Self {
        Self { slots: Slots::new(), due: VecDeque::new(), extra: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many there are beyond one for each connection.
    pub(crate) const fn extra(&self) -> usize {
        self.extra
    }

    /// Begins an attempt for a connection that has `others` under way.
    pub(crate) fn begin(
        &mut self,
        reactor: &mut R,
        conn: Key,
        others: &[Key],
        target: Target<'_>,
    ) -> io::Result<Key> {
        let is_extra = !others.is_empty();
        let key = self.slots.try_insert_with(|key| {
            let (mut stream, address) = match target {
                Target::Address(address) => (reactor.connect(address)?, Some(address)),
                Target::Path(path) => (reactor.connect_unix(path)?, None),
            };
            let bits = Named::Attempt(key).to_bits();
            repeat(|| reactor.register(&mut stream, bits))?;
            Ok::<_, io::Error>(Attempt { conn, address, stream, is_extra })
        })?;
        self.extra += usize::from(is_extra);
        Ok(key)
    }

    /// The outcome of an attempt; `None` while that is not known, or if it is over.
    pub(crate) fn outcome(&mut self, reactor: &mut R, key: Key) -> Option<io::Result<()>> {
        let attempt = self.slots.get_mut(key)?;
        match repeat(|| reactor.connect_result(&mut attempt.stream)) {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Takes an attempt that is over. Its stream is closed unless it is kept.
    pub(crate) fn take(&mut self, key: Key) -> Option<Attempt<R>> {
        let attempt = self.slots.remove(key)?;
        self.extra -= usize::from(attempt.is_extra);
        Some(attempt)
    }

    /// If the attempt goes on for long enough, the next address is tried beside it.
    pub(crate) fn note_next(&mut self, key: Key, now: Time) {
        self.due.push_back((now + NEXT_ATTEMPT_DELAY, key));
    }

    /// When the next address is to be tried.
    pub(crate) fn deadline(&mut self) -> Option<Time> {
        while self.due.front().is_some_and(|(_, key)| self.slots.get(*key).is_none()) {
            self.due.pop_front();
        }
        self.due.front().map(|(time, _)| *time)
    }

    /// Whether an address may have to be tried now.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.due.front().is_some_and(|(time, _)| *time <= now)
    }

    /// The next attempt that has gone on for long enough, and its connection.
    pub(crate) fn next_due(&mut self, now: Time) -> Option<(Key, Key)> {
        while self.is_due(now) {
            let (_, key) = self.due.pop_front()?;
            if let Some(attempt) = self.slots.get(key) {
                return Some((key, attempt.conn));
            }
        }
        None
    }
}

/// Where an attempt connects to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    Address(SocketAddr),
    Path(&'a Path),
}
