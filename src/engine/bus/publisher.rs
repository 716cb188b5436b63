use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::engine::context::Context;
use crate::engine::handle::LoopHandle;
use crate::queue::{InboxSender, PublishError};

impl Context<'_> {
    /// A publisher of events of type `E`, for another thread, as
    /// [`EventLoop::publisher`](crate::EventLoop::publisher).
    ///
    /// ```
    /// use std::thread;
    /// use eventwire::{Config, EventLoop};
    ///
    /// struct Work(u64);
    /// struct Done(u64);
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// event_loop.on(|cx, work: &Work, _: &mut u64| {
    ///     let (n, done) = (work.0, cx.publisher().expect("there is a handler"));
    ///     thread::spawn(move || done.publish(Done(n * n)));
    /// });
    /// event_loop.on(|cx, done: &Done, result: &mut u64| {
    ///     *result = done.0;
    ///     cx.stop();
    /// });
    /// event_loop.publisher().publish(Work(7))?;
    /// let mut result = 0;
    /// event_loop.run(&mut result)?;
    /// assert_eq!(result, 49);
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PublishError::NoHandler`] if the loop has no handler, publisher or subscriber of that
    /// type.
    pub fn publisher<E: Send + 'static>(&self) -> Result<Publisher<E>, PublishError<()>> {
        let inbox = self.core.inboxes.get().ok_or(PublishError::NoHandler(()))?;
        Ok(Publisher::new(InboxSender::new(inbox), self.core.handle.clone()))
    }
}

/// Publishes events of one type to a loop, from any thread.
///
/// Each publisher has a bounded queue of its own, of [`Config::inbox`](crate::Config::inbox)
/// events. Clone it for another thread, or for a part of the program whose bursts should not fill
/// this queue. A publisher's events arrive in order, each once, at every handler that was
/// registered for their type ([`EventLoop::on`](crate::EventLoop::on)).
///
/// Publishing takes no lock. It makes a system call only if the loop sleeps, and then only for the
/// first event.
///
/// ```
/// use std::thread;
/// use eventwire::{Config, EventLoop};
///
/// struct Tick(u64);
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.on(|cx, tick: &Tick, sum: &mut u64| {
///     *sum += tick.0;
///     if tick.0 == 3 {
///         cx.stop();
///     }
/// });
/// let ticks = event_loop.publisher::<Tick>();
/// let producer = thread::spawn(move || (1..=3).try_for_each(|n| ticks.publish(Tick(n))));
/// let mut sum = 0;
/// event_loop.run(&mut sum)?;
/// assert_eq!(sum, 6);
/// assert!(producer.join().is_ok_and(|published| published.is_ok()));
/// # Ok::<(), eventwire::Error>(())
/// ```
pub struct Publisher<E> {
    sender: InboxSender<E>,
    handle: LoopHandle,
    /// Not `Sync`, because the queue has a single producer.
    not_sync: PhantomData<Cell<()>>,
}

impl<E> Publisher<E> {
    pub(crate) const fn new(sender: InboxSender<E>, handle: LoopHandle) -> Self {
        Self { sender, handle, not_sync: PhantomData }
    }

    /// Publishes an event. If this returns `Ok`, the event is handled, or counted in
    /// [`RunSummary::unhandled_events`](crate::RunSummary) if the loop ends first. An event that is
    /// published while the loop ends is either given back, handled or counted, and never two of
    /// these. If a loop is dropped before [`run`](crate::EventLoop::run) has returned a summary,
    /// its queued events are dropped and not counted.
    ///
    /// # Errors
    ///
    /// The error returns the event: [`PublishError::Full`] if the queue is full,
    /// [`PublishError::Closed`] if the loop has ended.
    pub fn publish(&self, event: E) -> Result<(), PublishError<E>> {
        self.sender.send(event)?;
        self.handle.ring_fenced();
        Ok(())
    }

    /// Publishes an event as [`publish`](Self::publish) does, but waits up to `timeout` for room in
    /// the queue. The thread sleeps until the loop has handled events of this type, or has ended.
    ///
    /// It is for other threads only. On the loop's own thread nobody makes room meanwhile.
    ///
    /// ```
    /// use std::{thread, time::Duration};
    /// use eventwire::{Config, EventLoop, PublishError};
    ///
    /// struct Line(u32);
    ///
    /// let mut event_loop = EventLoop::new(Config::default().inbox(2))?;
    /// event_loop.on(|_, line: &Line, sum: &mut u32| *sum += line.0);
    /// let (lines, handle) = (event_loop.publisher(), event_loop.handle());
    /// let reading = thread::spawn(move || {
    ///     for number in 1..=100 {
    ///         lines.publish_timeout(Line(number), Duration::from_secs(10))?;
    ///     }
    ///     handle.shutdown(Duration::from_secs(10));
    ///     Ok::<(), PublishError<Line>>(())
    /// });
    /// let mut sum = 0;
    /// event_loop.run(&mut sum)?;
    /// assert_eq!(sum, 5050);
    /// # assert!(reading.join().is_ok_and(|published| published.is_ok()));
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error returns the event: [`PublishError::Full`] if there was no room in time,
    /// [`PublishError::Closed`] if the loop has ended.
    pub fn publish_timeout(&self, event: E, timeout: Duration) -> Result<(), PublishError<E>> {
        self.sender.send_timeout(event, timeout)?;
        self.handle.ring_fenced();
        Ok(())
    }
}

impl<E> Clone for Publisher<E> {
    /// A publisher with a queue of its own.
    fn clone(&self) -> Self {
        Self::new(InboxSender::new(self.sender.inbox()), self.handle.clone())
    }
}

impl<E> fmt::Debug for Publisher<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}
