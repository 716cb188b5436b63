//! The event bus: typed events to the handlers that were registered for them.

use std::any::{Any, TypeId, type_name};

use crate::engine::bus::subscriber::{Subscription, Subscriptions};
use crate::engine::context::Context;
use crate::engine::turn::calls::{Calls, HandlerCall};
use crate::queue::{Inbox, InboxReceiver};

/// Events of one type that are handled once a turn, so that a burst does not hold up the sockets.
pub(crate) const TURN_BUDGET: usize = 1024;

/// Events of one type that are handled between two groups of ready sockets, so that many of these
/// do not hold up an event.
pub(crate) const GROUP_BUDGET: usize = 64;

/// What an application does with events of type `E`, on the loop's thread.
///
/// [`EventLoop::on`](crate::EventLoop::on) takes a closure; a handler that keeps something of its
/// own, or acts at the end of a batch, goes to
/// [`EventLoop::on_handler`](crate::EventLoop::on_handler).
///
/// If a handler panics, the event's other handlers are still called, and the loop goes on, unless
/// [`Config::on_panic`](crate::Config::on_panic) says otherwise.
pub trait EventHandler<E, S> {
    /// An event arrived. Several handlers of one type are called in the order of their
    /// registration.
    fn on_event(&mut self, cx: &mut Context<'_>, event: &E, state: &mut S);

    /// There are no more events of this type, or the turn's share of them is used up: the moment
    /// to act once on what a whole batch of events has changed.
    #[expect(unused_variables, reason = "the names document the defaulted method")]
    fn on_batch_end(&mut self, cx: &mut Context<'_>, state: &mut S) {}
}

/// A closure as a handler of events.
pub(crate) struct OnEvent<F>(pub(crate) F);

impl<E, S, F> EventHandler<E, S> for OnEvent<F>
where
    F: FnMut(&mut Context<'_>, &E, &mut S),
{
    fn on_event(&mut self, cx: &mut Context<'_>, event: &E, state: &mut S) {
        (self.0)(cx, event, state);
    }
}

/// The queue and the handlers of every type of event.
pub(crate) struct Events<S> {
    /// Each a `Typed<S, E>`, with the type `E`.
    pub(crate) types: Vec<(TypeId, Box<dyn EventType<S>>)>,
    /// Events that one publisher's queue holds.
    capacity: usize,
    /// Events that were handled.
    pub(crate) handled: u64,
    /// The loop has ended.
    ended: bool,
}

/// What waits of some events, and what became of others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EventCounts {
    /// Other threads have published these, and they are not handled.
    pub(crate) waiting: usize,
    /// Publishers got these back because their queues were full.
    pub(crate) refused: u64,
    /// These wait for subscribers.
    pub(crate) handed_on: usize,
    /// Subscribers had no room for these.
    pub(crate) missed: u64,
}

/// One type of events, whichever it is.
pub(crate) trait EventType<S> {
    /// Handles up to `budget` events; tells how many.
    fn handle(
        &mut self,
        budget: usize,
        calls: &mut Calls,
        cx: &mut Context<'_>,
        state: &mut S,
    ) -> usize;

    fn counts(&self) -> EventCounts;

    /// Whether other threads have published some, or are to be handed some.
    fn has_events(&self) -> bool;

    /// Takes nothing more from other threads than what they have published.
    fn close(&mut self);

    fn as_any_mut(&mut self) -> &mut dyn Any;
}

pub(crate) struct Typed<S, E> {
    pub(crate) receiver: InboxReceiver<E>,
    pub(crate) handlers: Vec<Box<dyn EventHandler<E, S>>>,
    subscriptions: Subscriptions<E>,
}

impl<S, E: 'static> Typed<S, E> {
    /// The next event: of handlers, or of other threads. Neither keeps out the other, which has the
    /// second half of the turn's share.
    fn next(&mut self, local_first: bool, cx: &mut Context<'_>) -> Option<E> {
        if local_first {
            cx.core.events.pop().or_else(|| self.receiver.take())
        } else {
            self.receiver.take().or_else(|| cx.core.events.pop())
        }
    }
}

impl<S: 'static, E: 'static> EventType<S> for Typed<S, E> {
    fn handle(
        &mut self,
        budget: usize,
        calls: &mut Calls,
        cx: &mut Context<'_>,
        state: &mut S,
    ) -> usize {
        let (event_call, end_call) =
            (HandlerCall::Event(type_name::<E>()), HandlerCall::BatchEnd(type_name::<E>()));
        // The panic hook has told of a panic, and there is no connection to tell more of it.
        let mut handled = 0;
        while handled < budget {
            let Some(event) = self.next(handled < budget / 2, cx) else { break };
            for handler in &mut self.handlers {
                let _ = calls.call(event_call, cx, |cx| handler.on_event(cx, &event, state));
            }
            if !self.subscriptions.is_empty() {
                self.subscriptions.push(event, calls.on_panic);
            }
            handled += 1;
        }
        if handled > 0 {
            for handler in &mut self.handlers {
                let _ = calls.call(end_call, cx, |cx| handler.on_batch_end(cx, state));
            }
        }
        if !self.subscriptions.is_empty() {
            self.subscriptions.hand_over();
        }
        handled
    }

