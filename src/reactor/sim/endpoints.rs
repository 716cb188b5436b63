//! The ends of all connections, by their ids.

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

    /// All ends in the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Endpoint)> {
        let slots = (0..).zip(&self.slots);
        slots.filter_map(|(id, end)| Some((id, end.as_deref()?)))
    }
}

fn index(id: u64) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}
