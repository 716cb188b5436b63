//! The loop's part of the event bus: registration, and the events of one turn.

use crate::engine::bus::events::{EventHandler, OnEvent, Typed};
use crate::engine::bus::publisher::Publisher;
use crate::engine::bus::subscriber::{Subscriber, Subscription};
use crate::engine::context::Context;
use crate::engine::event_loop::EventLoop;
use crate::overflow::OverflowPolicy;
use crate::queue::{InboxSender, SubscriberQueue};
use crate::reactor::Reactor;

impl<S: 'static, R: Reactor> EventLoop<S, R> {
    /// Calls a closure for every event of type `E`. Several handlers of one type are called in the
    /// order of their registration.
    ///
    /// Events come from other threads ([`publisher`](Self::publisher)) and from handlers
    /// ([`Context::publish`]). The events of one publisher arrive in order, each once. In one turn,
    /// at most 1,024 events of one type are handled together before the loop serves its sockets
    /// again. Half of them is reserved for handlers' events and half for those of other threads, if
    /// both have some.
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
        self.register::<E>().handlers.push(Box::new(handler));
    }

    /// A publisher of events of type `E`, for another thread. Each publisher and each clone has its
    /// own queue of [`Config::inbox`](crate::Config::inbox) events.
    ///
    pub fn publisher<E: Send + 'static>(&mut self) -> Publisher<E> {
        let inbox = self.register::<E>().receiver.inbox().clone();
        Publisher::new(InboxSender::new(&inbox), self.core.handle.clone())
    }

    /// A subscriber to events of type `E`, for another thread. It gets a clone of every event that
    /// is handled from now on, even if no handler is registered for the type.
    ///
    /// `capacity` is the number of events that may be queued for it; 0 counts as 1. There is no
    /// default: choose as many as the loop handles in the longest time for which the subscriber may
    /// be busy, and at least the 1,024 that one turn may handle. Memory is allocated for queued
    /// events, not for the capacity.
    ///
    /// If the loop has ended, the subscriber has ended, too.
    pub fn subscriber<E: Clone + Send + 'static>(
        &mut self,
        capacity: usize,
        policy: OverflowPolicy,
    ) -> Subscriber<E> {
        let (feed, receiver) = SubscriberQueue::new(capacity, policy);
        let is_over = self.events.has_ended();
        let typed = self.register::<E>();
        if !is_over {
            typed.subscribe(Subscription { feed, clone: E::clone });
        }
        Subscriber { receiver }
    }

    /// The queue and handlers of type `E`, made if there are none.
    pub(crate) fn register<E: 'static>(&mut self) -> &mut Typed<S, E> {
        let Self { core, events, .. } = self;
        core.events.register::<E>();
        events.typed(|inbox| core.inboxes.add(inbox))
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Handles up to `budget` events of each type.
    #[inline]
    pub(crate) fn serve_events(&mut self, budget: usize, state: &mut S) {
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
        let mut context = self.core.erased().context();
        for (_, events) in &mut self.events.types {
            let handled = events.handle(budget, &mut self.calls, &mut context, state);
            self.events.handled += handled as u64;
        }
        if self.events.has_workers {
            self.events.remove_ended_pools();
        }
    }

    /// Whether events are queued, from other threads, workers or handlers.
    #[inline]
    pub(crate) fn has_events(&self) -> bool {
        !self.core.events.is_empty() || self.events.has_events()
    }
}
