use std::sync::Arc;
use std::time::Duration;

use crate::proto::event_stream::HEARTBEAT;
use crate::proto::{CloseCode, Limits, State, TimedOut, Workspace};
use crate::time::Time;

/// The end of a body in chunks (RFC 9112 §7.1).
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The rest of a connection whose last response is sent in pieces, without I/O.
///
/// Its states are those of a WebSocket. Nothing of the client is awaited but its end:
///
/// ```text
///  Open ──close──► Closing ──the client's end──► Closed
///   │                 │                            ▲
///   └─────────────────┴── terminate, deadline ─────┘
/// ```
#[derive(Debug)]
pub(crate) struct ResponseStream {
    limits: Arc<Limits>,
    body: Body,
    state: State,
    /// Bytes that came behind the request.
    late: u32,
    /// What the time is counted from: the last heartbeat or output, or the begin of closing.
    since: Time,
    /// The time between two heartbeats, or the longest time without output.
    interval: Option<Duration>,
}

/// How the body of a streamed response is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// In chunks.
    Chunks,
    /// As it is: it ends with the stream, because the client knows no chunks.
    UntilClose,
    /// As server-sent events. They end with the stream.
    Events,
    /// The same, where broadcasts have the names of their topics.
    NamedEvents,
}

impl Body {
    pub(crate) const fn is_events(self) -> bool {
        matches!(self, Self::Events | Self::NamedEvents)
    }
}

impl ResponseStream {
    /// How many bytes a client may send behind its last request. They are not handled (RFC 9112
    /// §9.6).
    pub(crate) const LATE_BYTES_MAX: usize = 64 * 1024;

    /// A response whose head was written.
    pub(crate) const fn new(
        body: Body,
        interval: Option<Duration>,
        limits: Arc<Limits>,
        now: Time,
    ) -> Self {
        Self { limits, body, state: State::Open, late: 0, since: now, interval }
    }

    pub(crate) const fn body(&self) -> Body {
        self.body
    }

    #[inline]
    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// Notes that something is sent.
    pub(crate) const fn note_output(&mut self, now: Time) {
        if !self.body.is_events() {
            self.since = now;
        }
    }

    /// Counts bytes that the client has sent behind its request; whether it may.
    pub(crate) fn admit_late(&mut self, count: usize) -> bool {
        self.late = self.late.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.late as usize <= Self::LATE_BYTES_MAX
    }

    /// Ends the response. With any code but [`CloseCode::NORMAL`] a body in chunks has no end, so
    /// that the client knows that it is incomplete.
    pub(crate) fn close(&mut self, code: CloseCode, work: &mut Workspace<'_>) {
        if self.state == State::Open {
            if self.body == Body::Chunks && code == CloseCode::NORMAL {
                work.out.extend_from_slice(LAST_CHUNK);
            }
            self.enter(State::Closing, work.now);
        }
    }

    /// Ends it: the client's end is all that is awaited.
    pub(crate) const fn terminate(&mut self, now: Time) {
        self.enter(State::Closed, now);
    }

    const fn enter(&mut self, state: State, now: Time) {
        self.state = state;
        self.since = now;
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Connecting | State::Open => self.since.checked_add(self.interval?),
            State::Closing | State::Closed => self.since.checked_add(self.limits.closing_time()),
        }
    }

    /// The client took some of the output.
    pub(crate) fn note_progress(&mut self, now: Time) {
        if self.state != State::Open || !self.body.is_events() {
            self.since = now;
        }
    }

    /// Acts on the deadline, if it has come.
    ///
    /// # Errors
    ///
    /// The deadline that was missed, by the application or by the client.
    pub(crate) fn handle_timeout(&mut self, work: &mut Workspace<'_>) -> Result<(), TimedOut> {
        if self.deadline().is_none_or(|deadline| work.now < deadline) {
            return Ok(());
        }
        let missed = match self.state {
            State::Open if self.body.is_events() => {
                work.out.extend_from_slice(HEARTBEAT);
                self.since = work.now;
                return Ok(());
            }
            State::Connecting | State::Open => TimedOut::Response,
            State::Closing | State::Closed => TimedOut::Close,
        };
        self.terminate(work.now);
        Err(missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{BufferPool, MaskKeys};

    const SECOND: Duration = Duration::from_secs(1);

    fn begun(body: Body) -> ResponseStream {
        let limits = Arc::new(Limits::default().close_timeout(2 * SECOND));
        ResponseStream::new(body, Some(SECOND), limits, Time::BEGINNING)
    }

    /// What `act` returns and writes at that time.
    fn at<T>(now: Time, act: impl FnOnce(&mut Workspace<'_>) -> T) -> (T, String) {
        let (mut out, mut pool) = (Vec::new(), BufferPool::default());
        let mut mask_keys = MaskKeys::new(|bytes: &mut [u8]| bytes.fill(0));
        let mut work = Workspace { out: &mut out, mask_keys: &mut mask_keys, pool: &mut pool, now };
        let value = act(&mut work);
        (value, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_body_in_chunks_has_an_end_if_it_is_whole() {
        for (body, code, end) in [
            (Body::Chunks, CloseCode::NORMAL, "0\r\n\r\n"),
            (Body::Chunks, CloseCode::INTERNAL, ""),
            (Body::Chunks, CloseCode::GOING_AWAY, ""),
            (Body::UntilClose, CloseCode::NORMAL, ""),
            (Body::Events, CloseCode::NORMAL, ""),
        ] {
            let mut stream = begun(body);
            assert_eq!(at(Time::BEGINNING, |work| stream.close(code, work)).1, end);
            assert_eq!(stream.state(), State::Closing);
            assert_eq!(at(Time::BEGINNING, |work| stream.close(code, work)).1, "", "once");
            let late = Time::BEGINNING + 2 * SECOND;
            let timed_out = at(late, |work| stream.handle_timeout(work)).0;
            assert_eq!((timed_out, stream.state()), (Err(TimedOut::Close), State::Closed));
        }
    }

    #[test]
    fn an_application_that_sends_nothing_misses_its_deadline() {
        let mut stream = begun(Body::Chunks);
        stream.note_output(Time::BEGINNING + SECOND / 2);
        let early = at(Time::BEGINNING + SECOND, |work| stream.handle_timeout(work));
        assert_eq!(early, (Ok(()), String::new()));
        let late = at(Time::BEGINNING + 2 * SECOND, |work| stream.handle_timeout(work));
        assert_eq!(late, (Err(TimedOut::Response), String::new()));
        assert_eq!(stream.state(), State::Closed);
    }

    #[test]
    fn events_have_heartbeats() {
        let mut stream = begun(Body::Events);
        for beat in 1..4 {
            let due = Time::BEGINNING + beat * SECOND;
            assert_eq!(stream.deadline(), Some(due));
            stream.note_output(due);
            let written = at(due, |work| stream.handle_timeout(work));
            assert_eq!(written, (Ok(()), ":\n\n".to_owned()));
        }
    }

    #[test]
    fn a_client_may_send_little_behind_its_request() {
        let mut stream = begun(Body::Events);
        assert!(stream.admit_late(64 * 1024) && !stream.admit_late(1));
        assert!(!begun(Body::Events).admit_late(usize::MAX));
    }
}
