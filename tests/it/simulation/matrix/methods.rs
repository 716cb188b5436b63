//! The methods of a handler, and what the connection at hand speaks.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Upgrade,
    Response,
    Open,
    Message,
    Ping,
    Pong,
    Drained,
    Gap,
    Close,
    ConnectError,
    Event,
    BatchEnd,
    Timer,
}

impl At {
    pub(super) const ALL: [Self; 13] = [
        Self::Upgrade,
        Self::Response,
        Self::Open,
        Self::Message,
        Self::Ping,
        Self::Pong,
        Self::Drained,
        Self::Gap,
        Self::Close,
        Self::ConnectError,
        Self::Event,
        Self::BatchEnd,
        Self::Timer,
    ];

    /// Whether the connection that this is about is open then.
    pub(super) fn is_open(self) -> bool {
        !matches!(self, Self::Upgrade | Self::Response | Self::Close | Self::ConnectError)
    }

    /// Whether it is subscribed already.
    pub(super) fn is_subscribed(self) -> bool {
        self.is_open() && self != Self::Open
    }

    /// Whether it is tagged already.
    pub(super) fn is_tagged(self) -> bool {
        self.is_subscribed()
    }
}

/// What the connection at hand speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    WebSocket,
    /// A raw stream, whose data is its messages.
    Stream,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::WebSocket, Self::Stream];

    /// Whether its handler has this method.
    pub(super) fn has(self, at: At) -> bool {
        self == Self::WebSocket || !matches!(at, At::Upgrade | At::Response | At::Ping | At::Pong)
    }
}
