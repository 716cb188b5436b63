//! Timers: events that are published at a time.

use std::time::Duration;

use crate::engine::context::Context;
use crate::engine::event_loop::EventLoop;
use crate::engine::ids::TimerId;
use crate::queue::PublishError;
use crate::reactor::Reactor;

impl Context<'_> {
    /// Publishes `event` to the handlers of its type
    /// ([`EventLoop::on`](crate::EventLoop::on)) once, `after` this time from
    /// [`now`](Self::now), the beginning of the turn.
    ///
    /// It is never early: the turn in which it arrives begins at its time or later, later by the
    /// length of a turn and by what a sleep of the system is rounded up to, 1 ms unless there is
    /// the feature `timerfd`. Events of one type that are due in one turn arrive in the order of
    /// their times, and for equal times in the order in which they were set. At most 256 timers
    /// come up in one turn; the others follow in the next ones, after the sockets have had theirs.
    /// A full queue does not hold them up.
    ///
    /// A time too far away for the clock, as with [`Duration::MAX`], never comes.
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
    /// The event: [`PublishError::Full`] if as many timers are set as
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

    /// Publishes a clone of `event` to the handlers of its type again and again, first in `every`
    /// from [`now`](Self::now), until it is [cancelled](Self::cancel_timer).
    ///
    /// It does not drift: each time is a whole number of periods after the first, however late
    /// the event before it was. Periods that have passed before a turn begins make one event
    /// together: those that were missed are skipped, not made up for. A period is at least 1 ms;
    /// shorter ones are taken as that. Otherwise as [`set_timer`](Self::set_timer).
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

    /// Cancels a timer and drops its event: after that it does not arrive, even if it was due in
    /// this turn already. `false` if it has arrived or was cancelled before.
    ///
    /// The handlers of one event are told of it all, though the first of them cancels its timer.
    pub fn cancel_timer(&mut self, timer: TimerId) -> bool {
        self.core.events.cancel_timer(timer.0)
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Publishes `event` to the handlers of its type ([`on`](Self::on)) once, `after` this time
    /// from now. As [`Context::set_timer`], to which it is the same outside of handlers.
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

    /// Publishes a clone of `event` to the handlers of its type again and again, as
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
