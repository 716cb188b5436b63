//! The streams and listeners of a simulation, and their readiness.

use super::super::Readiness;
use super::endpoints::Endpoints;
use super::listener::Listeners;

/// Something with a key: a stream or a listener, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stream(u64),
    Listener(u64),
}

/// All streams and listeners.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    pub(super) endpoints: Endpoints,
    pub(super) listeners: Listeners,
}

impl Sockets {
    /// Whether an edge of a registered source is due.
    pub(super) fn edge_flag(&mut self, source: Source) -> Option<&mut bool> {
        match source {
            Source::Stream(id) => self
                .endpoints
                .get_mut(id)
                .filter(|end| end.key.is_some() && !end.closed)
                .map(|end| &mut end.edge),
            Source::Listener(id) => self
                .listeners
                .by_id
                .get_mut(&id)
                .filter(|listener| listener.key.is_some())
                .map(|listener| &mut listener.edge),
        }
    }

    /// The current readiness of a source. `None` if there is nothing to report.
    pub(super) fn readiness(&mut self, source: Source, window: usize) -> Option<Readiness> {
        match source {
            Source::Stream(id) => self.endpoints.readiness(id, window),
            Source::Listener(id) => {
                let listener = self.listeners.by_id.get(&id)?;
                let key = listener.key?;
                (!listener.backlog.is_empty()).then_some(Readiness {
                    key,
                    readable: true,
                    writable: false,
                    hangup: false,
                    urgent: false,
                })
            }
        }
    }

    /// The keys of all registered streams and listeners.
    pub(super) fn keys(&self) -> Vec<u64> {
        let streams =
            self.endpoints.iter().filter(|(_, end)| !end.closed).filter_map(|(_, end)| end.key);
        let listeners = self.listeners.by_id.values().filter_map(|listener| listener.key);
        streams.chain(listeners).collect()
    }
}
