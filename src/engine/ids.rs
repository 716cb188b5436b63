use std::fmt;

use crate::queue::TimerKey;
use crate::slots::Key;

/// Names a connection of one loop. Once the connection is gone, its id is refused. It never refers
/// to another connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) Key);

/// Names a topic of one loop. The id of a removed topic is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub(crate) Key);

/// Names a listener of one loop. The id of a closed listener is refused. It never refers to another
/// listener.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub(crate) Key);

/// Names an endpoint of one loop: a handler with its configuration, registered once for any number
/// of connections. The id of a removed endpoint is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub(crate) Key);

/// Names a client that reconnects: it stays the same for all its connections
/// ([`ClientConfig::reconnect`](crate::ClientConfig::reconnect)). The id of a link that is gone is
/// refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) Key);

/// Names a timer of one loop. Refused once the timer's event has arrived or the timer was
/// cancelled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub(crate) TimerKey);

impl ConnectionId {
    /// The id as a number, unique within the loop, for logs and for interfaces that carry only a
    /// number.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.to_bits()
    }

    /// The id of a number that [`to_bits`](Self::to_bits) returned. Any other number names no
    /// connection, or an arbitrary one.
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

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointId({}.{})", self.0.index(), self.0.generation())
    }
}

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkId({}.{})", self.0.index(), self.0.generation())
    }
}

impl fmt::Debug for TimerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TimerKey { queue, key } = self.0;
        write!(f, "TimerId({queue}.{}.{})", key.index(), key.generation())
    }
}
