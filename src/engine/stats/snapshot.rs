//! A loop's statistics, which any thread may read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::histogram::{Histogram, SharedHistogram};
use crate::net::disconnect::Disconnect;
use crate::time::Time;

/// One number, as a metric.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    /// The lines of its doc comment.
    pub(crate) doc: &'static [&'static str],
    pub(crate) kind: MetricKind,
    pub(crate) value: u64,
}

/// How a number changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricKind {
    /// It goes up and down.
    Gauge,
    /// It only goes up.
    Counter,
}

macro_rules! kind {
    (gauge) => {
        MetricKind::Gauge
    };
    (counter) => {
        MetricKind::Counter
    };
}

/// Defines [`Stats`], and a struct for each group of numbers that the loop publishes together.
macro_rules! stats {
    ($(
        $(#[$about:meta])*
        $group:ident {
            $($(#[doc = $doc:literal])* $kind:ident $name:ident,)*
        }
    )*) => {
        /// A snapshot of a loop's statistics: what it did since it was made, and what it holds now.
        /// [`LoopHandle::stats`](crate::LoopHandle::stats) returns it on any thread.
        ///
        /// The numbers are those of the end of the last turn. Each is exact by itself, but two
        /// numbers may be one turn apart. Numbers that say "now" go up and down; the others only go
        /// up.
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
            $($($(#[doc = $doc])* pub $name: u64,)*)*
            /// How long turns with work took, without the wait before them.
            pub turn_time: Histogram,
            /// How long handlers took: every 64th call, or every call with
            /// [`Config::slow_handler`](crate::Config::slow_handler).
            pub handler_time: Histogram,
            /// The time from another thread's wake of a sleeping loop to the first call of a
            /// handler for its event.
            pub wake_latency: Histogram,
            /// How long the [journal](crate::journal)'s transactions took, from the hand-over of
            /// their first message until the loop knew what became of it.
            pub commit_time: Histogram,
            /// When the current turn began. `None` while the loop waits for work. If it is long
            /// ago, a handler blocks the loop, or its thread is not scheduled.
            pub turn_since: Option<Instant>,
        }

        $(
            $(#[$about])*
            #[derive(Clone, Copy, Debug, Default)]
            pub(crate) struct $group {
                $(pub(crate) $name: u64,)*
            }

            impl $group {
                const LEN: usize = [$(stringify!($name)),*].len();

                const fn into_array(self) -> [u64; Self::LEN] {
                    [$(self.$name),*]
                }

                const fn add_to(counts: [u64; Self::LEN], stats: &mut Stats) {
                    [$(stats.$name),*] = counts;
                }
            }
        )*

        impl Stats {
            /// The numbers as metrics.
            pub(crate) fn metrics(&self) -> Vec<Metric> {
                vec![$($(Metric {
                    name: stringify!($name),
                    doc: &[$($doc),*],
                    kind: kind!($kind),
                    value: self.$name,
                }),*),*]
            }
        }
    };
}

stats! {
    /// What the loop publishes after every turn.
    TurnCounts {
        /// Connections now, including those that are being opened or closed.
        gauge connections,
        /// Connections that were opened.
        counter opened,
        /// Requests that were answered by pages and handlers, or with 404 or 405.
        counter requests,
        /// Requests that await an answer that is given later ([`Later`](crate::Later)), now.
        gauge requests_waiting,
        /// Messages that arrived whole. Each call of
        /// [`StreamHandler::on_data`](crate::StreamHandler::on_data) counts as one.
        counter messages_received,
        /// Bytes that arrived, including frame headers and handshakes.
        counter bytes_received,
        /// Messages that were accepted for a connection. A broadcast counts once for each
        /// subscriber.
        counter messages_sent,
        /// Bytes that were written to streams, including frame headers and handshakes.
        counter bytes_sent,
        /// Messages that were compressed, including those that became no shorter and were sent
        /// uncompressed. A broadcast counts once for each set of compression parameters.
        counter messages_compressed,
        /// Messages that were dropped because their connection's outbox was full.
        counter messages_dropped,
        /// Broadcasts that were dropped for all subscribers because their topic's backlog was full,
        /// or all topics together held too much.
        counter broadcasts_dropped,
        /// Broadcasts that a connection missed because of
        /// [`OverflowPolicy::DropNewest`](crate::OverflowPolicy), counted once for each connection.
        counter broadcasts_dropped_newest,
        /// Broadcasts that a connection missed because of
        /// [`OverflowPolicy::DropOldest`](crate::OverflowPolicy), counted once for each connection.
        /// They are counted when the connection catches up, not when they are broadcast.
        counter broadcasts_dropped_oldest,
        /// Broadcasts that a connection missed because of
        /// [`OverflowPolicy::KeepLatest`](crate::OverflowPolicy), counted once for each connection.
        counter broadcasts_conflated,
        /// Gaps that were reported to handlers.
        counter gaps,
        /// Bytes of memory that connections hold now for unfinished messages, for input of raw
        /// streams that was not used, and for the input of paused connections.
        gauge inbound_bytes,
        /// Bytes of memory that queued output takes now. Bytes that several connections share count
        /// once.
        gauge outbound_bytes,
        /// Bytes of memory that the broadcasts of all topics take now
        /// ([`Config::max_topic_bytes`](crate::Config::max_topic_bytes)).
        gauge topic_bytes,
        /// Events that were handled.
        counter events,
        /// Events that are queued for handlers now, including those of due timers.
        gauge events_waiting,
        /// Events that are queued for a [`Subscriber`](crate::Subscriber) now, counted once for
        /// each subscriber.
        gauge subscribers_waiting,
        /// Events of publishers, handlers and timers that were refused because a queue was full.
        counter events_refused,
        /// Events that a [`Subscriber`](crate::Subscriber) missed because its queue was full,
        /// counted once for each subscriber.
        counter events_missed,
        /// Timers that are set now.
        gauge timers,
        /// Calls of handlers that panicked.
        counter panics,
        /// Calls of handlers that took at least
        /// [`Config::slow_handler`](crate::Config::slow_handler).
        counter slow_calls,
        /// Turns of the loop, including those without work.
        counter turns,
    }

    /// What changes at the end of a turn that has work there, or with clients that reconnect.
    EndCounts {
        /// Connections that ended before they were open: refused, failed or cancelled. Connections
        /// whose requests were answered by pages and handlers are not counted.
        counter not_opened,
        /// Clients that reconnect, now.
        gauge links,
        /// Of these, clients that wait to try again, now.
        gauge links_waiting,
        /// Attempts to reconnect that were begun.
        counter reconnect_attempts,
        /// Attempts to reconnect that opened a connection.
        counter reconnected,
        /// Open connections that the application closed.
        counter closed_by_application,
        /// Of these, connections that were closed at their [maximum age](crate::MaxAge).
        counter max_age_reached,
        /// Open connections that their peer closed: with a close frame, or by ending a raw stream.
        counter closed_by_peer,
        /// Open connections whose stream failed, or ended without a WebSocket's close frame.
        counter closed_by_failure,
        /// Open connections whose peer read too slowly.
        counter closed_by_overflow,
        /// Open connections that were closed because all connections together held too much memory,
        /// and this one made no progress.
        counter closed_by_memory_pressure,
        /// Open connections whose handler panicked, or said that it used more than it was lent.
        counter closed_by_panic,
        /// Open connections whose peer broke the protocol or a limit.
        counter closed_by_protocol,
        /// Open connections whose peer missed a deadline.
        counter closed_by_timeout,
        /// Open connections that exceeded a [rate limit](crate::RateLimits).
        counter closed_by_limit,
        /// Connections and requests that were refused because of a
        /// [rate limit](crate::RateLimits): with status 429, or by closing a connection that was
        /// not open. Connections that were not tagged because of one count, too.
        counter refused_by_limit,
        /// Pauses of connections because of a [rate limit](crate::RateLimits).
        counter paused_by_limit,
        /// Client addresses whose counts are kept now
        /// ([`AddressLimits::max_addresses`](crate::AddressLimits::max_addresses)).
        gauge limited_addresses,
        /// Tags whose counts are kept now
        /// ([`Config::max_limited_tags`](crate::Config::max_limited_tags)).
        gauge limited_tags,
    }

    /// What a loop with workers publishes.
    JobCounts {
        /// Jobs that no worker has taken now ([`Workers`](crate::Workers)).
        gauge jobs_queued,
        /// Jobs that workers have taken and whose results the loop does not have now.
        gauge jobs_running,
        /// Jobs whose results have arrived.
        counter jobs_done,
        /// Jobs that were lost because a worker's function panicked.
        counter jobs_panicked,
        /// Jobs that were refused because too many were in hand.
        counter jobs_refused,
        /// [Holds](crate::Hold) on the loop now.
        gauge holds,
    }

    /// What a loop with a journal publishes.
    JournalCounts {
        /// Messages that the [journal](crate::journal) has taken and not stored now.
        gauge journal_waiting,
        /// Bytes of these messages, with 256 bytes for each.
        gauge journal_waiting_bytes,
        /// Messages that the journal has stored.
        counter journal_messages,
        /// Transactions of the journal.
        counter journal_commits,
        /// The most messages of one transaction.
        gauge journal_largest_commit,
        /// Messages that the journal failed to store.
        counter journal_failed,
        /// Messages that were refused because a change of the application's tables failed.
        counter journal_refused,
    }
}

/// The statistics that the loop's thread writes and other threads read.
#[derive(Debug)]
pub(crate) struct Meters {
    /// When the loop's clock began.
    beginning: Instant,
    turn: Shared<{ TurnCounts::LEN }>,
    end: Shared<{ EndCounts::LEN }>,
    jobs: Shared<{ JobCounts::LEN }>,
    journal: Shared<{ JournalCounts::LEN }>,
    pub(crate) turn_time: SharedHistogram,
    pub(crate) handler_time: SharedHistogram,
    pub(crate) wake_latency: SharedHistogram,
    pub(crate) commit_time: SharedHistogram,
    /// When the current turn began, as the nanoseconds of a `Time`. Zero while the loop waits.
    pub(crate) turn_since: AtomicU64,
}

/// Numbers that one thread writes and others read.
#[derive(Debug)]
struct Shared<const LEN: usize>([AtomicU64; LEN]);

impl<const LEN: usize> Shared<LEN> {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; LEN])
    }

    #[inline]
    fn write(&self, numbers: [u64; LEN]) {
        for (shared, number) in self.0.iter().zip(numbers) {
            shared.store(number, Ordering::Relaxed);
        }
    }

    fn read(&self) -> [u64; LEN] {
        std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed))
    }
}

/// The counts of the loop itself. Its parts keep the others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) turns: u64,
    pub(crate) opened: u64,
    pub(crate) not_opened: u64,
    pub(crate) requests: u64,
    pub(crate) closed_by_application: u64,
    pub(crate) max_age_reached: u64,
    pub(crate) closed_by_peer: u64,
    pub(crate) closed_by_failure: u64,
    pub(crate) closed_by_overflow: u64,
    pub(crate) closed_by_memory_pressure: u64,
    pub(crate) closed_by_panic: u64,
    pub(crate) closed_by_protocol: u64,
    pub(crate) closed_by_timeout: u64,
    pub(crate) closed_by_limit: u64,
    pub(crate) messages_received: u64,
}

