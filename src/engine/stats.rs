//! What a loop does, in numbers that any thread may read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{EventLoop, LoopHandle};
use crate::histogram::{Histogram, SharedHistogram};
use crate::net::disconnect::{Disconnect, MemoryLimit};
use crate::reactor::Reactor;
use crate::time::Time;

/// Makes [`Stats`], and [`Counts`]: its numbers alone, as the loop writes them for other threads.
macro_rules! stats {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// What a loop did since it was made, and what it holds: a snapshot, to be had from any
        /// thread with [`LoopHandle::stats`].
        ///
        /// The numbers are those of the end of the last turn; each is right by itself, and two of
        /// them may be one turn apart. They count up and never wrap, except those that say "now".
        ///
        /// ```
        /// use eventwire::{Config, EventLoop};
        ///
        /// let event_loop = EventLoop::<()>::new(Config::default())?;
        /// let handle = event_loop.handle();
        /// let reporter = std::thread::spawn(move || {
        ///     let stats = handle.stats();
        ///     println!("{} connections, turns of {:?}", stats.connections, stats.turn_time);
        /// });
        /// # assert!(reporter.join().is_ok());
        /// # Ok::<(), eventwire::Error>(())
        /// ```
        #[derive(Clone, Debug, Default)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[doc = $doc])* pub $name: u64,)*
            /// How long turns took that had something to do, without the wait before them.
            pub turn_time: Histogram,
            /// How long handlers took: of every 64th call, or of every call if the application
            /// wants to be told of slow ones
            /// ([`Config::slow_handler`](crate::Config::slow_handler)).
            pub handler_time: Histogram,
            /// From another thread's waking of a sleeping loop to the first handler that its event
            /// was handed to.
            pub wake_latency: Histogram,
            /// When the present turn began, unless the loop waits for work. Long ago: a handler
            /// holds the loop up, or the processor is not to be had.
            pub turn_since: Option<Instant>,
        }

        #[derive(Clone, Copy, Debug)]
        struct Counts {
            $($name: u64,)*
        }

        impl Counts {
            const LEN: usize = [$(stringify!($name)),*].len();

            const fn into_array(self) -> [u64; Self::LEN] {
                [$(self.$name),*]
            }
        }

        impl Stats {
            /// The numbers with their names and documentation.
            pub(super) fn counts(
                &self,
            ) -> [(&'static str, &'static [&'static str], u64); Counts::LEN] {
                [$((stringify!($name), &[$($doc),*], self.$name)),*]
            }

            fn set_counts(&mut self, counts: [u64; Counts::LEN]) {
                [$(self.$name),*] = counts;
            }
        }
    };
}

