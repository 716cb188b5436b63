//! Events that handlers publish: on the loop's own thread, they need no lock and no fence.

use std::any::{Any, TypeId};
use std::collections::VecDeque;

/// A bounded queue for each type of event, found by the type.
#[derive(Debug)]
pub(crate) struct LocalEvents {
    /// Each a `Local<E>`, with the type `E`.
    queues: Vec<(TypeId, Box<dyn Any>)>,
    capacity: usize,
    /// Events in all queues.
    len: usize,
}

#[derive(Debug)]
struct Local<E>(VecDeque<E>);

impl LocalEvents {
    /// Queues of up to `capacity` events each.
    pub(crate) const fn with_capacity(capacity: usize) -> Self {
        Self { queues: Vec::new(), capacity, len: 0 }
    }

    /// Makes a queue for a type of event, if there is none.
    pub(crate) fn register<E: 'static>(&mut self) {
        if self.queue::<E>().is_none() {
            self.queues.push((TypeId::of::<E>(), Box::new(Local::<E>(VecDeque::new()))));
        }
    }

    /// Whether nothing waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends an event; gives it back if its queue is full, or there is none.
    pub(crate) fn push<E: 'static>(&mut self, event: E) -> Result<(), Refused<E>> {
        let capacity = self.capacity;
        let Some(queue) = self.queue::<E>() else { return Err(Refused::Unknown(event)) };
        if queue.len() >= capacity {
            return Err(Refused::Full(event));
        }
        queue.push_back(event);
        self.len += 1;
        Ok(())
    }

    /// Takes the event that was appended first.
    pub(crate) fn pop<E: 'static>(&mut self) -> Option<E> {
        if self.is_empty() {
            return None;
        }
        let event = self.queue::<E>()?.pop_front();
        self.len -= usize::from(event.is_some());
        event
    }

    fn queue<E: 'static>(&mut self) -> Option<&mut VecDeque<E>> {
        let wanted = TypeId::of::<E>();
        let (_, queue) = self.queues.iter_mut().find(|(held, _)| *held == wanted)?;
        queue.downcast_mut::<Local<E>>().map(|local| &mut local.0)
    }
}

/// Why an event was not appended.
#[derive(Debug)]
pub(crate) enum Refused<E> {
    Full(E),
    Unknown(E),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_own_order_and_bound() {
        let mut events = LocalEvents::with_capacity(2);
        assert!(matches!(events.push('a'), Err(Refused::Unknown('a'))));
        events.register::<char>();
        events.register::<u8>();
        events.register::<char>();
        for letter in ['a', 'b'] {
            assert!(events.push(letter).is_ok());
        }
        assert!(matches!(events.push('c'), Err(Refused::Full('c'))));
        assert!(events.push(1_u8).is_ok());
        assert_eq!(
            (events.pop(), events.pop(), events.pop::<char>()),
            (Some('a'), Some('b'), None)
        );
        assert!(!events.is_empty());
        assert_eq!(events.pop(), Some(1_u8));
        assert!(events.is_empty());
        assert_eq!(events.pop::<u8>(), None);
    }
}
