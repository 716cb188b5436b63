//! Timers: events that are published later.

use std::time::Duration;

use crate::engine::context::Context;
use crate::engine::event_loop::EventLoop;
use crate::engine::ids::TimerId;
use crate::queue::PublishError;
use crate::reactor::Reactor;

impl Context<'_> {
    /// Publishes `event` once to the handlers of its type
    /// ([`EventLoop::on`](crate::EventLoop::on)), `after` this time from [`now`](Self::now), the
    /// beginning of the turn.
    ///
    /// The event is never early: it arrives in a turn that begins at its due time or later. It may
    /// be late by the length of a turn plus the resolution of the system's sleep: 1 ms, or exact
    /// with the feature `timerfd`. Events of one type that are due in the same turn arrive in the
    /// order of their due times, and for equal times in the order in which they were set. At most
    /// 256 timers expire in one turn; the others follow in the next turns, so that they do not
    /// starve the sockets. A full event queue does not delay them.
    ///
    /// A due time beyond the clock's range, as with [`Duration::MAX`], never comes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eventwire::{Config, EventLoop};
    ///
    /// struct Reminder(&'static str);
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// event_loop.on(|cx, reminder: &Reminder, said: &mut Vec<&str>| {
    ///     said.push(reminder.0);
    ///     if said.len() == 1 {
    ///         cx.set_timer(Duration::from_millis(1), Reminder("second")).expect("a few timers");
    ///     } else {
    ///         cx.stop();
    ///     }
    /// });
    /// event_loop.set_timer(Duration::from_millis(1), Reminder("first"))?;
    ///
    /// let mut said = Vec::new();
    /// event_loop.run(&mut said)?;
    /// assert_eq!(said, ["first", "second"]);
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error returns the event: [`PublishError::Full`] if as many timers are set as
    /// [`Config::max_timers`](crate::Config::max_timers) allows, [`PublishError::NoHandler`] if no
    /// handler is registered for its type, [`PublishError::Closed`] if the loop has ended.
    pub fn set_timer<E: 'static>(
        &mut self,
        after: Duration,
        event: E,
    ) -> Result<TimerId, PublishError<E>> {
        let due = self.core.now().checked_add(after);
        self.core.events.set_timer(due, event).map(TimerId)
    }

    /// Publishes a clone of `event` to the handlers of its type periodically, first `every` after
    /// [`now`](Self::now), until it is [cancelled](Self::cancel_timer).
    ///
    /// It does not drift: each due time is a whole number of periods after the first, however late
    /// the previous event was. If several periods have passed when a turn begins, they make one
    /// event; missed events are skipped and not repeated. A period shorter than 1 ms counts as
    /// 1 ms. Otherwise as [`set_timer`](Self::set_timer).
    ///
    /// # Errors
    ///
    /// As [`set_timer`](Self::set_timer).
    pub fn set_interval<E: Clone + 'static>(
        &mut self,
        every: Duration,
        event: E,
    ) -> Result<TimerId, PublishError<E>> {
        let now = self.core.now();
        self.core.events.set_interval(now, every, event).map(TimerId)
    }

    /// Cancels a timer and drops its event, which then does not arrive, even if it is already due
    /// in this turn. Returns `false` if the event has arrived, or the timer was cancelled before.
    ///
    /// If a handler cancels the timer of the event that it handles, the event's other handlers are
    /// still called.
    pub fn cancel_timer(&mut self, timer: TimerId) -> bool {
        self.core.events.cancel_timer(timer.0)
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Publishes `event` once to the handlers of its type ([`on`](Self::on)), `after` this time
    /// from now. Handlers use [`Context::set_timer`], which has the details.
    ///
    /// # Errors
    ///
    /// As [`Context::set_timer`].
    pub fn set_timer<E: 'static>(
        &mut self,
        after: Duration,
        event: E,
    ) -> Result<TimerId, PublishError<E>> {
        let due = self.core.streams.reactor.now().checked_add(after);
        self.core.events.set_timer(due, event).map(TimerId)
    }

    /// Publishes a clone of `event` to the handlers of its type periodically, as
    /// [`Context::set_interval`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use eventwire::{Config, EventLoop};
    ///
    /// #[derive(Clone)]
    /// struct Beat;
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// event_loop.on(|cx, _: &Beat, beats: &mut u32| {
    ///     *beats += 1;
    ///     if *beats == 3 {
    ///         cx.stop();
    ///     }
    /// });
    /// event_loop.set_interval(Duration::from_millis(1), Beat)?;
    ///
    /// let mut beats = 0;
    /// event_loop.run(&mut beats)?;
    /// assert_eq!(beats, 3);
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Context::set_timer`].
    pub fn set_interval<E: Clone + 'static>(
        &mut self,
        every: Duration,
        event: E,
    ) -> Result<TimerId, PublishError<E>> {
        let now = self.core.streams.reactor.now();
        self.core.events.set_interval(now, every, event).map(TimerId)
    }

    /// Cancels a timer, as [`Context::cancel_timer`].
    pub fn cancel_timer(&mut self, timer: TimerId) -> bool {
        self.core.events.cancel_timer(timer.0)
    }
}
