use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use super::LoopHandle;
use crate::queue::{LaneSender, Refused, Rejected};

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
/// use eventwire::{Config, Context, EventLoop};
///
/// struct Tick(u64);
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.on(|tick: &Tick, cx: &mut Context<'_>, sum: &mut u64| {
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
    sender: LaneSender<E>,
    handle: LoopHandle,
    /// One thread at a time: a lane's events are counted without a lock.
    not_sync: PhantomData<Cell<()>>,
}

/// Why an event was not published. It is given back: nothing is lost silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishError<E> {
    /// The queue holds as many events as [`Config::inbox`](crate::Config::inbox) allows: the loop
    /// does not keep up, or does not run. Of a timer's event: as many timers are set as
    /// [`Config::max_timers`](crate::Config::max_timers) allows.
    Full(E),
    /// The loop has ended, or is at the end of a drain; or, of an event that a handler or a timer
    /// publishes, nobody has registered for its type.
    Closed(E),
}

impl<E> Publisher<E> {
    pub(super) const fn new(sender: LaneSender<E>, handle: LoopHandle) -> Self {
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
        match self.sender.send(event) {
            Ok(()) => {
                self.handle.ring_fenced();
                Ok(())
            }
            Err(Rejected::Full(event)) => Err(PublishError::Full(event)),
            Err(Rejected::Closed(event)) => Err(PublishError::Closed(event)),
        }
    }
}

impl<E> Clone for Publisher<E> {
    /// A publisher with a queue of its own.
    fn clone(&self) -> Self {
        Self::new(LaneSender::new(self.sender.inbox()), self.handle.clone())
    }
}

impl<E> fmt::Debug for Publisher<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

impl<E> PublishError<E> {
    /// The event.
    pub fn into_event(self) -> E {
        match self {
            Self::Full(event) | Self::Closed(event) => event,
        }
    }
}

/// What became of an event of the loop's own thread.
pub(super) fn refused<E>(refused: Refused<E>) -> PublishError<E> {
    match refused {
        Refused::Full(event) => PublishError::Full(event),
        Refused::Unknown(event) => PublishError::Closed(event),
    }
}

impl<E> fmt::Display for PublishError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "too many events wait",
            Self::Closed(_) => "nobody takes the event",
        })
    }
}

impl<E: fmt::Debug> std::error::Error for PublishError<E> {}