stats! {
    /// Connections now, those included that are being opened or closed.
    connections,
    /// Connections that were opened.
    opened,
    /// Connections that ended before they were open: refused, failed or cancelled. Those are none
    /// whose requests were answered by pages and handlers.
    not_opened,
    /// Requests that pages and handlers answered, or 404 and 405.
    requests,
    /// Open connections that the application closed.
    closed_by_application,
    /// Open connections that their peer closed in order.
    closed_by_peer,
    /// Open connections whose stream failed, or ended without a close frame.
    closed_by_failure,
    /// Open connections whose peer read too slowly.
    closed_by_overflow,
    /// Open connections that held memory without progress when all held too much.
    closed_by_memory_pressure,
    /// Open connections whose handler panicked.
    closed_by_panic,
    /// Open connections whose peer broke the protocol or a limit.
    closed_by_protocol,
    /// Open connections whose peer did not do in time what it had to.
    closed_by_timeout,
    /// Messages that arrived whole.
    messages_received,
    /// Bytes that arrived, frame headers and handshakes included.
    bytes_received,
    /// Messages that were taken for a connection, those of broadcasts once for each subscriber.
    messages_sent,
    /// Bytes that streams took, frame headers and handshakes included.
    bytes_sent,
    /// Messages that were compressed, those of broadcasts once for each setting; messages that
    /// came out no shorter, and were sent as they are, included.
    messages_compressed,
    /// Messages that were not taken because their connection's outbox was full.
    messages_dropped,
    /// Broadcasts that nobody got because their topic's backlog was full, or all topics together
    /// held too much.
    broadcasts_dropped,
    /// Broadcasts that a connection missed by
    /// [`OverflowPolicy::DropNewest`](crate::OverflowPolicy), once for each connection.
    broadcasts_dropped_newest,
    /// Broadcasts that a connection missed by
    /// [`OverflowPolicy::DropOldest`](crate::OverflowPolicy), once for each connection.
    broadcasts_dropped_oldest,
    /// Broadcasts that a connection missed by
    /// [`OverflowPolicy::KeepLatest`](crate::OverflowPolicy), once for each connection.
    broadcasts_conflated,
    /// Gaps that were told.
    gaps,
    /// Bytes of memory that connections hold now for unfinished messages and the input of paused
    /// ones.
    inbound_bytes,
    /// Bytes of memory that the output which waits for peers holds now. What several share counts
    /// once.
    outbound_bytes,
    /// Bytes of memory that the broadcasts of all topics take now
    /// ([`Config::max_topic_bytes`](crate::Config::max_topic_bytes)).
    topic_bytes,
    /// Events that were handled.
    events,
    /// Events that wait in inboxes now, due timers' included.
    events_waiting,
    /// Events that wait now for a [`Subscriber`](crate::Subscriber) to take them, once for each
    /// subscriber.
    subscribers_waiting,
    /// Events that publishers, handlers and timers got back because a queue was full.
    events_refused,
    /// Events that a [`Subscriber`](crate::Subscriber) had no room for, once for each subscriber.
    events_missed,
    /// Timers that are set now.
    timers,
    /// Calls of handlers that panicked.
    panics,
    /// Calls of handlers that took as long as
    /// [`Config::slow_handler`](crate::Config::slow_handler) says, or longer.
    slow_calls,
    /// Turns of the loop, those included that found nothing to do.
    turns,
}

/// What the loop writes and others read.
#[derive(Debug)]
pub(super) struct Meters {
    /// When the loop's clock began.
    beginning: Instant,
    counts: [AtomicU64; Counts::LEN],
    turn_time: SharedHistogram,
    pub(super) handler_time: SharedHistogram,
    pub(super) wake_latency: SharedHistogram,
    /// When the present turn began, as the nanoseconds of a `Time`; zero while the loop waits.
    turn_since: AtomicU64,
}

/// What the loop counts itself; its parts count the rest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    turns: u64,
    opened: u64,
    not_opened: u64,
    pub(super) requests: u64,
    closed_by_application: u64,
    closed_by_peer: u64,
    closed_by_failure: u64,
    closed_by_overflow: u64,
    closed_by_memory_pressure: u64,
    closed_by_panic: u64,
    closed_by_protocol: u64,
    closed_by_timeout: u64,
    pub(super) messages_received: u64,
}

impl Meters {
    pub(super) fn new(beginning: Instant) -> Self {
        Self {
            beginning,
            counts: [const { AtomicU64::new(0) }; Counts::LEN],
            turn_time: SharedHistogram::default(),
            handler_time: SharedHistogram::default(),
            wake_latency: SharedHistogram::default(),
            turn_since: AtomicU64::new(0),
        }
    }

    fn publish(&self, counts: Counts) {
        for (shared, count) in self.counts.iter().zip(counts.into_array()) {
            shared.store(count, Ordering::Relaxed);
        }
    }

    fn begin_turn(&self, now: Time) {
        self.turn_since.store(now.as_nanos().max(1), Ordering::Relaxed);
    }

    fn snapshot(&self) -> Stats {
        let mut stats = Stats {
            turn_time: self.turn_time.snapshot(),
            handler_time: self.handler_time.snapshot(),
            wake_latency: self.wake_latency.snapshot(),
            ..Stats::default()
        };
        stats.set_counts(std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed)));
        let since = self.turn_since.load(Ordering::Relaxed);
        stats.turn_since = (since > 0).then(|| self.beginning + Duration::from_nanos(since));
        stats
    }
}

