//! The ends of all connections, by their ids.

use std::io::{self, ErrorKind};

use super::super::Readiness;
use super::endpoint::Endpoint;

/// Every end of a connection. An end is removed when both ends were dropped.
///
/// An id is an index, so that an end is found without a search. Ids are not reused.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    slots: Vec<Option<Box<Endpoint>>>,
}

impl Endpoints {
    /// Adds an end and returns its id.
    pub(super) fn insert(&mut self, end: Endpoint) -> u64 {
        self.slots.push(Some(Box::new(end)));
        self.slots.len() as u64 - 1
    }

    pub(super) fn get(&self, id: u64) -> Option<&Endpoint> {
        self.slots.get(index(id))?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Endpoint> {
        self.slots.get_mut(index(id))?.as_deref_mut()
    }

    pub(super) fn remove(&mut self, id: u64) {
        if let Some(end) = self.slots.get_mut(index(id)) {
            *end = None;
        }
    }

    /// # Errors
    ///
    /// `NotConnected` if there is no such end, which happens only with a stream of another reactor.
    pub(super) fn end(&mut self, id: u64) -> io::Result<&mut Endpoint> {
        self.get_mut(id).ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// How many bytes this end may send now.
    pub(super) fn room(&self, id: u64, window: usize) -> usize {
        let Some(end) = self.get(id).filter(|end| !end.choked) else {
            return 0;
        };
        let other = end.other.and_then(|other| self.get(other));
        other.map_or(0, |other| window.saturating_sub(other.window_bytes()))
    }

    /// As on Linux: there is room for a third of the window, or sending would return an error.
    pub(super) fn is_writable(&self, id: u64, window: usize) -> bool {
        let Some(end) = self.get(id) else {
            return false;
        };
        end.is_shut() || self.room(id, window).saturating_mul(3) >= window
    }

    /// The readiness of a stream, as `epoll` would report it.
    pub(super) fn readiness(&mut self, id: u64, window: usize) -> Option<Readiness> {
        let writable = self.is_writable(id, window);
        let end = self.get_mut(id)?;
        let key = end.key.filter(|_| !end.closed)?;
        // Without room, a writable edge must follow when there is.
        end.wants_room |= !writable;
        let hangup = end.is_finished() || end.is_dead();
        let readable = hangup || !end.received.is_empty();
        let readiness = Readiness { key, readable, writable, hangup, urgent: false };
        (readable || writable).then_some(readiness)
    }

    /// All ends in the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Endpoint)> {
        let slots = (0..).zip(&self.slots);
        slots.filter_map(|(id, end)| Some((id, end.as_deref()?)))
    }
}

fn index(id: u64) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}
