//! The event bus: typed events to the handlers that were registered for them.

use std::any::{Any, TypeId, type_name};

use super::call::Calls;
use super::subscriber::{Subscription, Subscriptions};
use super::{Context, EventLoop, HandlerCall, Publisher};
use crate::queue::{Inbox, InboxReceiver, LaneSender};
use crate::reactor::Reactor;

/// Events of one type that are handled once a turn, so that a burst does not hold up the sockets.
pub(super) const TURN_BUDGET: usize = 1024;

/// Events of one type that are handled between two groups of ready sockets, so that many of these
/// do not hold up an event.
pub(super) const GROUP_BUDGET: usize = 64;

/// What an application does with events of type `E`, on the loop's thread.
///
/// [`EventLoop::on`] takes a closure; a handler that keeps something of its own, or acts at the end
/// of a batch, goes to [`EventLoop::on_handler`].
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
struct OnEvent<F>(F);

impl<E, S, F> EventHandler<E, S> for OnEvent<F>
where
    F: FnMut(&mut Context<'_>, &E, &mut S),
{
    fn on_event(&mut self, cx: &mut Context<'_>, event: &E, state: &mut S) {
        (self.0)(cx, event, state);
    }
}

/// The queue and the handlers of every type of event.
pub(super) struct Events<S> {
    /// Each a `Typed<S, E>`, with the type `E`.
    types: Vec<(TypeId, Box<dyn EventType<S>>)>,
    /// Events that one publisher's queue holds.
    capacity: usize,
    /// Events that were handled.
    pub(super) handled: u64,
    /// The loop has ended.
    ended: bool,
}

/// What waits of some events, and what became of others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventCounts {
    /// Other threads have published these, and they are not handled.
    pub(super) waiting: usize,
    /// Publishers got these back because their queues were full.
    pub(super) refused: u64,
    /// These wait for subscribers.
    pub(super) handed_on: usize,
    /// Subscribers had no room for these.
    pub(super) missed: u64,
}

/// One type of events, whichever it is.
trait EventType<S> {
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

struct Typed<S, E> {
    receiver: InboxReceiver<E>,
    handlers: Vec<Box<dyn EventHandler<E, S>>>,
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
    pub(super) const fn new(capacity: usize) -> Self {
        Self { types: Vec::new(), capacity, handled: 0, ended: false }
    }

    /// Whether other threads have published something.
    #[inline]
    pub(super) fn has_events(&self) -> bool {
        self.types.iter().any(|(_, events)| events.has_events())
    }

    /// The sums over all types.
    pub(super) fn counts(&self) -> EventCounts {
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
    pub(super) fn close(&mut self) {
        self.types.iter_mut().for_each(|(_, events)| events.close());
    }

    /// The same, and every subscriber learns so too. Drops what was published before, and tells how
    /// much that was.
    pub(super) fn end(&mut self) -> usize {
        self.ended = true;
        self.close();
        let left = self.counts().waiting;
        self.types.clear();
        left
    }
}

impl<S: 'static> Events<S> {
    /// The type's queue and handlers, made if there are none.
    fn typed<E: 'static>(&mut self) -> Option<&mut Typed<S, E>> {
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
    pub(super) fn subscribe<E: 'static>(&mut self, subscription: Subscription<E>) {
        if self.ended {
            return;
        }
        if let Some(typed) = self.typed::<E>() {
            typed.subscriptions.add(subscription);
        }
    }
}

impl<S: 'static, R: Reactor> EventLoop<S, R> {
    /// Calls a closure for every event of type `E`. Several handlers of one type are called in the
    /// order of their registration.
    ///
    /// Events come from other threads ([`publisher`](Self::publisher)) and from handlers
    /// ([`Context::publish`]). The events of one publisher arrive in order, each once. At most
    /// 1,024 of one type are handled in a turn, before the sockets have theirs; handlers and other
    /// threads have half of that each, if they want it.
    ///
    /// ```
    /// use eventwire::{Config, EventLoop};
    ///
    /// struct Joined(String);
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let lobby = event_loop.topic("lobby")?;
    /// event_loop.on(move |cx, joined: &Joined, _: &mut ()| {
    ///     cx.broadcast(lobby, &joined.0);
    /// });
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    pub fn on<E: 'static>(&mut self, handler: impl FnMut(&mut Context<'_>, &E, &mut S) + 'static) {
        self.on_handler(OnEvent(handler));
    }

    /// Registers a handler of events of type `E`, as [`on`](Self::on).
    pub fn on_handler<E: 'static>(&mut self, handler: impl EventHandler<E, S> + 'static) {
        self.core.events.register::<E>();
        if let Some(typed) = self.events.typed::<E>() {
            typed.handlers.push(Box::new(handler));
        }
    }

    /// A publisher of events of type `E`, for another thread. Each one, clones too, has a queue of
    /// its own, of [`Config::inbox`](crate::Config::inbox) events.
    ///
    /// # Panics
    ///
    /// Never: a type's queue is of that type.
    pub fn publisher<E: Send + 'static>(&mut self) -> Publisher<E> {
        self.core.events.register::<E>();
        let typed = self.events.typed::<E>().expect("made for this type");
        Publisher::new(LaneSender::new(typed.receiver.inbox()), self.handle.clone())
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Handles up to `budget` events of each type.
    #[inline]
    pub(super) fn serve_events(&mut self, budget: usize, state: &mut S) {
        if self.has_events() {
            self.handle_events(budget, state);
        }
    }

    #[inline(never)]
    fn handle_events(&mut self, budget: usize, state: &mut S) {
        if let Some(woken) = self.woken_at.take() {
            let now = self.core.streams.reactor.now();
            self.meters.wake_latency.record(now.since(woken));
        }
        let mut context = self.core.context();
        for (_, events) in &mut self.events.types {
            let handled = events.handle(budget, &mut self.calls, &mut context, state);
            self.events.handled += handled as u64;
        }
    }

    /// Whether events wait, from other threads or from handlers.
    #[inline]
    pub(super) fn has_events(&self) -> bool {
        !self.core.events.is_empty() || self.events.has_events()
    }
}
