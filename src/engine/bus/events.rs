//! The event bus: delivers typed events to the handlers that were registered for them.

use std::any::{Any, TypeId, type_name};

use crate::engine::bus::pools::{AnyPool, JobCounts, Left};
use crate::engine::bus::subscriber::{Subscription, Subscriptions};
use crate::engine::context::Context;
use crate::engine::turn::calls::{Calls, HandlerCall};
use crate::queue::{Inbox, InboxReceiver, SharedInbox};

/// How many events of one type are handled once per turn, so that a burst does not delay the
/// sockets.
pub(crate) const TURN_BUDGET: usize = 1024;

/// How many events of one type are handled between two groups of ready sockets, so that many ready
/// sockets do not delay an event.
pub(crate) const GROUP_BUDGET: usize = 64;

/// An application's handler of events of type `E`, on the loop's thread.
///
/// [`EventLoop::on`](crate::EventLoop::on) takes a closure.
/// [`EventLoop::on_handler`](crate::EventLoop::on_handler) takes a handler object, which can have
/// fields and act at the end of a batch.
///
/// If a handler panics, the event's other handlers are still called, and the loop goes on, unless
/// [`Config::on_panic`](crate::Config::on_panic) says otherwise.
pub trait EventHandler<E, S> {
    /// An event arrived. Several handlers of one type are called in the order of their
    /// registration.
    fn on_event(&mut self, cx: &mut Context<'_>, event: &E, state: &mut S);

    /// A batch of events has ended: no more events of this type are queued, or the turn's share of
    /// them is used up. Act here once for the whole batch.
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
    /// The `Typed<S, E>` of each type `E`. Before them, the pools of workers: their results become
    /// events, which are then handled in the same turn.
    pub(crate) types: Vec<(TypeId, Box<dyn EventType<S>>)>,
    /// The capacity of each publisher's queue, in events.
    capacity: usize,
    /// How many events were handled.
    pub(crate) handled: u64,
    /// The loop has ended.
    ended: bool,
    /// There are, or were, workers.
    pub(crate) has_workers: bool,
    /// The counts of pools that have ended.
    ended_jobs: JobCounts,
}

/// Counts of queued, refused and missed events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EventCounts {
    /// Published by other threads, and not handled yet.
    pub(crate) waiting: usize,
    /// Returned to publishers because their queues were full.
    pub(crate) refused: u64,
    /// Queued for subscribers.
    pub(crate) handed_on: usize,
    /// Missed by subscribers whose queues were full.
    pub(crate) missed: u64,
}

/// The queue and handlers of one type of events, with the type erased.
pub(crate) trait EventType<S> {
    /// Handles up to `budget` events, and returns how many it handled.
    fn handle(
        &mut self,
        budget: usize,
        calls: &mut Calls,
        cx: &mut Context<'_>,
        state: &mut S,
    ) -> usize;

    fn counts(&self) -> EventCounts;

    /// Whether events from other threads are queued, or events for other threads are pending.
    fn has_events(&self) -> bool;

    /// Refuses further events from other threads. Published ones stay queued.
    fn close(&mut self);

    fn as_any_mut(&mut self) -> &mut dyn Any;

    /// The workers, if these are the results of some.
    fn pool(&self) -> Option<&dyn AnyPool> {
        None
    }

    fn pool_mut(&mut self) -> Option<&mut dyn AnyPool> {
        None
    }
}

impl<S> EventType<S> for Box<dyn AnyPool> {
    /// Publishes the results. Their type's handlers follow.
    fn handle(&mut self, budget: usize, _: &mut Calls, cx: &mut Context<'_>, _: &mut S) -> usize {
        self.collect(budget, &mut cx.core.events);
        0
    }

    fn counts(&self) -> EventCounts {
        EventCounts::default()
    }

    fn has_events(&self) -> bool {
        self.has_results()
    }

    /// Jobs are accepted until the loop ends, because handlers submit them.
    fn close(&mut self) {}

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn pool(&self) -> Option<&dyn AnyPool> {
        Some(&**self)
    }

    fn pool_mut(&mut self) -> Option<&mut dyn AnyPool> {
        Some(&mut **self)
    }
}

