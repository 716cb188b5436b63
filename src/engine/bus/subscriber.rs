use std::fmt;
use std::time::Duration;

use crate::config::OnPanic;
use crate::engine::turn::calls::guard;
use crate::queue::{SubscriberEnd, SubscriberQueue, SubscriberReceiver};

/// Receives events of one type from a loop, on any thread.
///
/// Made by [`EventLoop::subscriber`](crate::EventLoop::subscriber). It gets every event of its type
/// that the loop handles from then on, whoever published it: other threads
/// ([`Publisher`](crate::Publisher)), handlers ([`Context::publish`](crate::Context::publish)) and
/// timers. They arrive in the order in which the loop handled them, behind the handlers of their
/// type, each a clone.
///
/// The loop never waits for a subscriber. What becomes of events that a slow one has no room for
/// is its [`OverflowPolicy`](crate::OverflowPolicy). What waits is taken all at once and then
/// received one by one, so that up to twice the capacity is held.
///
/// When the loop ends, what is queued is still received, and then [`RecvError::Closed`]. Dropping a
/// subscriber ends it: its queue is given up at the next event of its type.
///
/// As an iterator it yields events until its end, waiting for each.
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

/// Why a subscriber receives nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecvError {
    /// The loop has ended.
    Closed,
    /// The subscriber was too slow, and its policy was
    /// [`OverflowPolicy::Close`](crate::OverflowPolicy::Close).
    Overflowed,
}

/// Why a subscriber did not receive an event that it did not want to wait for any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TryRecvError {
    /// None was there in time.
    Empty,
    /// None will come.
    Ended(RecvError),
}

impl<E> Subscriber<E> {
    /// Receives the next event, and waits until there is one.
    ///
    /// # Errors
    ///
    /// When the subscription has ended and everything queued was received.
    pub fn recv(&mut self) -> Result<E, RecvError> {
        loop {
            if let Some(event) = self.receiver.recv(None).map_err(RecvError::from)? {
                return Ok(event);
            }
        }
    }

    /// Receives the next event, if there is one. Takes no lock while there is none.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if there is none; otherwise as [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<E, TryRecvError> {
        received(self.receiver.try_recv())
    }

    /// Receives the next event, and waits until there is one, for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if none came in time; otherwise as [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<E, TryRecvError> {
        received(self.receiver.recv(Some(timeout)))
    }

    /// How many events this subscriber has missed so far because of its policy. Whoever received
    /// an event behind a gap finds the gap counted. Those after an overflow that
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

    /// The next event, waited for; nothing once the subscription has ended.
    /// [`recv`](Subscriber::recv) then tells why.
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
            Self::Empty => f.write_str("no event was there in time"),
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
    /// Events that those missed which were given up.
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

    /// Whether something is left to hand over.
    pub(crate) fn has_pending(&self) -> bool {
        self.live.iter().any(|subscription| subscription.feed.has_pending())
    }

    /// How many events wait for subscribers.
    pub(crate) fn waiting(&self) -> usize {
        self.live.iter().map(|subscription| subscription.feed.len()).sum()
    }

    /// How many events subscribers had no room for.
    pub(crate) fn missed(&self) -> u64 {
        self.missed + self.live.iter().map(|subscription| subscription.feed.missed()).sum::<u64>()
    }

    /// Appends an event for every subscriber, to be handed over with those before it.
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

    /// Hands over what was pushed, and gives up subscribers that are gone.
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