impl Meters {
    pub(crate) fn new(beginning: Instant) -> Self {
        Self {
            beginning,
            turn: Shared::new(),
            end: Shared::new(),
            jobs: Shared::new(),
            journal: Shared::new(),
            turn_time: SharedHistogram::default(),
            handler_time: SharedHistogram::default(),
            wake_latency: SharedHistogram::default(),
            commit_time: SharedHistogram::default(),
            turn_since: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn publish_turn(&self, counts: TurnCounts) {
        self.turn.write(counts.into_array());
    }

    pub(crate) fn publish_end(&self, counts: EndCounts) {
        self.end.write(counts.into_array());
    }

    pub(crate) fn publish_jobs(&self, counts: JobCounts) {
        self.jobs.write(counts.into_array());
    }

    pub(crate) fn publish_journal(&self, counts: JournalCounts) {
        self.journal.write(counts.into_array());
    }

    pub(crate) fn begin_turn(&self, now: Time) {
        self.turn_since.store(now.as_nanos().max(1), Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let mut stats = Stats {
            turn_time: self.turn_time.snapshot(),
            handler_time: self.handler_time.snapshot(),
            wake_latency: self.wake_latency.snapshot(),
            commit_time: self.commit_time.snapshot(),
            ..Stats::default()
        };
        TurnCounts::add_to(self.turn.read(), &mut stats);
        EndCounts::add_to(self.end.read(), &mut stats);
        JobCounts::add_to(self.jobs.read(), &mut stats);
        JournalCounts::add_to(self.journal.read(), &mut stats);
        let since = self.turn_since.load(Ordering::Relaxed);
        stats.turn_since = (since > 0).then(|| self.beginning + Duration::from_nanos(since));
        stats
    }
}

impl Tally {
    /// Counts a connection that was opened.
    pub(crate) const fn opened(&mut self) {
        self.opened += 1;
    }

    /// Counts a connection that ended before it was open.
    pub(crate) const fn not_opened(&mut self) {
        self.not_opened += 1;
    }

    /// Counts an open connection that has ended.
    pub(crate) const fn closed(&mut self, disconnect: &Disconnect) {
        let count = match disconnect {
            Disconnect::ClosedByApplication { .. } => &mut self.closed_by_application,
            Disconnect::ClosedByPeer { .. } | Disconnect::EndOfStream { .. } => {
                &mut self.closed_by_peer
            }
            Disconnect::Io(_) => &mut self.closed_by_failure,
            Disconnect::Overflow => &mut self.closed_by_overflow,
            Disconnect::MemoryPressure(_) => &mut self.closed_by_memory_pressure,
            Disconnect::Panicked { .. } | Disconnect::OverusedInput { .. } => {
                &mut self.closed_by_panic
            }
            Disconnect::Protocol(_) | Disconnect::UnusedInput { .. } => {
                &mut self.closed_by_protocol
            }
            Disconnect::TimedOut(_) => &mut self.closed_by_timeout,
            Disconnect::RateLimited { .. } => &mut self.closed_by_limit,
        };
        *count += 1;
    }
}
