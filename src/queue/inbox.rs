//! Events of one type on their way from other threads into the loop.
//!
//! Each publisher has a lane of its own, and announces an event once it is wholly in it. The loop
//! takes only what was announced, so a publisher that loses the processor between claiming a place
//! in its lane and filling it holds up nobody: a queue shared by all publishers would make the
//! loop wait for it.
//!
//! `cargo bench --bench inbox` measures that, with eight publishers that preempt each other on one
//! processor. On a loaded machine with two, takes of more than 100 µs had 0.5 % of the taker's time
//! with lanes and 1.0 % with one shared queue, and the longest took 0.17 ms and 0.26 ms, the means
//! of three rounds: ratios of 1 to 1.8 and 1 to 1.6.

use std::collections::VecDeque;
use std::sync::PoisonError;

use super::PublishError;
use super::sync::{
    Arc, ArrayQueue, AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, fence,
};

/// What the loop and the publishers of one type have in common.
#[derive(Debug)]
pub(crate) struct Inbox<E> {
    /// Every publisher's lane. Locked when a publisher comes and when the inbox is closed; for an
    /// event only if it was sent at that very moment. The loop waits for it only to close.
    lanes: Mutex<Vec<Arc<Lane<E>>>>,
    /// Changes with `lanes`.
    version: AtomicUsize,
    /// Nothing more is put in. Changed with `lanes` locked.
    closed: AtomicBool,
    /// Events that one lane holds at most.
    capacity: usize,
    /// Events that were given back because a lane was full.
    refused: AtomicU64,
}

/// One publisher's queue.
#[derive(Debug)]
struct Lane<E> {
    events: ArrayQueue<E>,
    publisher: Announcements,
}

/// What a publisher writes beside its events, apart from what the loop needs for every event:
/// processors fetch memory in pairs of 64 bytes.
#[derive(Debug)]
#[repr(align(128))]
struct Announcements {
    /// Events that were ever put in whole.
    count: AtomicUsize,
    /// The publisher is gone: once empty, the lane is of no more use.
    abandoned: AtomicBool,
}

/// A publisher's end. One thread at a time may use it.
#[derive(Debug)]
pub(crate) struct LaneSender<E> {
    inbox: Arc<Inbox<E>>,
    lane: Arc<Lane<E>>,
}

/// The loop's end: dropping it closes the inbox.
#[derive(Debug)]
pub(crate) struct InboxReceiver<E> {
    inbox: Arc<Inbox<E>>,
    lanes: Vec<Taken<E>>,
    /// What was in the lanes when the inbox was closed.
    left: VecDeque<E>,
    /// The version of the inbox's lanes that `lanes` is of.
    version: usize,
    /// A lane was emptied whose publisher is gone.
    is_stale: bool,
    /// The lane that is looked at first, so that none is always last.
    first: usize,
}

/// A lane, with how many of its events were taken.
#[derive(Debug)]
struct Taken<E> {
    lane: Arc<Lane<E>>,
    count: usize,
    /// How many events there were when the publisher's count was last read.
    announced: usize,
}

