//! The ends of all connections, by their numbers.

use super::endpoint::Endpoint;

/// Every end of a connection that its owner or its other end has not dropped.
///
/// Numbers are places, so that an end is found without a search, and never used again.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    places: Vec<Option<Box<Endpoint>>>,
}

impl Endpoints {
    /// Adds an end and numbers it.
    pub(super) fn insert(&mut self, end: Endpoint) -> u64 {
        self.places.push(Some(Box::new(end)));
        self.places.len() as u64 - 1
    }

    pub(super) fn get(&self, id: u64) -> Option<&Endpoint> {
        self.places.get(place(id))?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Endpoint> {
        self.places.get_mut(place(id))?.as_deref_mut()
    }

    pub(super) fn remove(&mut self, id: u64) {
        if let Some(end) = self.places.get_mut(place(id)) {
            *end = None;
        }
    }

    /// All of them in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Endpoint)> {
        let places = (0..).zip(&self.places);
        places.filter_map(|(id, end)| Some((id, end.as_deref()?)))
    }
}

fn place(id: u64) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}
