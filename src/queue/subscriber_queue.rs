//! Events of one type from the loop to a subscriber's thread.
//!
//! ```text
//! loop: push ──► pending ──hand_over──► Channel::events ──recv──► taken ──► subscriber
//!                       (try_lock only)                (one swap)
//! ```
//!
//! The loop never waits for the receiver. It only tries the lock, and keeps events that it could
//! not hand over until its next attempt. The receiver takes all events in one swap. It needs no
//! lock until it has returned all of them.

use std::collections::VecDeque;
use std::mem;
use std::sync::PoisonError;
use std::time::Duration;

use super::sync::{Arc, AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, Ordering};
use crate::overflow::OverflowPolicy;

/// The loop's end. Dropping it ends the queue after the pushed events.
///
/// Invariant: `pending` and `waiting` together never exceed `capacity`.
#[derive(Debug)]
pub(crate) struct SubscriberQueue<E> {
    channel: Arc<Channel<E>>,
    /// The most events that may wait, pending and handed over together.
    capacity: usize,
    policy: OverflowPolicy,
    /// Events that were pushed and not handed over.
    pending: VecDeque<E>,
    /// An upper bound of the events that were handed over and not taken.
    waiting: usize,
    /// Set when no further event is accepted.
    end: Option<SubscriberEnd>,
    /// The end was handed over, too.
    is_over: bool,
}

/// The receiver's end.
#[derive(Debug)]
pub(crate) struct SubscriberReceiver<E> {
    channel: Arc<Channel<E>>,
    taken: VecDeque<E>,
}

/// Why a subscriber queue has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubscriberEnd {
    /// The loop closed it.
    Closed,
    /// It was full, and its policy is [`OverflowPolicy::Close`].
    Overflowed,
}

/// The state that both ends share.
#[derive(Debug)]
struct Channel<E> {
    state: Mutex<State<E>>,
    /// The receiver sleeps on it.
    filled: Condvar,
    /// There are events to take, or the queue has ended. Written with `state` locked. Read without
    /// the lock, so that a receiver that polls does not lock each time.
    is_filled: AtomicBool,
    missed: AtomicU64,
}

#[derive(Debug)]
struct State<E> {
    events: VecDeque<E>,
    end: Option<SubscriberEnd>,
    is_sleeping: bool,
}

impl<E> SubscriberQueue<E> {
    /// A queue with room for `capacity` events, at least one. With [`OverflowPolicy::KeepLatest`]
    /// it has room for one.
    pub(crate) fn new(capacity: usize, policy: OverflowPolicy) -> (Self, SubscriberReceiver<E>) {
        let state = State { events: VecDeque::new(), end: None, is_sleeping: false };
        let channel = Arc::new(Channel {
            state: Mutex::new(state),
            filled: Condvar::default(),
            is_filled: AtomicBool::new(false),
            missed: AtomicU64::new(0),
        });
        let receiver = SubscriberReceiver { channel: Arc::clone(&channel), taken: VecDeque::new() };
        let keeps_latest = policy == OverflowPolicy::KeepLatest;
        let queue = Self {
            channel,
            capacity: if keeps_latest { 1 } else { capacity.max(1) },
            policy,
            pending: VecDeque::new(),
            waiting: 0,
            end: None,
            is_over: false,
        };
        (queue, receiver)
    }

    /// Appends an event. The receiver gets it when it is [handed over](Self::hand_over).
    pub(crate) fn push(&mut self, event: E) {
        if self.end.is_some() || (self.is_full() && !self.make_room()) {
            return;
        }
        self.pending.push_back(event);
        debug_assert!(self.pending.len() + self.waiting <= self.capacity);
    }

    /// Counts an event that the receiver misses.
    pub(crate) fn miss(&self) {
        self.channel.missed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many events the receiver missed.
    pub(crate) fn missed(&self) -> u64 {
        self.channel.missed.load(Ordering::Relaxed)
    }

    /// How many events the receiver has not taken, as far as the loop knows without the lock.
    pub(crate) fn len(&self) -> usize {
        let is_filled = self.channel.is_filled.load(Ordering::Relaxed);
        self.pending.len() + if is_filled { self.waiting } else { 0 }
    }

    /// Whether events, or the end, are still to be handed over.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty() || (self.end.is_some() && !self.is_over)
    }

