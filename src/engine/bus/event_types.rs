//! The types of events that a loop knows.

use crate::engine::bus::events::{Events, Typed};
use crate::engine::core::Core;
use crate::net::streams::Transmit;

/// The types of events of a loop, to which handlers are added.
pub(crate) struct EventTypes<'a, S> {
    pub(crate) events: &'a mut Events<S>,
    pub(crate) core: &'a mut Core<dyn Transmit + 'a>,
}

impl<S: 'static> EventTypes<'_, S> {
    /// The queue and handlers of type `E`, made if there are none.
    pub(crate) fn register<E: 'static>(&mut self) -> &mut Typed<S, E> {
        self.core.events.register::<E>();
        let inboxes = &mut self.core.inboxes;
        self.events.typed(|inbox| inboxes.add(inbox))
    }
}