impl<E> Inbox<E> {
    /// An inbox whose lanes hold `capacity` events each.
    pub(crate) fn with_capacity(capacity: usize) -> InboxReceiver<E> {
        let inbox = Arc::new(Self {
            lanes: Mutex::default(),
            version: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            capacity: capacity.max(1),
            refused: AtomicU64::new(0),
        });
        InboxReceiver {
            inbox,
            lanes: Vec::new(),
            left: VecDeque::new(),
            version: 0,
            is_stale: false,
            first: 0,
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Arc<Lane<E>>>> {
        // A panic elsewhere leaves the list whole: it is changed by single calls.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lanes(&self) -> Option<MutexGuard<'_, Vec<Arc<Lane<E>>>>> {
        // Nobody panics under the lock: it is never poisoned.
        self.lanes.try_lock().ok()
    }
}

impl<E> LaneSender<E> {
    /// A sender with a lane of its own.
    pub(crate) fn new(inbox: &Arc<Inbox<E>>) -> Self {
        let events = ArrayQueue::new(inbox.capacity);
        let (count, abandoned) = (AtomicUsize::new(0), AtomicBool::new(false));
        let publisher = Announcements { count, abandoned };
        let lane = Arc::new(Lane { events, publisher });
        let mut lanes = inbox.lanes();
        if !inbox.closed.load(Ordering::Relaxed) {
            lanes.push(Arc::clone(&lane));
            inbox.version.fetch_add(1, Ordering::Release);
        }
        drop(lanes);
        Self { inbox: Arc::clone(inbox), lane }
    }

    pub(crate) const fn inbox(&self) -> &Arc<Inbox<E>> {
        &self.inbox
    }

    /// Puts an event in. It is visible to the loop when this returns, which ends with a
    /// sequentially consistent fence if the event was taken.
    pub(crate) fn send(&self, event: E) -> Result<(), PublishError<E>> {
        if self.inbox.closed.load(Ordering::Acquire) {
            return Err(PublishError::Closed(event));
        }
        if let Err(event) = self.lane.events.push(event) {
            self.inbox.refused.fetch_add(1, Ordering::Relaxed);
            return Err(PublishError::Full(event));
        }
        let announced = &self.lane.publisher.count;
        announced.store(announced.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        // Behind this fence and the one of `InboxReceiver::close`, either the event is seen there
        // or the end is seen here, or both.
        fence(Ordering::SeqCst);
        if self.inbox.closed.load(Ordering::Relaxed) { self.take_back() } else { Ok(()) }
    }

    /// Takes an event back that came too late: one sent while the inbox was being closed.
    #[cold]
    fn take_back(&self) -> Result<(), PublishError<E>> {
        // Whoever closes the inbox has the lock until every lane is empty, so that what is in this
        // one now is the event that was put in last.
        let _lanes = self.inbox.lanes();
        self.lane.events.pop().map_or(Ok(()), |event| Err(PublishError::Closed(event)))
    }
}

impl<E> Drop for LaneSender<E> {
    fn drop(&mut self) {
        // The loop gives the lane up once it has taken what is still in it.
        self.lane.publisher.abandoned.store(true, Ordering::Release);
        self.inbox.version.fetch_add(1, Ordering::Release);
    }
}

impl<E> InboxReceiver<E> {
    pub(crate) const fn inbox(&self) -> &Arc<Inbox<E>> {
        &self.inbox
    }

    /// Whether there may be an event to take.
    pub(crate) fn has_events(&self) -> bool {
        self.inbox.version.load(Ordering::Acquire) != self.version
            || self.lanes.iter().any(Taken::has_events)
            || !self.left.is_empty()
    }

    /// Takes nothing more from publishers: a send returns its event, unless its event is among
    /// those that are left to take.
    pub(crate) fn close(&mut self) {
        let inbox = Arc::clone(&self.inbox);
        let mut present = inbox.lanes();
        inbox.closed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.take_in(&present);
        while let Some(event) = self.take_from_lanes() {
            self.left.push_back(event);
        }
        present.clear();
        self.lanes.clear();
    }

    #[cfg(test)]
    pub(crate) fn lanes(&self) -> usize {
        self.lanes.len().max(self.inbox.lanes().len())
    }

    /// How many events were given back because a lane was full.
    pub(crate) fn refused(&self) -> u64 {
        self.inbox.refused.load(Ordering::Relaxed)
    }

    /// How many events there are to take.
    pub(crate) fn len(&self) -> usize {
        let known = self.lanes.iter().map(Taken::left).sum::<usize>() + self.left.len();
        if self.inbox.version.load(Ordering::Acquire) == self.version {
            return known;
        }
        // Publishers came whose lanes were not looked at yet. Where another comes at this moment,
        // they count at the next.
        let Some(present) = self.inbox.try_lanes() else { return known };
        let new = present.iter().filter(|lane| !self.has_taken_in(lane));
        known + new.map(|lane| lane.publisher.count.load(Ordering::Acquire)).sum::<usize>()
    }

    fn has_taken_in(&self, lane: &Arc<Lane<E>>) -> bool {
        self.lanes.iter().any(|taken| Arc::ptr_eq(lane, &taken.lane))
    }

    /// Takes an event, of one lane after the other. Per lane, in the order in which they were put
    /// in.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<E> {
        self.refresh();
        self.take_from_lanes().or_else(|| self.left.pop_front())
    }

    fn take_from_lanes(&mut self) -> Option<E> {
        for _ in 0..self.lanes.len() {
            if self.first >= self.lanes.len() {
                self.first = 0;
            }
            let taken = &mut self.lanes[self.first];
            self.first += 1;
            if let Some(event) = taken.take() {
                self.is_stale |= taken.is_exhausted() && taken.is_done();
                return Some(event);
            }
        }
        None
    }

    /// Takes in the lanes of publishers that came, and gives up empty ones of those that went.
    fn refresh(&mut self) {
        let version = self.inbox.version.load(Ordering::Acquire);
        if version == self.version && !self.is_stale {
            return;
        }
        let inbox = Arc::clone(&self.inbox);
        // A publisher that comes may have lost the processor with the lock. Until the next attempt,
        // the version tells that there may be events.
        let Some(mut present) = inbox.try_lanes() else { return };
        self.version = version;
        self.is_stale = false;
        self.take_in(&present);
        self.lanes.retain(|taken| !taken.is_done());
        present.retain(|lane| self.has_taken_in(lane));
    }

    /// Takes in the lanes that are new.
    fn take_in(&mut self, present: &[Arc<Lane<E>>]) {
        for lane in present {
            if !self.has_taken_in(lane) {
                self.lanes.push(Taken { lane: Arc::clone(lane), count: 0, announced: 0 });
            }
        }
    }
}

impl<E> Drop for InboxReceiver<E> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<E> Taken<E> {
    fn has_events(&self) -> bool {
        !self.is_exhausted() || self.left() > 0
    }

    /// Whether all were taken of which was known.
    const fn is_exhausted(&self) -> bool {
        self.count == self.announced
    }

    /// How many events there are to take.
    fn left(&self) -> usize {
        self.lane.publisher.count.load(Ordering::Acquire).wrapping_sub(self.count)
    }

    /// Whether nothing is left and nothing will come.
    fn is_done(&self) -> bool {
        // In this order: what was announced before the publisher went is seen.
        self.lane.publisher.abandoned.load(Ordering::Acquire) && !self.has_events()
    }

    fn take(&mut self) -> Option<E> {
        if self.is_exhausted() {
            // Only now: for every event it would be fetched from the publisher's processor.
            self.announced = self.lane.publisher.count.load(Ordering::Acquire);
            if self.is_exhausted() {
                return None;
            }
        }
        self.count = self.count.wrapping_add(1);
        self.lane.events.pop()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn take_all<E>(receiver: &mut InboxReceiver<E>) -> Vec<E> {
        std::iter::from_fn(|| receiver.take()).collect()
    }

    #[test]
    fn a_full_lane_gives_the_event_back_and_leaves_other_lanes_alone() {
        let mut receiver = Inbox::with_capacity(2);
        let one = LaneSender::new(receiver.inbox());
        let other = LaneSender::new(receiver.inbox());
        assert!(one.send(1).is_ok());
        assert!(one.send(2).is_ok());
        assert!(matches!(one.send(3), Err(PublishError::Full(3))));
        assert!(other.send(4).is_ok());
        assert_eq!(take_all(&mut receiver), [1, 4, 2]);
        assert!(one.send(5).is_ok());
        assert_eq!(take_all(&mut receiver), [5]);
        assert!(!receiver.has_events());
    }

    #[test]
    fn what_a_new_publisher_has_sent_is_counted_before_anything_is_taken() {
        let mut receiver = Inbox::with_capacity(2);
        let one = LaneSender::new(receiver.inbox());
        assert!(one.send(1).is_ok());
        assert_eq!(receiver.len(), 1);
        assert_eq!(receiver.take(), Some(1));
        let other = LaneSender::new(receiver.inbox());
        assert!(one.send(2).is_ok());
        assert!(other.send(3).is_ok());
        assert_eq!(receiver.len(), 2);
        drop(other);
        assert_eq!(receiver.len(), 2);
        receiver.close();
        assert_eq!(receiver.len(), 2);
        assert_eq!(take_all(&mut receiver).len(), 2);
        assert_eq!(receiver.len(), 0);
    }

    #[test]
    fn events_of_a_publisher_that_is_gone_arrive_and_its_lane_is_given_up() {
        let mut receiver = Inbox::with_capacity(4);
        let kept = LaneSender::new(receiver.inbox());
        for number in 0..100 {
            let sender = LaneSender::new(receiver.inbox());
            assert!(sender.send(number).is_ok());
            drop(sender);
            assert!(receiver.has_events());
            assert_eq!(receiver.take(), Some(number));
            assert_eq!(receiver.take(), None);
            assert_eq!(receiver.lanes(), 1);
        }
        drop(kept);
        assert_eq!(receiver.take(), None);
        assert_eq!(receiver.lanes(), 0);
        assert!(!receiver.has_events());
    }

    #[test]
    fn a_publisher_that_is_held_up_while_it_comes_holds_up_nobody() {
        let mut receiver = Inbox::with_capacity(2);
        let inbox = Arc::clone(receiver.inbox());
        let known = LaneSender::new(&inbox);
        assert!(known.send(1).is_ok());
        assert_eq!(receiver.take(), Some(1));
        let new = LaneSender::new(&inbox);
        assert!(known.send(2).is_ok() && new.send(3).is_ok());
        let coming = inbox.lanes();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let taken = [receiver.take(), receiver.take()];
            tell.send((taken, receiver)).unwrap();
        });
        let (taken, mut receiver) = told.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(taken, [Some(2), None]);
        assert!(receiver.has_events());
        drop(coming);
        assert_eq!(take_all(&mut receiver), [3]);
        assert!(!receiver.has_events());
    }

    #[test]
    fn a_dropped_receiver_closes_the_inbox() {
        let receiver = Inbox::with_capacity(1);
        let sender = LaneSender::new(receiver.inbox());
        drop(receiver);
        assert!(matches!(sender.send("event"), Err(PublishError::Closed("event"))));
    }

    #[test]
    fn what_was_sent_before_the_close_is_left_to_take() {
        let mut receiver = Inbox::with_capacity(2);
        let senders = [(); 3].map(|()| LaneSender::new(receiver.inbox()));
        for (number, sender) in senders.iter().enumerate() {
            assert!(sender.send(number).is_ok());
        }
        assert_eq!(receiver.take(), Some(0));
        receiver.close();
        assert_eq!(receiver.len(), 2);
        assert!(matches!(senders[0].send(3), Err(PublishError::Closed(3))));
        let late = LaneSender::new(receiver.inbox());
        assert!(matches!(late.send(4), Err(PublishError::Closed(4))));
        drop((senders, late));
        assert!(receiver.has_events());
        assert_eq!(take_all(&mut receiver), [1, 2]);
        assert!(!receiver.has_events());
        receiver.close();
        assert_eq!(receiver.len(), 0);
    }

    #[test]
    fn what_many_threads_send_arrives_once_and_in_each_ones_order() {
        const THREADS: usize = 4;
        const EVENTS: usize = 20_000;
        let mut receiver = Inbox::with_capacity(64);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let sender = LaneSender::new(receiver.inbox());
                thread::spawn(move || {
                    for number in 0..EVENTS {
                        let mut event = (thread, number);
                        while let Err(PublishError::Full(back)) = sender.send(event) {
                            event = back;
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let mut next = [0; THREADS];
        while next != [EVENTS; THREADS] {
            let Some((thread, number)) = receiver.take() else {
                thread::yield_now();
                continue;
            };
            assert_eq!(number, next[thread]);
            next[thread] += 1;
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(receiver.take(), None);
    }
}