    /// Whether the queue can be dropped: it has ended, or its receiver was dropped.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over || Arc::strong_count(&self.channel) == 1
    }

    /// Hands over the pending events, unless the receiver holds the lock.
    pub(crate) fn hand_over(&mut self) {
        if self.has_pending() {
            self.try_give();
        }
    }

    fn try_give(&mut self) {
        let channel = Arc::clone(&self.channel);
        match channel.try_lock() {
            Some(state) => self.give(&channel, state),
            // The receiver holds the lock: it takes all events that were handed over.
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

    /// Makes room for one event as the policy says. Returns `false` if the new event is missed.
    fn make_room(&mut self) -> bool {
        self.try_give();
        if !self.is_full() {
            return true;
        }
        match self.policy {
            OverflowPolicy::Close => {
                self.end = Some(SubscriberEnd::Overflowed);
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
        // Dropped without the lock: the drop may run the application's code.
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

impl<E> Drop for SubscriberQueue<E> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.end.get_or_insert(SubscriberEnd::Closed);
        // Only here may the loop wait, and only for the receiver's swap of two queues.
        let channel = Arc::clone(&self.channel);
        self.give(&channel, channel.lock());
    }
}

impl<E> SubscriberReceiver<E> {
    /// Takes the next event, or returns `None` if there is none.
    pub(crate) fn try_recv(&mut self) -> Result<Option<E>, SubscriberEnd> {
        if let Some(event) = self.taken.pop_front() {
            return Ok(Some(event));
        }
        if !self.channel.is_filled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.channel.take(self.channel.lock(), &mut self.taken)
    }

    /// Takes the next event. Sleeps until there is one, for `timeout` at most.
    pub(crate) fn recv(&mut self, timeout: Option<Duration>) -> Result<Option<E>, SubscriberEnd> {
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

    /// How many events were missed so far, including those between events not received yet.
    pub(crate) fn missed(&self) -> u64 {
        self.channel.missed.load(Ordering::Relaxed)
    }
}

impl<E> Channel<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        // No application code runs under the lock: the state is valid after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, State<E>>> {
        // No code panics under the lock: it is never poisoned.
        self.state.try_lock().ok()
    }

    /// Takes all events at once and returns the first.
    fn take(
        &self,
        mut state: MutexGuard<'_, State<E>>,
        taken: &mut VecDeque<E>,
    ) -> Result<Option<E>, SubscriberEnd> {
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
    /// Whether the receiver must sleep, because there is nothing to take. Records that it sleeps.
    fn falls_asleep(&mut self) -> bool {
        self.is_sleeping = self.events.is_empty() && self.end.is_none();
        self.is_sleeping
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::thread;

    use super::*;

    fn rest<E>(receiver: &mut SubscriberReceiver<E>) -> (Vec<E>, SubscriberEnd) {
        let mut events = Vec::new();
        loop {
            match receiver.recv(None) {
                Ok(event) => events.extend(event),
                Err(end) => return (events, end),
            }
        }
    }

    /// Pushes 1 to 5 into a queue of two, at once or one by one, and ends it.
    fn push_five(policy: OverflowPolicy, at_once: bool) -> (Vec<i32>, SubscriberEnd, u64) {
        let (mut queue, mut receiver) = SubscriberQueue::new(2, policy);
        for number in 1..=5 {
            queue.push(number);
            if !at_once {
                queue.hand_over();
            }
        }
        drop(queue);
        let (events, end) = rest(&mut receiver);
        (events, end, receiver.missed())
    }

    #[test]
    fn a_full_queue_follows_its_policy() {
        for at_once in [true, false] {
            let closed = SubscriberEnd::Closed;
            assert_eq!(
                push_five(OverflowPolicy::Close, at_once),
                (vec![1, 2], SubscriberEnd::Overflowed, 0)
            );
            assert_eq!(push_five(OverflowPolicy::DropNewest, at_once), (vec![1, 2], closed, 3));
            assert_eq!(push_five(OverflowPolicy::DropOldest, at_once), (vec![4, 5], closed, 3));
        }
    }

    #[test]
    fn what_cannot_be_handed_over_is_kept() {
        for (policy, events, end, missed) in [
            (OverflowPolicy::Close, vec![1, 2], SubscriberEnd::Overflowed, 0),
            (OverflowPolicy::DropNewest, vec![1, 2], SubscriberEnd::Closed, 1),
            (OverflowPolicy::DropOldest, vec![2, 3], SubscriberEnd::Closed, 1),
        ] {
            let (mut queue, mut receiver) = SubscriberQueue::new(2, policy);
            let channel = Arc::clone(&queue.channel);
            let locked = channel.lock();
            for number in 1..=3 {
                queue.push(number);
                queue.hand_over();
                assert!(queue.has_pending());
            }
            drop(locked);
            queue.hand_over();
            assert!(!queue.has_pending());
            assert_eq!(queue.is_over(), end == SubscriberEnd::Overflowed);
            drop(queue);
            assert_eq!(rest(&mut receiver), (events, end));
            assert_eq!(receiver.missed(), missed);
        }
    }

    #[test]
    fn what_waits_is_counted_until_it_is_taken() {
        let (mut queue, mut receiver) = SubscriberQueue::new(5, OverflowPolicy::DropNewest);
        assert_eq!(queue.len(), 0);
        queue.push(1);
        queue.push(2);
        assert_eq!(queue.len(), 2);
        queue.hand_over();
        queue.push(3);
        assert_eq!(queue.len(), 3);
        assert_eq!(receiver.try_recv(), Ok(Some(1)));
        assert_eq!(queue.len(), 1);
        queue.hand_over();
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn what_was_taken_makes_room() {
        let (mut queue, mut receiver) = SubscriberQueue::new(2, OverflowPolicy::Close);
        for number in 0..100 {
            queue.push(number);
            queue.push(number);
            queue.hand_over();
            for _ in 0..2 {
                assert_eq!(receiver.try_recv(), Ok(Some(number)));
            }
            assert_eq!(receiver.try_recv(), Ok(None));
        }
        assert!(!queue.is_over());
        drop(receiver);
        assert!(queue.is_over());
    }

    #[test]
    fn a_timeout_ends_the_sleep_and_nothing_else() {
        let (mut queue, mut receiver) = SubscriberQueue::new(0, OverflowPolicy::Close);
        assert_eq!(receiver.recv(Some(Duration::from_millis(1))), Ok(None));
        queue.push(7);
        assert_eq!(receiver.recv(Some(Duration::ZERO)), Ok(None));
        queue.hand_over();
        assert_eq!(receiver.recv(Some(Duration::ZERO)), Ok(Some(7)));
        drop(queue);
        assert_eq!(receiver.recv(Some(Duration::MAX)), Err(SubscriberEnd::Closed));
        assert_eq!(receiver.try_recv(), Err(SubscriberEnd::Closed));
    }

    #[test]
    fn a_receiver_that_sleeps_now_and_then_gets_all_in_order() {
        const EVENTS: usize = 100_000;
        let (mut queue, mut receiver) = SubscriberQueue::new(usize::MAX, OverflowPolicy::Close);
        let receiving = thread::spawn(move || rest(&mut receiver));
        for number in 0..EVENTS {
            queue.push(number);
            if number % 7 == 0 {
                queue.hand_over();
            }
            if number % 1_000 == 0 {
                thread::yield_now();
            }
        }
        drop(queue);
        let (events, end) = receiving.join().unwrap();
        assert!(events.into_iter().eq(0..EVENTS));
        assert_eq!(end, SubscriberEnd::Closed);
    }
}
