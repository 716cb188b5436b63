//! The state of a loop that is stopping or shutting down.

use std::time::Duration;

use crate::config::Shutdown;
use crate::engine::turn::farewell::Farewell;
use crate::error::Error;
use crate::net::socket::Socket;
use crate::proto::CloseCode;
use crate::time::Time;

/// How a loop ended: what [`EventLoop::run`](crate::EventLoop::run) returns.
///
/// ```
/// use std::time::Duration;
/// use eventwire::{Config, EventLoop, RunEnd};
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.handle().shutdown(Duration::from_secs(10));
/// let summary = event_loop.run(&mut ())?;
/// assert_eq!(summary.end, RunEnd::ShutDown);
/// assert_eq!((summary.closed, summary.cut), (0, 0));
/// # Ok::<(), eventwire::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunSummary {
    /// Why the loop ended.
    pub end: RunEnd,
    /// Open connections that were closed in order: both close frames were exchanged.
    pub closed: usize,
    /// Open connections that were cut, at the deadline or because the loop was stopped. Their peers
    /// were sent a close frame, but it is unknown what reached them.
    pub cut: usize,
    /// Open connections that ended in another way before that: their streams failed or ended, or
    /// the closing handshake exceeded its own deadline.
    pub lost: usize,
    /// Connections that were not open: clients that were refused with status 503, and client
    /// connections that were cancelled while they were being made.
    pub refused: usize,
    /// Events that were published and not handled because the loop was stopped or the deadline
    /// passed. They came from other threads, handlers and due timers. Timers that were not due are
    /// not counted.
    pub unhandled_events: usize,
    /// [Jobs](crate::Workers) that were accepted and whose results were not handled, because the
    /// loop was stopped or the deadline passed. Some of them may still be running.
    pub unfinished_jobs: usize,
    /// [Holds](crate::Hold) that existed when the loop ended.
    pub unreleased_holds: usize,
}

/// An event: an orderly shutdown of the loop has begun. It is published to the handlers that are
/// registered for it, which can finish what would hold the loop: answers that are given later, for
/// instance.
///
/// ```
/// use std::time::Duration;
/// use eventwire::{Config, EventLoop, HttpResponse, RequestId, ShutdownBegun};
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.on(|cx, _: &ShutdownBegun, waiting: &mut Vec<RequestId>| {
///     for request in waiting.drain(..) {
///         let _ = cx.respond(request, HttpResponse::new(503));
///     }
/// });
/// event_loop.handle().shutdown(Duration::from_secs(10));
/// event_loop.run(&mut Vec::new())?;
/// # Ok::<(), eventwire::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ShutdownBegun;

/// Why a loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunEnd {
    /// It was stopped, possibly during a shutdown.
    Stopped,
    /// It was shut down: every connection, job and hold has ended, or the deadline has passed.
    ShutDown,
}

/// The progress of a loop towards its end.
#[derive(Debug)]
pub(crate) struct Ending {
    /// A handler stopped the loop.
    pub(crate) stopped: bool,
    /// The shutdown is over.
    pub(crate) is_shut_down: bool,
    /// The listeners are closed, and the peers were sent close frames.
    pub(crate) begun: bool,
    /// The remaining connections are being cut.
    pub(crate) cutting: bool,
    /// Connections are not read from any more, those that open later included.
    pub(crate) stops_reading: bool,
    /// The deadline of a requested shutdown.
    pub(crate) deadline: Option<Time>,
    /// With what and over which time open connections are closed.
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
    pub(crate) spread: Duration,
    pub(crate) farewell: Farewell,
    pub(crate) summary: RunSummary,
}

impl Ending {
    pub(crate) const fn new() -> Self {
        let summary = RunSummary {
            end: RunEnd::Stopped,
            closed: 0,
            cut: 0,
            lost: 0,
            refused: 0,
            unhandled_events: 0,
            unfinished_jobs: 0,
            unreleased_holds: 0,
        };
        Self {
            stopped: false,
            is_shut_down: false,
            begun: false,
            cutting: false,
            stops_reading: false,
            deadline: None,
            code: CloseCode::GOING_AWAY,
            reason: String::new(),
            spread: Duration::ZERO,
            farewell: Farewell::new(),
            summary,
        }
    }

    /// Ends the loop after this turn.
    pub(crate) const fn stop(&mut self) {
        self.stopped = true;
    }

    /// Requests a shutdown. Of several requests, the earliest deadline applies, and otherwise the
    /// first one.
    pub(crate) fn shut_down(&mut self, now: Time, request: Shutdown) {
        /// Longer than any real shutdown, and short enough for every clock.
        const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);
        let deadline = now + request.deadline.min(LONGEST);
        if let Some(former) = self.deadline {
            self.deadline = Some(former.min(deadline));
            return;
        }
        self.deadline = Some(deadline);
        (self.code, self.reason) = (request.code, request.reason);
        self.spread = request.spread.min(LONGEST);
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.stopped || self.is_shut_down
    }

    /// Whether a shutdown was requested and has not begun.
    pub(crate) const fn is_due(&self) -> bool {
        self.deadline.is_some() && !self.begun
    }

    /// Whether the listeners are closed, and the peers were sent close frames.
    pub(crate) const fn has_begun(&self) -> bool {
        self.begun
    }

    /// Refuses what a loop that is shutting down does not begin.
    pub(crate) const fn check_serving(&self) -> Result<(), Error> {
        if self.begun { Err(Error::ShuttingDown) } else { Ok(()) }
    }

    /// When the shutdown is to begin, the next connection to be closed, or the loop to end.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let deadline = self.deadline?;
        if !self.begun {
            return Some(Time::BEGINNING);
        }
        Some(self.farewell.next_due().map_or(deadline, |due| due.min(deadline)))
    }

    /// Counts a connection in the summary when its slot is freed.
    pub(crate) fn count(&mut self, socket: &Socket) {
        if !self.begun || !socket.life.was_open() {
            return;
        }
        let counter = if socket.lingering.is_done() && socket.outbox.is_none() {
            &mut self.summary.closed
        } else if self.cutting {
            &mut self.summary.cut
        } else {
            &mut self.summary.lost
        };
        *counter += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_stands_and_none_is_too_far() {
        let (mut ending, now) = (Ending::new(), Time::BEGINNING);
        ending.shut_down(now, Duration::MAX.into());
        assert_eq!(ending.deadline(), Some(Time::BEGINNING), "it is to begin");
        ending.shut_down(now, Duration::from_secs(2).into());
        ending.shut_down(now + Duration::from_secs(1), Duration::from_secs(2).into());
        ending.begun = true;
        assert_eq!(ending.deadline(), Some(now + Duration::from_secs(2)));
    }
}