pub(crate) struct Typed<S, E> {
    pub(crate) receiver: InboxReceiver<E>,
    pub(crate) handlers: Vec<Box<dyn EventHandler<E, S>>>,
    subscriptions: Subscriptions<E>,
}

impl<S, E: 'static> Typed<S, E> {
    /// The next event, from handlers or from other threads. `local_first` says which source goes
    /// first; each goes first for half of the turn's share, so that neither starves the other.
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
        // Errors are ignored: the panic hook has reported the panic, and no connection has to end.
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
        self.receiver.wake_waiting(handled > 0);
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
        let ended_jobs = JobCounts::NONE;
        let types = Vec::new();
        Self { types, capacity, handled: 0, ended: false, has_workers: false, ended_jobs }
    }

    /// Whether the loop has ended.
    pub(crate) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether events from other threads are queued, or events for other threads are pending.
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

    /// Refuses further events from other threads: every publisher learns so.
    pub(crate) fn close(&mut self) {
        self.types.iter_mut().for_each(|(_, events)| events.close());
    }

    /// As [`close`](Self::close), and ends every subscriber. Drops the queued events, and returns
    /// their number.
    pub(crate) fn end(&mut self) -> usize {
        self.ended = true;
        self.close();
        let left = self.counts().waiting;
        self.types.clear();
        left
    }
}

impl<S> Events<S> {
    /// Adds workers. If the loop has ended, they have ended, too.
    pub(crate) fn add_pool(&mut self, pool: Box<dyn AnyPool>) {
        if self.ended {
            return;
        }
        self.has_workers = true;
        self.types.insert(0, (TypeId::of::<Box<dyn AnyPool>>(), Box::new(pool)));
    }

    fn pools(&self) -> impl Iterator<Item = &dyn AnyPool> {
        self.types.iter().map_while(|(_, events)| events.pool())
    }

    /// How many jobs are in hand, or have results that were not published.
    pub(crate) fn jobs_in_hand(&self) -> usize {
        self.pools().map(AnyPool::in_hand).sum()
    }

    /// The sums over all pools.
    pub(crate) fn job_counts(&self) -> JobCounts {
        self.pools().fold(self.ended_jobs, |sum, pool| sum.plus(pool.counts()))
    }

    /// Removes pools that will have no further job.
    pub(crate) fn remove_ended_pools(&mut self) {
        let ended = &mut self.ended_jobs;
        self.types.retain(|(_, events)| {
            let is_over = events.pool().filter(|pool| pool.is_over());
            if let Some(pool) = is_over {
                *ended = ended.plus(pool.counts());
            }
            is_over.is_none()
        });
    }

    /// Accepts no further job, and drops those that have not begun.
    pub(crate) fn end_jobs(&mut self) -> Left {
        let mut all = Left::default();
        let pools = self.types.iter_mut().filter_map(|(_, events)| events.pool_mut());
        for pool in pools {
            let left = pool.end();
            all.jobs += left.jobs;
            all.results += left.results;
        }
        self.ended_jobs = JobCounts { queued: 0, running: 0, ..self.job_counts() };
        all
    }
}

impl<S: 'static> Events<S> {
    /// The queue and handlers of type `E`, made if there are none. `register` is called with the
    /// inbox of a type that is new.
    pub(crate) fn typed<E: 'static>(
        &mut self,
        register: impl FnOnce(SharedInbox<E>),
    ) -> &mut Typed<S, E> {
        let wanted = TypeId::of::<E>();
        let found = self.types.iter().position(|(held, _)| *held == wanted);
        let at = found.unwrap_or(self.types.len());
        if found.is_none() {
            let mut receiver = Inbox::<E>::with_capacity(self.capacity);
            if self.ended {
                receiver.close();
            }
            register(receiver.inbox().clone());
            let subscriptions = Subscriptions::new();
            let typed = Typed::<S, E> { receiver, handlers: Vec::new(), subscriptions };
            self.types.push((wanted, Box::new(typed)));
        }
        self.types[at].1.as_any_mut().downcast_mut().expect("it was made for this type")
    }
}

impl<S, E> Typed<S, E> {
    pub(crate) fn subscribe(&mut self, subscription: Subscription<E>) {
        self.subscriptions.add(subscription);
    }
}