impl Tally {
    /// A connection was opened.
    pub(super) const fn opened(&mut self) {
        self.opened += 1;
    }

    /// A connection ended before it was open.
    pub(super) const fn not_opened(&mut self) {
        self.not_opened += 1;
    }

    /// An open connection has ended.
    pub(super) const fn closed(&mut self, disconnect: &Disconnect) {
        let count = match disconnect {
            Disconnect::ClosedByApplication { .. } => &mut self.closed_by_application,
            Disconnect::ClosedByPeer { .. } => &mut self.closed_by_peer,
            Disconnect::Io(_) => &mut self.closed_by_failure,
            Disconnect::Overflow => &mut self.closed_by_overflow,
            Disconnect::MemoryPressure(_) => &mut self.closed_by_memory_pressure,
            Disconnect::Panicked { .. } => &mut self.closed_by_panic,
            Disconnect::Protocol(_) => &mut self.closed_by_protocol,
            Disconnect::TimedOut(_) => &mut self.closed_by_timeout,
        };
        *count += 1;
    }
}

impl LoopHandle {
    /// What the loop did until the end of its last turn. Never waits for the loop, so that it
    /// tells of a loop that hangs, too ([`Stats::turn_since`]). Copies some 10 KiB.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.meters().snapshot()
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// What the loop did until now. Other threads have [`LoopHandle::stats`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.publish_stats();
        self.handle.stats()
    }

    /// The wait is over.
    pub(super) fn begin_turn(&mut self) {
        self.tally.turns += 1;
        self.meters.begin_turn(self.core.sockets.now);
    }

    /// The turn is over; `worked` if it had something to do. Reads the clock.
    pub(super) fn end_turn(&mut self, worked: bool) {
        // A wake that has brought no event by now was for something else.
        self.woken_at = None;
        let began = self.core.sockets.now;
        self.read_clock();
        if worked {
            self.meters.turn_time.record(self.core.sockets.now.since(began));
        }
        self.publish_stats();
        self.meters.turn_since.store(0, Ordering::Relaxed);
    }

    fn publish_stats(&self) {
        let (tally, topics) = (&self.tally, &self.core.topics.totals);
        let events = self.events.counts();
        self.meters.publish(Counts {
            connections: self.core.sockets.len() as u64,
            opened: tally.opened,
            not_opened: tally.not_opened,
            requests: tally.requests,
            closed_by_application: tally.closed_by_application,
            closed_by_peer: tally.closed_by_peer,
            closed_by_failure: tally.closed_by_failure,
            closed_by_overflow: tally.closed_by_overflow,
            closed_by_memory_pressure: tally.closed_by_memory_pressure,
            closed_by_panic: tally.closed_by_panic,
            closed_by_protocol: tally.closed_by_protocol,
            closed_by_timeout: tally.closed_by_timeout,
            messages_received: tally.messages_received,
            bytes_received: self.core.streams.received,
            messages_sent: self.core.sockets.messages_sent + topics.delivered,
            bytes_sent: self.core.streams.sent,
            messages_compressed: self.core.sockets.pool.buffers.compressions(),
            messages_dropped: self.core.sockets.messages_dropped,
            broadcasts_dropped: topics.refused,
            broadcasts_dropped_newest: topics.dropped_newest,
            broadcasts_dropped_oldest: topics.dropped_oldest,
            broadcasts_conflated: topics.conflated,
            gaps: topics.gaps,
            inbound_bytes: self.core.sockets.held(MemoryLimit::Inbound) as u64,
            outbound_bytes: self.core.sockets.held(MemoryLimit::Outbound) as u64,
            topic_bytes: self.core.topics.held_bytes() as u64,
            events: self.events.handled,
            events_waiting: (events.waiting + self.core.events.len()) as u64,
            subscribers_waiting: events.handed_on as u64,
            events_refused: events.refused + self.core.events.refused(),
            events_missed: events.missed,
            timers: self.core.events.timers_set() as u64,
            panics: self.calls.panics,
            slow_calls: self.calls.slow,
            turns: tally.turns,
        });
    }
}
