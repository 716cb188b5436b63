use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use crate::engine::handle::LoopHandle;
use crate::queue::{InboxSender, PublishError};

/// Publishes events of one type to a loop, from any thread.
///
/// Each publisher has a bounded queue of its own: clone it for another thread, or for another part
/// of the program whose bursts should not fill this one's queue. A publisher's events arrive in
/// order, each once, at every handler that was registered for their type
/// ([`EventLoop::on`](crate::EventLoop::on)).
///
/// Publishing takes no lock. It makes a system call only if the loop sleeps, and then only the
/// first of many.
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
    /// One thread at a time: a producer queue's events are counted without a lock.
    not_sync: PhantomData<Cell<()>>,
}

impl<E> Publisher<E> {
    pub(crate) const fn new(sender: InboxSender<E>, handle: LoopHandle) -> Self {
        Self { sender, handle, not_sync: PhantomData }
    }

    /// Publishes an event. Once this has returned `Ok`, it is handled, unless the loop ends before
    /// that: [`RunSummary::unhandled_events`](crate::RunSummary) then counts it. One that is
    /// published at the very moment of the loop's end is given back, handled or counted: always one
    /// of these, and never two. Nobody counts the events of a loop that is dropped without its
    /// [`run`](crate::EventLoop::run) having returned a summary; they are dropped with it.
    ///
    /// # Errors
    ///
    /// The event, if the queue is full or the loop has ended.
    pub fn publish(&self, event: E) -> Result<(), PublishError<E>> {
        self.sender.send(event)?;
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
