use std::any::{Any, TypeId};

use crate::queue::SharedInbox;

/// The inbox of each type of event that is registered with a loop.
#[derive(Debug, Default)]
pub(crate) struct Inboxes(
    /// The `SharedInbox<E>` of each type `E`.
    Vec<(TypeId, Box<dyn Any>)>,
);

impl Inboxes {
    /// Adds the inbox of events of type `E`.
    pub(crate) fn add<E: 'static>(&mut self, inbox: SharedInbox<E>) {
        self.0.push((TypeId::of::<E>(), Box::new(inbox)));
    }

    /// The inbox of events of type `E`, if the type is registered.
    pub(crate) fn get<E: 'static>(&self) -> Option<&SharedInbox<E>> {
        let (_, inbox) = self.0.iter().find(|(held, _)| *held == TypeId::of::<E>())?;
        inbox.downcast_ref()
    }
}
