//! A loop inside another loop, which waits for both.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use crate::engine::event_loop::EventLoop;
use crate::reactor::{MioReactor, Reactor};
use crate::time::Time;

impl<S, R: Reactor> EventLoop<S, R> {
    /// For a program that waits in a loop of its own: the moment at which the next
    /// [`turn`](Self::turn) is due, however long nothing else happens. `None` if only readiness of
    /// the loop's [descriptor](AsFd) can make one due. A moment that has passed means: at once.
    ///
    /// Call it after each turn, just before waiting. From this call until the next turn, other
    /// threads that publish events, stop the loop or shut it down make the descriptor readable.
    ///
    /// The program waits until the descriptor is readable or the moment has come, and then calls
    /// [`turn`](Self::turn) with a timeout of zero. A turn that was not due does no harm. When
    /// [`is_stopping`](Self::is_stopping) says so, call [`run`](Self::run), which ends the loop
    /// without waiting.
    ///
    /// Here the other loop is mio's own:
    ///
    /// ```
    /// use std::os::fd::{AsFd, AsRawFd};
    /// use std::time::{Duration, Instant};
    /// use eventwire::{Config, EventLoop};
    /// use mio::{Events, Interest, Poll, Token, unix::SourceFd};
    ///
    /// struct Work(u32);
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// event_loop.on(|cx, work: &Work, done: &mut u32| {
    ///     *done += work.0;
    ///     if *done == 6 {
    ///         cx.stop();
    ///     }
    /// });
    /// let work = event_loop.publisher();
    /// let thread = std::thread::spawn(move || (1..=3).try_for_each(|n| work.publish(Work(n))));
    ///
    /// let (mut poll, mut events) = (Poll::new().expect("a poll"), Events::with_capacity(64));
    /// let descriptor = event_loop.as_fd().as_raw_fd();
    /// poll.registry()
    ///     .register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)
    ///     .expect("it can be polled");
    /// let mut done = 0;
    /// while !event_loop.is_stopping() {
    ///     let timeout = event_loop
    ///         .turn_due()
    ///         .map(|due| due.saturating_duration_since(Instant::now()));
    ///     poll.poll(&mut events, timeout).expect("it waits");
    ///     event_loop.turn(Some(Duration::ZERO), &mut done)?;
    /// }
    /// event_loop.run(&mut done)?;
    /// assert_eq!(done, 6);
    /// # assert!(thread.join().is_ok_and(|published| published.is_ok()));
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// mio reports readiness by edges. This is enough here, because each turn takes all readiness
    /// that there is, or leaves a moment that has passed.
    #[must_use]
    pub fn turn_due(&mut self) -> Option<Instant> {
        self.core.read_clock();
        self.shared.doorbell.about_to_sleep();
        let now = self.core.now();
        let has_work = self.has_work() || self.backlog.is_behind();
        let due = if has_work { now } else { self.deadline() };
        (due != Time::NEVER).then(|| self.core.streams.reactor.beginning() + due.since_beginning())
    }
}

impl<S> AsFd for EventLoop<S, MioReactor> {
    /// The descriptor that is readable while the loop has readiness to take, for a program that
    /// waits in a loop of its own ([`turn_due`](EventLoop::turn_due)). It must only be waited for:
    /// do not read from it, and do not change what is registered with it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.core.streams.reactor.as_fd()
    }
}