    fn counts(&self) -> EventCounts {
        EventCounts {
            waiting: self.receiver.len(),
            refused: self.receiver.refused(),
            handed_on: self.subscriptions.waiting(),
            missed: self.subscriptions.missed(),
        }
    }

    fn has_events(&self) -> bool {
        self.receiver.has_events() || self.subscriptions.has_pending()
    }

    fn close(&mut self) {
        self.receiver.close();
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl<S> Events<S> {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { types: Vec::new(), capacity, handled: 0, ended: false }
    }

    /// Whether other threads have published something.
    #[inline]
    pub(crate) fn has_events(&self) -> bool {
        self.types.iter().any(|(_, events)| events.has_events())
    }

    /// The sums over all types.
    pub(crate) fn counts(&self) -> EventCounts {
        self.types.iter().fold(EventCounts::default(), |sum, (_, events)| {
            let counts = events.counts();
            EventCounts {
                waiting: sum.waiting + counts.waiting,
                refused: sum.refused + counts.refused,
                handed_on: sum.handed_on + counts.handed_on,
                missed: sum.missed + counts.missed,
            }
        })
    }

    /// Takes no more events from other threads: every publisher learns so.
    pub(crate) fn close(&mut self) {
        self.types.iter_mut().for_each(|(_, events)| events.close());
    }

    /// The same, and every subscriber learns so too. Drops what was published before, and tells how
    /// much that was.
    pub(crate) fn end(&mut self) -> usize {
        self.ended = true;
        self.close();
        let left = self.counts().waiting;
        self.types.clear();
        left
    }
}

impl<S: 'static> Events<S> {
    /// The type's queue and handlers, made if there are none.
    pub(crate) fn typed<E: 'static>(&mut self) -> Option<&mut Typed<S, E>> {
        let wanted = TypeId::of::<E>();
        let found = self.types.iter().position(|(held, _)| *held == wanted);
        let at = found.unwrap_or(self.types.len());
        if found.is_none() {
            let mut receiver = Inbox::<E>::with_capacity(self.capacity);
            if self.ended {
                receiver.close();
            }
            let subscriptions = Subscriptions::new();
            let typed = Typed::<S, E> { receiver, handlers: Vec::new(), subscriptions };
            self.types.push((wanted, Box::new(typed)));
        }
        self.types[at].1.as_any_mut().downcast_mut()
    }

    /// Adds a subscriber; one of a loop that has ended learns so at once.
    pub(crate) fn subscribe<E: 'static>(&mut self, subscription: Subscription<E>) {
        if self.ended {
            return;
        }
        if let Some(typed) = self.typed::<E>() {
            typed.subscriptions.add(subscription);
        }
    }
}
