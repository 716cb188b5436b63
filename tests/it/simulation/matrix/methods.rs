//! The methods of a handler, and what the connection at hand speaks.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Upgrade,
    Response,
    Request,
    Open,
    Message,
    Ping,
    Pong,
    Drained,
    Gap,
    Resumed,
    Close,
    ConnectError,
    Event,
    BatchEnd,
    Timer,
}

/// What the connection at hand speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    WebSocket,
    /// A raw stream, whose data is its messages.
    Stream,
    /// HTTP: its request is answered at once.
    Answered,
    /// HTTP: its request is answered once the action is done.
    Later,
    /// HTTP: its response is sent in pieces.
    Pieces,
    /// HTTP: its response is a stream of server-sent events.
    Events,
    /// Its request asks for a WebSocket, which opens once the action is done.
    Undecided,
}

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::WebSocket,
        Self::Stream,
        Self::Answered,
        Self::Later,
        Self::Pieces,
        Self::Events,
        Self::Undecided,
    ];

    /// The methods that are called for it.
    pub(super) const fn methods(self) -> &'static [At] {
        use At::*;
        match self {
            Self::WebSocket => &[
                Upgrade,
                Response,
                Open,
                Message,
                Ping,
                Pong,
                Drained,
                Gap,
                Resumed,
                Close,
                ConnectError,
                Event,
                BatchEnd,
                Timer,
            ],
            Self::Stream => {
                &[Open, Message, Drained, Gap, Resumed, Close, ConnectError, Event, BatchEnd, Timer]
            }
            Self::Answered => &[Request],
            Self::Later => &[Request, Event, BatchEnd, Timer],
            Self::Pieces | Self::Events => {
                &[Request, Open, Drained, Gap, Resumed, Close, Event, BatchEnd, Timer]
            }
            Self::Undecided => &[Upgrade, Open, Event, BatchEnd, Timer],
        }
    }

    /// Whether its request waits until the action is done.
    pub(super) const fn waits(self) -> bool {
        matches!(self, Self::Later | Self::Undecided)
    }
}

/// A method that is called for a kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) at: At,
}

impl Call {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let of = |kind: Kind| kind.methods().iter().map(move |&at| Self { kind, at });
        Kind::ALL.into_iter().flat_map(of)
    }

    /// Whether the connection at hand is open then.
    pub(super) const fn is_open(self) -> bool {
        match self.kind {
            Kind::Answered | Kind::Later => false,
            Kind::Undecided => matches!(self.at, At::Open),
            _ => !matches!(
                self.at,
                At::Upgrade | At::Response | At::Request | At::Close | At::ConnectError
            ),
        }
    }

    /// Whether it is subscribed already. Streams of events are when they open.
    pub(super) fn is_subscribed(self) -> bool {
        self.is_open() && (self.at != At::Open || self.kind == Kind::Events)
    }

    /// Whether it is tagged already.
    pub(super) fn is_tagged(self) -> bool {
        self.is_open() && self.at != At::Open
    }

    /// Whether the handler is asked for the answer to the request at hand.
    pub(super) const fn is_asked(self) -> bool {
        matches!(self.at, At::Upgrade | At::Request)
    }

    /// Whether the request at hand has no answer.
    pub(super) fn is_unanswered(self) -> bool {
        self.is_asked() || (self.kind.waits() && self.at != At::Open)
    }
}
