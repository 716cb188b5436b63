//! Events of one type on their way from the loop to a thread that receives them.
//!
//! The loop never waits for the receiver: it only tries the lock, and what it cannot hand over it
//! keeps until its next attempt. The receiver takes all that is there in one exchange, and then
//! needs no lock until it has come to the end of that.

use std::collections::VecDeque;
use std::mem;
use std::sync::PoisonError;
use std::time::Duration;

use super::sync::{Arc, AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, Ordering};
use crate::overflow::OverflowPolicy;

/// The loop's end. Dropping it ends the feed, after what was pushed.
#[derive(Debug)]
pub(crate) struct Feed<E> {
    channel: Arc<Channel<E>>,
    /// Events that wait at most: those that are pending and those that were handed over.
    capacity: usize,
    policy: OverflowPolicy,
    /// Pushed, and not handed over.
    pending: VecDeque<E>,
    /// No fewer than were handed over and not taken.
    waiting: usize,
    /// Nothing more is pushed.
    end: Option<FeedEnd>,
    /// The receiver can learn of the end.
    is_over: bool,
}

/// The receiver's end.
#[derive(Debug)]
pub(crate) struct FeedReceiver<E> {
    channel: Arc<Channel<E>>,
    taken: VecDeque<E>,
}

/// Why a feed has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedEnd {
    /// By the loop.
    Closed,
    /// It was full.
    Overflowed,
}

/// What the two ends have in common.
#[derive(Debug)]
struct Channel<E> {
    state: Mutex<State<E>>,
    /// The receiver's sleep.
    filled: Condvar,
    /// There is something to take or to learn. Changed with `state` locked; read without, to spare
    /// a receiver that looks again and again the lock.
    is_filled: AtomicBool,
    missed: AtomicU64,
}

#[derive(Debug)]
struct State<E> {
    events: VecDeque<E>,
    end: Option<FeedEnd>,
    is_sleeping: bool,
}

impl<E> Feed<E> {
    /// A feed in which `capacity` events wait at most, and at least one: the latest, if that is all
    /// that matters.
    pub(crate) fn new(capacity: usize, policy: OverflowPolicy) -> (Self, FeedReceiver<E>) {
        let state = State { events: VecDeque::new(), end: None, is_sleeping: false };
        let channel = Arc::new(Channel {
            state: Mutex::new(state),
            filled: Condvar::default(),
            is_filled: AtomicBool::new(false),
            missed: AtomicU64::new(0),
        });
        let receiver = FeedReceiver { channel: Arc::clone(&channel), taken: VecDeque::new() };
        let keeps_latest = policy == OverflowPolicy::KeepLatest;
        let feed = Self {
            channel,
            capacity: if keeps_latest { 1 } else { capacity.max(1) },
            policy,
            pending: VecDeque::new(),
            waiting: 0,
            end: None,
            is_over: false,
        };
        (feed, receiver)
    }

    /// Appends an event, which the receiver gets when it is [handed over](Self::hand_over).
    pub(crate) fn push(&mut self, event: E) {
        if self.end.is_some() || (self.is_full() && !self.make_room()) {
            return;
        }
        self.pending.push_back(event);
    }

    /// Counts an event that the receiver does not get.
    pub(crate) fn miss(&self) {
        self.channel.missed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many events the receiver did not get.
    pub(crate) fn missed(&self) -> u64 {
        self.channel.missed.load(Ordering::Relaxed)
    }

    /// How many events wait that the receiver has not taken, as far as the loop knows without
    /// waiting for it.
    pub(crate) fn len(&self) -> usize {
        let is_filled = self.channel.is_filled.load(Ordering::Relaxed);
        self.pending.len() + if is_filled { self.waiting } else { 0 }
    }

    /// Whether something is left to hand over.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty() || (self.end.is_some() && !self.is_over)
    }

