use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, io};

use crossbeam_queue::SegQueue;

use crate::config::Shutdown;
use crate::engine::http::answer::{Answer, RequestId};
use crate::engine::stats::snapshot::{Meters, Stats};
use crate::queue::{Doorbell, HoldCount};
use crate::reactor::Wake;
use crate::slots::Key;

/// Stops a loop, shuts it down and reads its statistics, from any thread.
#[derive(Clone)]
pub struct LoopHandle {
    shared: Arc<Shared>,
    meters: Arc<Meters>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// State that the loop shares with other threads.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) doorbell: Doorbell,
    stopped: AtomicBool,
    pub(crate) holds: HoldCount,
    /// At most one for each connection that is being made, one for each responder, one for the end
    /// of all holds, and the application's requests.
    pub(crate) news: SegQueue<News>,
}

/// What happens rarely on another thread.
#[derive(Debug)]
pub(crate) enum News {
    /// A name lookup has finished.
    Resolved(Resolved),
    /// The loop is ending, and the last hold was dropped.
    Released,
    /// A request has an answer.
    Answered(RequestId, Answer),
    /// The loop is to close its listeners.
    StopListening,
    /// The loop is to stop reading.
    StopReading,
    /// The loop is to shut down.
    ShutDown(Shutdown),
}

/// The result of a name lookup for a connection that is being made.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) conn: Key,
    pub(crate) addresses: io::Result<Vec<SocketAddr>>,
}

impl Shared {
    /// Whether work waits for the loop.
    pub(crate) fn has_work(&self) -> bool {
        self.is_stopped() || !self.news.is_empty()
    }

    /// Whether another thread has stopped the loop.
    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

impl LoopHandle {
    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    pub(crate) fn new(shared: Arc<Shared>, meters: Arc<Meters>, waker: impl Wake) -> Self {
        // A wake fails only if the loop is gone. Then there is nobody to report it to.
        let wake = Arc::new(move || drop(waker.wake()));
        Self { shared, meters, wake }
    }

    /// Ends the loop after its current turn: every connection is closed with code 1001, and
    /// [`run`](crate::EventLoop::run) returns. Safe to call from any thread, and more than once.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.ring();
    }

    /// Closes every listener. The loop goes on to serve its connections. It is the first stage of a
    /// shutdown in stages, for instance when a load balancer still sends clients here for a while:
    /// [`stop_reading`](Self::stop_reading) and [`shutdown`](Self::shutdown) may follow.
    pub fn stop_listening(&self) {
        self.tell(News::StopListening);
    }

    /// Stops reading from every connection, as [`Connection::pause`](crate::Connection::pause)
    /// does, and from those that open later. Messages that have not been handled are not handled
    /// any more, unless the application resumes a connection. Everything can still be sent, and
    /// jobs and events go on. HTTP requests are still answered.
    pub fn stop_reading(&self) {
        self.tell(News::StopReading);
    }

    /// Shuts the loop down in order, within a deadline or as [`Shutdown`] says. From its next turn
    /// on, the loop closes its listeners and accepts no connections. It closes open connections,
    /// after everything that was sent or broadcast to them, and discards what their peers send
    /// after that. It refuses clients
    /// in their opening handshake with status 503, and cancels connections that are being made.
    ///
    /// The loop waits for [jobs](crate::Workers) in hand and for [holds](crate::Hold), and handles
    /// what comes of them. Once every connection has ended and there is none of these, it refuses
    /// publishers with [`PublishError::Closed`](crate::PublishError) and handles the events that
    /// were published before. Then [`run`](crate::EventLoop::run) returns a
    /// [`RunSummary`](crate::RunSummary). When `deadline` has passed since the loop noticed the
    /// request, it cuts whatever is left. It cuts a connection earlier if its peer does not answer
    /// the close frame within [`Limits::close_timeout`](crate::proto::Limits::close_timeout).
    ///
    /// Safe to call from any thread, and more than once: the earliest deadline applies, and
    /// otherwise the first request. [`stop`](Self::stop) ends a shutdown at once.
    ///
    /// ```
    /// use std::{thread, time::Duration};
    /// use eventwire::{Config, EventLoop, RunEnd};
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let handle = event_loop.handle();
    /// thread::spawn(move || handle.shutdown(Duration::from_secs(10)));
    /// let summary = event_loop.run(&mut ())?;
    /// assert_eq!(summary.end, RunEnd::ShutDown);
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    pub fn shutdown(&self, shutdown: impl Into<Shutdown>) {
        self.tell(News::ShutDown(shutdown.into()));
    }

    /// The loop's statistics as of the end of its last turn. Never waits for the loop, so it also
    /// works while a loop hangs ([`Stats::turn_since`]). Copies about 10 KiB.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.meters.snapshot();
        stats.holds = self.shared.holds.count() as u64;
        stats
    }

    pub(crate) fn holds(&self) -> &HoldCount {
        &self.shared.holds
    }

    /// Leaves news for the loop, and wakes it.
    pub(crate) fn tell(&self, news: News) {
        self.shared.news.push(news);
        self.ring();
    }

    pub(crate) fn ring(&self) {
        if self.shared.doorbell.ring() {
            (self.wake)();
        }
    }

    /// As `ring`, for a caller that has issued a sequentially consistent fence after its write.
    pub(crate) fn ring_fenced(&self) {
        if self.shared.doorbell.ring_fenced() {
            (self.wake)();
        }
    }
}

impl fmt::Debug for LoopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle").field("stopped", &self.shared.is_stopped()).finish()
    }
}
