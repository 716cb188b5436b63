use std::time::Duration;

use crate::proto::http::HeadLimits;

/// The limits of one connection: sizes, rates and times, each with its default and reason.
///
/// ```
/// use eventwire::proto::Limits;
///
/// let limits = Limits::default().max_message(64 * 1024);
/// assert_eq!(limits.message(), 65_536);
/// assert_eq!(limits.fragments(), 1_024); // follows the message size
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    pub(super) head: HeadLimits,
    pub(super) body: usize,
    pub(super) body_timeout: Duration,
    pub(super) message: usize,
    pub(super) frame: Option<usize>,
    pub(super) fragments: Option<usize>,
    pub(super) control_rate: u32,
    pub(super) control_burst: u32,
    pub(super) handshake_timeout: Duration,
    pub(super) message_timeout: Duration,
    pub(super) ping_interval: Option<Duration>,
    pub(super) pong_timeout: Duration,
    pub(super) close_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: HeadLimits::default(),
            body: 64 * 1024,
            body_timeout: Duration::from_secs(30),
            message: 1024 * 1024,
            frame: None,
            fragments: None,
            control_rate: 100,
            control_burst: 200,
            handshake_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(60),
            ping_interval: Some(Duration::from_secs(25)),
            pong_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// The limits of the opening handshake's head. Default: 16 KiB in all, 8 KiB a line and 100
    /// headers, enough for real cookies.
    #[must_use]
    pub const fn head(mut self, limits: HeadLimits) -> Self {
        self.head = limits;
        self
    }

    /// The longest body of an HTTP request, in bytes. Default: 64 KiB, more than forms and
    /// application programming interfaces need. A longer one is refused with 413 as soon as its
    /// excess is known, and the connection ends.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.body = bytes;
        self
    }

    /// How long the body of an HTTP request may take, from the end of its head. Default: 30 s, so
    /// that 64 KiB may come at 18 kbit/s. When the time is over, the request is refused with 408.
    #[must_use]
    pub const fn body_timeout(mut self, time: Duration) -> Self {
        self.body_timeout = time;
        self
    }

    /// The longest received message, in bytes. Default: 1 MiB, more than chat, feeds and control
    /// traffic need, and little enough for many connections at once.
    ///
    /// A longer message ends the connection with close code 1009 as soon as its excess is known. A
    /// compressed message may be this long when it is decompressed, and an eighth longer as it
    /// arrives.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.message = bytes;
        self
    }

    /// The longest received frame, in bytes. Default: as long as a message.
    #[must_use]
    pub const fn max_frame(mut self, bytes: usize) -> Self {
        self.frame = Some(bytes);
        self
    }

    /// The most fragments of one message. Default: one for each 64 bytes of the longest message, at
    /// least 16. Fragments cost time but no memory, because they are joined as they arrive.
    #[must_use]
    pub const fn max_fragments(mut self, count: usize) -> Self {
        self.fragments = Some(count);
        self
    }

    /// How many control frames and empty fragments a peer may send per second, and at once.
    /// Default: 100 per second, 200 at once. More of them end the connection with close code 1008.
    /// As many pongs as this end sent pings are not counted.
    #[must_use]
    pub const fn control_rate(mut self, per_second: u32, burst: u32) -> Self {
        self.control_rate = per_second;
        self.control_burst = burst;
        self
    }

    /// How long the opening handshake may take, from the start of the connection. Default: 10 s.
    ///
    /// When the time is over, a server responds to an incomplete request with 408. Without any part
    /// of a request it ends the connection without a response, because browsers connect ahead of
    /// need.
    ///
    /// After the response to a plain HTTP request, the next request must begin within the same
    /// time, and be complete within the same time from its first byte.
    #[must_use]
    pub const fn handshake_timeout(mut self, time: Duration) -> Self {
        self.handshake_timeout = time;
        self
    }

    /// How long a message may stay unfinished without progress. Progress is 64 KiB more of its
    /// payload. Default: 60 s. After that the connection ends with close code 1008.
    ///
    /// So a message of up to 64 KiB must be whole within this time. A longer one must arrive at
    /// 64 KiB or more in this time, by default about 1 KiB per second. The longest message
    /// ([`max_message`](Self::max_message)) may take this time once, and once more for each of its
    /// 64 KiB: by default 17 minutes.
    #[must_use]
    pub const fn message_timeout(mut self, time: Duration) -> Self {
        self.message_timeout = time;
        self
    }

    /// How long the peer may be silent before it is pinged. Default: 25 s, less than the 60 s after
    /// which proxies end idle connections. With `None` it is never pinged, and a lost peer is
    /// noticed only when something is sent to it.
    #[must_use]
    pub const fn ping_interval(mut self, time: Option<Duration>) -> Self {
        self.ping_interval = time;
        self
    }

    /// How long after that ping the peer counts as lost, if nothing arrives. Default: 10 s.
    #[must_use]
    pub const fn pong_timeout(mut self, time: Duration) -> Self {
        self.pong_timeout = time;
        self
    }

    /// How long the closing handshake may take, and how long this end waits for the end of the
    /// stream. Default: 5 s. Queued output is still sent, and the time starts again whenever the
    /// peer takes some of it.
    ///
    /// After both close frames a server ends the TCP connection at once (RFC 6455 §7.1.1), and a
    /// client waits for that. After a refusal or a violation a server ends its half of the stream
    /// and waits for the peer to end the other.
    ///
    /// During this time up to 64 KiB from the peer are read and discarded. After the application
    /// has closed the connection, up to 16 MiB and the longest message are, because the peer may
    /// have sent them before. If the peer sends more, it is disconnected at once.
    #[must_use]
    pub const fn close_timeout(mut self, time: Duration) -> Self {
        self.close_timeout = time;
        self
    }

    pub(crate) const fn closing_time(&self) -> Duration {
        self.close_timeout
    }

    /// The limits of the opening handshake's head.
    #[must_use]
    pub const fn head_limits(&self) -> &HeadLimits {
        &self.head
    }

    /// The longest body of an HTTP request, in bytes.
    #[must_use]
    pub const fn body(&self) -> usize {
        self.body
    }

    /// The longest message, in bytes.
    #[must_use]
    pub const fn message(&self) -> usize {
        self.message
    }

    /// The longest frame, in bytes.
    #[must_use]
    pub const fn frame(&self) -> usize {
        match self.frame {
            Some(bytes) => bytes,
            None => self.message,
        }
    }

    /// The longest message as it arrives, in bytes. Compression makes random bytes longer: with the
    /// fixed codes of RFC 1951 §3.2.6 by an eighth.
    pub(super) const fn arriving_message(&self, compressed: bool) -> usize {
        let allowance = if compressed { self.message / 8 + 64 } else { 0 };
        self.message.saturating_add(allowance)
    }

    /// The longest frame as it arrives, in bytes.
    pub(super) const fn arriving_frame(&self, compressed: bool) -> usize {
        match self.frame {
            Some(bytes) => bytes,
            None => self.arriving_message(compressed),
        }
    }

    /// The longest message that arrives in one frame, in bytes.
    #[inline]
    pub(super) fn arriving_whole(&self, compressed: bool) -> usize {
        self.arriving_frame(compressed).min(self.arriving_message(compressed))
    }

    /// The most fragments of one message.
    #[must_use]
    pub const fn fragments(&self) -> usize {
        match self.fragments {
            Some(count) => count,
            None if self.message / 64 < 16 => 16,
            None => self.message / 64,
        }
    }
}
