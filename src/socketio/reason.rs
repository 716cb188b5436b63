//! Why sockets are disconnected.

use std::fmt;

/// Why a socket was disconnected. [`as_str`](Self::as_str) is what Node's server calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The client left the namespace.
    ClientLeft,
    /// The application disconnected the client.
    Disconnected,
    /// The connection was closed: by the client, or by the application for all its namespaces.
    Closed,
    /// The connection was lost.
    Lost,
    /// The client did not answer a ping.
    PingTimeout,
    /// The client broke the protocol.
    Protocol,
    /// More waited for the client than may.
    Overflow,
    /// The server ends.
    ServerEnds,
    /// The application's handler panicked.
    Panicked,
}

impl DisconnectReason {
    /// The reason in the words of Node's server.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientLeft => "client namespace disconnect",
            Self::Disconnected => "server namespace disconnect",
            Self::Closed => "transport close",
            Self::Lost | Self::Overflow => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::Protocol => "parse error",
            Self::ServerEnds => "server shutting down",
            Self::Panicked => "forced close",
        }
    }

    /// Whether the client may recover.
    pub(super) const fn is_recoverable(self) -> bool {
        !matches!(self, Self::ClientLeft | Self::Disconnected)
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