    /// Whether the feed is of no more use: it ended, or its receiver is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over || Arc::strong_count(&self.channel) == 1
    }

    /// Hands over what is pending, unless the receiver has the lock.
    pub(crate) fn hand_over(&mut self) {
        if self.has_pending() {
            self.try_give();
        }
    }

    fn try_give(&mut self) {
        let channel = Arc::clone(&self.channel);
        match channel.try_lock() {
            Some(state) => self.give(&channel, state),
            // The receiver, which takes all that was handed over.
            None => self.waiting = 0,
        }
    }

    fn give(&mut self, channel: &Channel<E>, mut state: MutexGuard<'_, State<E>>) {
        if !self.has_pending() {
            self.waiting = state.events.len();
            return;
        }
        if state.events.is_empty() {
            mem::swap(&mut state.events, &mut self.pending);
        } else {
            state.events.append(&mut self.pending);
        }
        state.end = self.end;
        self.is_over = self.end.is_some();
        self.waiting = state.events.len();
        channel.is_filled.store(true, Ordering::Relaxed);
        let wake = mem::take(&mut state.is_sleeping);
        drop(state);
        if wake {
            channel.filled.notify_one();
        }
    }

    fn is_full(&self) -> bool {
        self.pending.len() + self.waiting >= self.capacity
    }

    /// Makes room for one event, if there is none, at the cost of another; `false` if this one is
    /// missed.
    fn make_room(&mut self) -> bool {
        self.try_give();
        if !self.is_full() {
            return true;
        }
        match self.policy {
            OverflowPolicy::Close => {
                self.end = Some(FeedEnd::Overflowed);
                false
            }
            OverflowPolicy::DropNewest => {
                self.miss();
                false
            }
            OverflowPolicy::DropOldest | OverflowPolicy::KeepLatest => {
                self.drop_oldest();
                true
            }
        }
    }

    fn drop_oldest(&mut self) {
        let handed_over = self.channel.try_lock().map(|mut state| state.events.pop_front());
        // Dropped when nothing is locked: that may run the application's code.
        let _oldest = match handed_over.flatten() {
            Some(event) => {
                self.waiting -= 1;
                event
            }
            None => {
                self.waiting = 0;
                if !self.is_full() {
                    return;
                }
                let Some(event) = self.pending.pop_front() else { return };
                event
            }
        };
        self.miss();
    }
}

impl<E> Drop for Feed<E> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.end.get_or_insert(FeedEnd::Closed);
        // The one time that the loop may wait: for the exchange of two queues, and at its end.
        let channel = Arc::clone(&self.channel);
        self.give(&channel, channel.lock());
    }
}

impl<E> FeedReceiver<E> {
    /// Takes the next event; nothing if there is none yet.
    pub(crate) fn try_recv(&mut self) -> Result<Option<E>, FeedEnd> {
        if let Some(event) = self.taken.pop_front() {
            return Ok(Some(event));
        }
        if !self.channel.is_filled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.channel.take(self.channel.lock(), &mut self.taken)
    }

