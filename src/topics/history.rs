//! How much of a topic's past is kept.

use std::time::Duration;

use crate::time::Time;

/// How many of a topic's last messages are kept for clients that come back and for those that come
/// late. All three limits hold: a message is gone when the first of them is exceeded.
///
/// A message that is gone may still take memory until the others that were sent together with it
/// are gone, too. The memory counts in
/// [`Config::max_topic_bytes`](crate::Config::max_topic_bytes). If all topics need more than that,
/// the oldest messages of all histories go first.
///
/// ```
/// use std::time::Duration;
/// use eventwire::History;
///
/// let history = History::of(1000).bytes(256 * 1024).age(Duration::from_secs(60));
/// # let _ = history;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    messages: u64,
    bytes: usize,
    age: Duration,
    is_latest: bool,
}

impl History {
    /// The last messages, that many at most.
    #[must_use]
    pub const fn of(messages: u64) -> Self {
        Self { messages, bytes: 1024 * 1024, age: Duration::from_secs(300), is_latest: false }
    }

    /// The latest message, for topics where each message replaces all before it: a price, a score,
    /// a document. A client that comes back gets that message if it has not got it, whatever it
    /// missed before; and so does one with a position of another epoch. Default: as
    /// [`of`](Self::of), and kept for any time.
    #[must_use]
    pub const fn latest() -> Self {
        Self { age: Duration::MAX, is_latest: true, ..Self::of(1) }
    }

    /// The most bytes of the messages with their frame headers, from 2 to 10 bytes each. Default: 1
    /// MiB, as much as waits for slow subscribers by default.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// How long a message is kept. Default: 5 minutes, longer than a restart of a program or of a
    /// telephone's network takes.
    #[must_use]
    pub const fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Whether it keeps nothing at all.
    pub(super) const fn is_empty(&self) -> bool {
        self.messages == 0 || self.bytes == 0 || self.age.is_zero()
    }

    /// Whether each message replaces all before it.
    pub(super) const fn is_latest(&self) -> bool {
        self.is_latest
    }

    /// The offset of the first message that is kept by its number, after that many messages.
    pub(super) const fn first_of(&self, count: u64) -> u64 {
        count.saturating_sub(self.messages) + 1
    }

    /// The most messages that are kept.
    #[must_use]
    pub const fn messages_max(&self) -> u64 {
        self.messages
    }

    /// The most bytes that are kept.
    #[must_use]
    pub const fn bytes_max(&self) -> usize {
        self.bytes
    }

    /// How long a message is kept.
    #[must_use]
    pub const fn age_max(&self) -> Duration {
        self.age
    }

    /// When the time of a message of that time is over.
    pub(super) fn expiry_of(&self, time: Time) -> Time {
        time + self.age
    }

    /// Whether a message of that time is kept.
    pub(super) fn keeps_since(&self, time: Time, now: Time) -> bool {
        now.since(time) < self.age
    }
}
