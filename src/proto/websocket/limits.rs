use std::time::Duration;

use crate::proto::http::HeadLimits;

/// What one connection may cost: sizes, rates and times, each with a default and its reason.
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
    /// Limits of the opening handshake's head. Default: 16 KiB in all, 8 KiB a line, 100 headers,
    /// which passes real cookies.
    #[must_use]
    pub const fn head(mut self, limits: HeadLimits) -> Self {
        self.head = limits;
        self
    }

    /// The longest message that is received, in bytes. Default: 1 MiB, more than chat, feeds and
    /// control traffic need, and little enough to be held for many connections at once.
    ///
    /// A longer message ends the connection with close code 1009 as soon as it is known to be.
    /// One that arrives compressed may be no longer when it is decompressed, and before that by
    /// an eighth at most.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.message = bytes;
        self
    }

    /// The longest frame that is received, in bytes. Default: as long as a message.
    #[must_use]
    pub const fn max_frame(mut self, bytes: usize) -> Self {
        self.frame = Some(bytes);
        self
    }

    /// The most fragments that one message may come in. Default: one for each 64 bytes of the
    /// longest message, at least 16. Fragments cost time, not memory: none is kept by itself.
    #[must_use]
    pub const fn max_fragments(mut self, count: usize) -> Self {
        self.fragments = Some(count);
        self
    }

    /// How many control frames (and empty fragments) a peer may send in a second, and at once.
    /// Default: 100 a second, 200 at once. More ends the connection with close code 1008. Pongs
    /// that were asked for do not count: as many as there were pings.
    #[must_use]
    pub const fn control_rate(mut self, per_second: u32, burst: u32) -> Self {
        self.control_rate = per_second;
        self.control_burst = burst;
        self
    }

    /// How long the opening handshake may take, from the first moment, whatever arrives
    /// meanwhile. Default: 10 s. A server answers a request that has begun with 408; a connection
    /// on which nothing was asked ends in silence, for browsers connect ahead of need.
    ///
    /// A connection that is kept alive after a plain request was answered has as long until the
    /// first byte of the next, and each such request as long from there on.
    #[must_use]
    pub const fn handshake_timeout(mut self, time: Duration) -> Self {
        self.handshake_timeout = time;
        self
    }

    /// How long a message may stay unfinished without progress, which is 64 KiB more of its
    /// payload. Default: 60 s. Longer ends the connection with close code 1008.
    ///
    /// So a message of up to 64 KiB has this time in all, whatever arrives of it meanwhile; a
    /// longer one must come at 64 KiB in this time at least, by default about 1 KiB a second. In
    /// all it may take this time once, and once more for each 64 KiB of the longest message
    /// ([`max_message`](Self::max_message)): by default 17 minutes.
    #[must_use]
    pub const fn message_timeout(mut self, time: Duration) -> Self {
        self.message_timeout = time;
        self
    }

    /// After how long a silence the peer is pinged; `None`: never, and a peer that vanished is
    /// noticed only by sending to it. Default: 25 s, under the 60 s after which proxies cut.
    #[must_use]
    pub const fn ping_interval(mut self, time: Option<Duration>) -> Self {
        self.ping_interval = time;
        self
    }

    /// How long after that ping the peer counts as gone, when nothing arrives. Default: 10 s.
    #[must_use]
    pub const fn pong_timeout(mut self, time: Duration) -> Self {
        self.pong_timeout = time;
        self
    }

    /// How long the closing handshake may take, and the end of the stream where it is waited for.
    /// Default: 5 s.
    ///
    /// A server waits for nothing once both close frames were exchanged: it ends TCP then
    /// (RFC 6455 §7.1.1), and a client waits for that. After a refusal or a violation it ends its
    /// half of the stream and waits for the peer's end. What was queued before still leaves: the
    /// time counts from when the peer last took some of that.
    ///
    /// Meanwhile 64 KiB of what the peer sends are read and thrown away, and while the answer to
    /// the application's close is awaited 16 MiB and the longest message, which may have been on
    /// their way. A peer that sends more is cut.
    #[must_use]
    pub const fn close_timeout(mut self, time: Duration) -> Self {
        self.close_timeout = time;
        self
    }

    /// Limits of the opening handshake's head.
    #[must_use]
    pub const fn head_limits(&self) -> &HeadLimits {
        &self.head
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

    /// The longest message as it arrives. Compression makes what has no order in it longer: with
    /// the codes that RFC 1951 §3.2.6 fixes, by an eighth.
    pub(super) const fn arriving_message(&self, compressed: bool) -> usize {
        let allowance = if compressed { self.message / 8 + 64 } else { 0 };
        self.message.saturating_add(allowance)
    }

    /// The longest frame as it arrives.
    pub(super) const fn arriving_frame(&self, compressed: bool) -> usize {
        match self.frame {
            Some(bytes) => bytes,
            None => self.arriving_message(compressed),
        }
    }

    /// The longest message that can be taken from where it arrived, as one frame.
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
