use crate::engine::ids::ListenerId;
use crate::slots::{Key, Slots};

/// The listeners that are open.
#[derive(Debug)]
pub(crate) struct OpenListeners(Slots<OpenListener>);

/// An open listener.
#[derive(Debug)]
pub(crate) struct OpenListener {
    /// The slot of the endpoint of its connections.
    pub(crate) endpoint: usize,
    /// The sockets that it listens on.
    pub(crate) sockets: Vec<Key>,
}

impl OpenListeners {
    pub(crate) const fn new() -> Self {
        Self(Slots::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn insert(&mut self, listener: OpenListener) -> ListenerId {
        ListenerId(self.0.insert(listener))
    }

    pub(crate) fn get(&self, id: ListenerId) -> Option<&OpenListener> {
        self.0.get(id.0)
    }

    pub(crate) fn remove(&mut self, id: ListenerId) -> Option<OpenListener> {
        self.0.remove(id.0)
    }

    pub(crate) fn ids(&self) -> Vec<ListenerId> {
        self.0.iter().map(|(key, _)| ListenerId(key)).collect()
    }
}
