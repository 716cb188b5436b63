use std::fmt;
use std::time::Duration;

use crate::config::OnPanic;
use crate::engine::turn::calls::guard;
use crate::queue::{SubscriberEnd, SubscriberQueue, SubscriberReceiver};

/// Receives events of one type from a loop, on any thread.
///
/// Made by [`EventLoop::subscriber`](crate::EventLoop::subscriber). It gets a clone of every event
/// of its type that the loop handles from then on, whether another thread
/// ([`Publisher`](crate::Publisher)), a handler ([`Context::publish`](crate::Context::publish)) or
/// a timer published it. Events arrive in the order in which the loop handled them, after the
/// handlers of their type were called.
///
/// The loop never waits for a subscriber. If its queue is full, its
/// [`OverflowPolicy`](crate::OverflowPolicy) decides about further events. A receiver takes all
/// queued events at once and returns them one by one, so up to twice the capacity is in memory.
///
/// When the loop ends, the subscriber still receives the queued events, and then
/// [`RecvError::Closed`]. Dropping a subscriber ends it: the loop frees its queue at the next event
/// of its type.
///
/// As an iterator it waits for each event, and yields events until the subscription ends.
///
/// ```
/// use std::thread;
/// use eventwire::{Config, EventLoop, OverflowPolicy, RecvError};
///
/// #[derive(Clone)]
/// struct Trade(u64);
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// let mut trades = event_loop.subscriber::<Trade>(1024, OverflowPolicy::Close);
/// let storing = thread::spawn(move || {
///     let volume: u64 = trades.by_ref().map(|trade| trade.0).sum();
///     (volume, trades.recv().err())
/// });
///
/// let publisher = event_loop.publisher();
/// let handle = event_loop.handle();
/// thread::spawn(move || {
///     let published = (1..=3).try_for_each(|volume| publisher.publish(Trade(volume)));
///     assert!(published.is_ok());
///     handle.shutdown(std::time::Duration::from_secs(10));
/// });
/// event_loop.run(&mut ())?;
/// assert!(storing.join().is_ok_and(|stored| stored == (6, Some(RecvError::Closed))));
/// # Ok::<(), eventwire::Error>(())
/// ```
pub struct Subscriber<E> {
    pub(crate) receiver: SubscriberReceiver<E>,
}

/// Why a subscription has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecvError {
    /// The loop has ended.
    Closed,
    /// The subscriber was too slow, and its policy was
    /// [`OverflowPolicy::Close`](crate::OverflowPolicy::Close).
    Overflowed,
}

/// Why a subscriber did not receive an event in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TryRecvError {
    /// No event arrived in time.
    Empty,
    /// The subscription has ended.
    Ended(RecvError),
}

impl<E> Subscriber<E> {
    /// Waits for the next event and receives it.
    ///
    /// # Errors
    ///
    /// If the subscription has ended and all queued events were received.
    pub fn recv(&mut self) -> Result<E, RecvError> {
        loop {
            if let Some(event) = self.receiver.recv(None).map_err(RecvError::from)? {
                return Ok(event);
            }
        }
    }

    /// Receives the next event, if one is queued. Takes no lock if none is.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if no event is queued; otherwise as [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<E, TryRecvError> {
        received(self.receiver.try_recv())
    }

    /// Waits at most `timeout` for the next event and receives it.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if no event arrived in time; otherwise as [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<E, TryRecvError> {
        received(self.receiver.recv(Some(timeout)))
    }

    /// How many events this subscriber has missed so far because of its policy. A gap is counted
    /// before the event that follows it is received. Events after an overflow that
    /// [ended](RecvError::Overflowed) the subscription are not counted.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.receiver.missed()
    }
}

fn received<E>(received: Result<Option<E>, SubscriberEnd>) -> Result<E, TryRecvError> {
    match received {
        Ok(event) => event.ok_or(TryRecvError::Empty),
        Err(end) => Err(TryRecvError::Ended(end.into())),
    }
}

impl<E> Iterator for Subscriber<E> {
    type Item = E;

    /// Waits for the next event. `None` once the subscription has ended;
    /// [`recv`](Subscriber::recv) then returns the reason.
    fn next(&mut self) -> Option<E> {
        self.recv().ok()
    }
}

impl<E> std::iter::FusedIterator for Subscriber<E> {}

impl<E> fmt::Debug for Subscriber<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("missed", &self.missed()).finish_non_exhaustive()
    }
}

impl From<SubscriberEnd> for RecvError {
    fn from(end: SubscriberEnd) -> Self {
        match end {
            SubscriberEnd::Closed => Self::Closed,
            SubscriberEnd::Overflowed => Self::Overflowed,
        }
    }
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        Self::Ended(error)
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the loop has ended",
            Self::Overflowed => "the subscriber was too slow",
        })
    }
}

impl std::error::Error for RecvError {}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no event arrived in time"),
            Self::Ended(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for TryRecvError {}

/// The loop's end of a subscriber.
pub(crate) struct Subscription<E> {
    pub(crate) feed: SubscriberQueue<E>,
    pub(crate) clone: fn(&E) -> E,
}

/// Every subscriber of one type.
pub(crate) struct Subscriptions<E> {
    live: Vec<Subscription<E>>,
    /// Events that removed subscribers had missed.
    missed: u64,
}

impl<E> Subscriptions<E> {
    pub(crate) const fn new() -> Self {
        Self { live: Vec::new(), missed: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    pub(crate) fn add(&mut self, subscription: Subscription<E>) {
        self.live.push(subscription);
    }

    /// Whether events are pending that were not handed over.
    pub(crate) fn has_pending(&self) -> bool {
        self.live.iter().any(|subscription| subscription.feed.has_pending())
    }

    /// How many events are queued for subscribers.
    pub(crate) fn waiting(&self) -> usize {
        self.live.iter().map(|subscription| subscription.feed.len()).sum()
    }

    /// How many events subscribers missed because their queues were full.
    pub(crate) fn missed(&self) -> u64 {
        self.missed + self.live.iter().map(|subscription| subscription.feed.missed()).sum::<u64>()
    }

    /// Appends an event for every subscriber. [`hand_over`](Self::hand_over) makes it visible.
    pub(crate) fn push(&mut self, event: E, on_panic: OnPanic) {
        let Some((last, others)) = self.live.split_last_mut() else { return };
        for Subscription { feed, clone } in others {
            match guard(on_panic, || clone(&event)) {
                Ok(event) => feed.push(event),
                Err(_) => feed.miss(),
            }
        }
        last.feed.push(event);
    }

    /// Hands the pushed events over, and removes subscribers that have ended.
    pub(crate) fn hand_over(&mut self) {
        self.live.retain_mut(|Subscription { feed, .. }| {
            feed.hand_over();
            if feed.is_over() {
                self.missed += feed.missed();
            }
            !feed.is_over()
        });
    }
}