    /// Takes the next event; sleeps until there is one, for `timeout` at most.
    pub(crate) fn recv(&mut self, timeout: Option<Duration>) -> Result<Option<E>, FeedEnd> {
        if let Some(event) = self.taken.pop_front() {
            return Ok(Some(event));
        }
        let (channel, state) = (&self.channel, self.channel.lock());
        let state = match timeout {
            None => {
                let waited = channel.filled.wait_while(state, State::falls_asleep);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
            Some(timeout) => {
                let waited = channel.filled.wait_timeout_while(state, timeout, State::falls_asleep);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        channel.take(state, &mut self.taken)
    }

    /// How many events were missed before those that are still to be received, and among them.
    pub(crate) fn missed(&self) -> u64 {
        self.channel.missed.load(Ordering::Relaxed)
    }
}

impl<E> Channel<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        // None of the application's code runs under the lock: the state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, State<E>>> {
        // Nobody panics under the lock: it is never poisoned.
        self.state.try_lock().ok()
    }

    /// Takes everything at once, and returns the first of it.
    fn take(
        &self,
        mut state: MutexGuard<'_, State<E>>,
        taken: &mut VecDeque<E>,
    ) -> Result<Option<E>, FeedEnd> {
        state.is_sleeping = false;
        mem::swap(&mut state.events, taken);
        let end = state.end;
        self.is_filled.store(end.is_some(), Ordering::Relaxed);
        drop(state);
        match (taken.pop_front(), end) {
            (None, Some(end)) => Err(end),
            (event, _) => Ok(event),
        }
    }
}

impl<E> State<E> {
    /// Whether the receiver has nothing to take. It then sleeps, and says so.
    fn falls_asleep(&mut self) -> bool {
        self.is_sleeping = self.events.is_empty() && self.end.is_none();
        self.is_sleeping
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::thread;

    use super::*;

    fn rest<E>(receiver: &mut FeedReceiver<E>) -> (Vec<E>, FeedEnd) {
        let mut events = Vec::new();
        loop {
            match receiver.recv(None) {
                Ok(event) => events.extend(event),
                Err(end) => return (events, end),
            }
        }
    }

    /// Pushes 1 to 5 at once into a feed of two, or one by one, and ends it.
    fn push_five(policy: OverflowPolicy, at_once: bool) -> (Vec<i32>, FeedEnd, u64) {
        let (mut feed, mut receiver) = Feed::new(2, policy);
        for number in 1..=5 {
            feed.push(number);
            if !at_once {
                feed.hand_over();
            }
        }
        drop(feed);
        let (events, end) = rest(&mut receiver);
        (events, end, receiver.missed())
    }

    #[test]
    fn a_full_feed_does_what_it_was_told_to() {
        for at_once in [true, false] {
            let closed = FeedEnd::Closed;
            assert_eq!(
                push_five(OverflowPolicy::Close, at_once),
                (vec![1, 2], FeedEnd::Overflowed, 0)
            );
            assert_eq!(push_five(OverflowPolicy::DropNewest, at_once), (vec![1, 2], closed, 3));
            assert_eq!(push_five(OverflowPolicy::DropOldest, at_once), (vec![4, 5], closed, 3));
        }
    }

    #[test]
    fn what_cannot_be_handed_over_is_kept() {
        for (policy, events, end, missed) in [
            (OverflowPolicy::Close, vec![1, 2], FeedEnd::Overflowed, 0),
            (OverflowPolicy::DropNewest, vec![1, 2], FeedEnd::Closed, 1),
            (OverflowPolicy::DropOldest, vec![2, 3], FeedEnd::Closed, 1),
        ] {
            let (mut feed, mut receiver) = Feed::new(2, policy);
            let channel = Arc::clone(&feed.channel);
            let locked = channel.lock();
            for number in 1..=3 {
                feed.push(number);
                feed.hand_over();
                assert!(feed.has_pending());
            }
            drop(locked);
            feed.hand_over();
            assert!(!feed.has_pending());
            assert_eq!(feed.is_over(), end == FeedEnd::Overflowed);
            drop(feed);
            assert_eq!(rest(&mut receiver), (events, end));
            assert_eq!(receiver.missed(), missed);
        }
    }

    #[test]
    fn what_waits_is_counted_until_it_is_taken() {
        let (mut feed, mut receiver) = Feed::new(5, OverflowPolicy::DropNewest);
        assert_eq!(feed.len(), 0);
        feed.push(1);
        feed.push(2);
        assert_eq!(feed.len(), 2);
        feed.hand_over();
        feed.push(3);
        assert_eq!(feed.len(), 3);
        assert_eq!(receiver.try_recv(), Ok(Some(1)));
        assert_eq!(feed.len(), 1);
        feed.hand_over();
        assert_eq!(feed.len(), 1);
    }

    #[test]
    fn what_was_taken_makes_room() {
        let (mut feed, mut receiver) = Feed::new(2, OverflowPolicy::Close);
        for number in 0..100 {
            feed.push(number);
            feed.push(number);
            feed.hand_over();
            for _ in 0..2 {
                assert_eq!(receiver.try_recv(), Ok(Some(number)));
            }
            assert_eq!(receiver.try_recv(), Ok(None));
        }
        assert!(!feed.is_over());
        drop(receiver);
        assert!(feed.is_over());
    }

    #[test]
    fn a_timeout_ends_the_sleep_and_nothing_else() {
        let (mut feed, mut receiver) = Feed::new(0, OverflowPolicy::Close);
        assert_eq!(receiver.recv(Some(Duration::from_millis(1))), Ok(None));
        feed.push(7);
        assert_eq!(receiver.recv(Some(Duration::ZERO)), Ok(None));
        feed.hand_over();
        assert_eq!(receiver.recv(Some(Duration::ZERO)), Ok(Some(7)));
        drop(feed);
        assert_eq!(receiver.recv(Some(Duration::MAX)), Err(FeedEnd::Closed));
        assert_eq!(receiver.try_recv(), Err(FeedEnd::Closed));
    }

    #[test]
    fn a_receiver_that_sleeps_now_and_then_gets_all_in_order() {
        const EVENTS: usize = 100_000;
        let (mut feed, mut receiver) = Feed::new(usize::MAX, OverflowPolicy::Close);
        let receiving = thread::spawn(move || rest(&mut receiver));
        for number in 0..EVENTS {
            feed.push(number);
            if number % 7 == 0 {
                feed.hand_over();
            }
            if number % 1_000 == 0 {
                thread::yield_now();
            }
        }
        drop(feed);
        let (events, end) = receiving.join().unwrap();
        assert!(events.into_iter().eq(0..EVENTS));
        assert_eq!(end, FeedEnd::Closed);
    }
}
