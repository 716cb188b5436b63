use std::fmt;

use crate::queue::TimerKey;
use crate::slots::Key;

/// Names a connection of one loop. Outlives it harmlessly: a stale one is refused, and never
/// reaches another connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) Key);

/// Names a topic of one loop. A removed topic's is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub(crate) Key);

/// Names a listener of one loop. A closed listener's is refused, and never names another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub(crate) Key);

/// Names a timer of one loop. Refused once its event has arrived, or it was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub(crate) TimerKey);

impl ConnectionId {
    /// A number that no other connection of this loop has, for logs, and to take along where only
    /// a number fits.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.to_bits()
    }

    /// The id that [`to_bits`](Self::to_bits) gave. Any other number names no connection, or one
    /// that the caller may not have meant.
    ///
    /// ```
    /// use eventwire::ConnectionId;
    ///
    /// fn parse(field: &str) -> Option<ConnectionId> {
    ///     field.parse().ok().map(ConnectionId::from_bits)
    /// }
    /// # let id = ConnectionId::from_bits(7);
    /// # assert_eq!(parse(&id.to_bits().to_string()), Some(id));
    /// ```
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(Key::from_bits(bits))
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({}.{})", self.0.index(), self.0.generation())
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.index(), self.0.generation())
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicId({}.{})", self.0.index(), self.0.generation())
    }
}

impl fmt::Debug for ListenerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListenerId({}.{})", self.0.index(), self.0.generation())
    }
}

impl fmt::Debug for TimerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TimerKey { queue, key } = self.0;
        write!(f, "TimerId({queue}.{}.{})", key.index(), key.generation())
    }
}
