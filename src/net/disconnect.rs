use std::{fmt, io};

use crate::proto::handshake::{HandshakeError, RedirectError, Refused};
use crate::proto::{CloseCode, ProtocolError, TimedOut};
use crate::rates::{LimitKind, LimitScope};

/// Who ended an open connection, and why. Its handler learns it exactly once.
#[derive(Debug)]
#[non_exhaustive]
pub enum Disconnect {
    /// The application closed it, or stopped the loop.
    ClosedByApplication {
        /// The code that was sent. A raw stream sends none: it is the one that was given.
        code: CloseCode,
    },
    /// The peer closed it in order.
    ClosedByPeer {
        /// Its close code, if it sent one.
        code: Option<CloseCode>,
        /// Its reason; empty if it sent none.
        reason: String,
    },
    /// The peer of a raw stream ended its half in order. What was queued before is still sent.
    EndOfStream {
        /// How many bytes at the end its handler had not used, of an unfinished line for instance.
        unused: usize,
    },
    /// The stream failed, or the peer of a WebSocket ended its half without a close frame
    /// (`UnexpectedEof`). In the latter case, what was queued before is still sent.
    Io(io::Error),
    /// The peer read too slowly: its output exceeded the outbox's limits. It was sent close code
    /// 1013. A raw stream was cut.
    Overflow,
    /// All connections of the loop together exceeded a limit on memory, and this one held some of
    /// it without progress, or asked for more than its share. Its peer was sent close code 1013,
    /// unless more than 64 KiB of an unfinished frame was still to be sent: then it was cut. A raw
    /// stream was cut for its output, and closed for its input.
    MemoryPressure(MemoryLimit),
    /// The handler of a raw stream said that it had used more bytes than it was lent, which is a
    /// mistake of the handler. The stream was closed.
    OverusedInput {
        /// How many bytes it said that it had used.
        used: usize,
        /// How many it was lent.
        lent: usize,
    },
    /// The connection's handler panicked. The peer was sent close code 1011.
    Panicked {
        /// The panic's message; the panic hook has printed it too.
        message: String,
    },
    /// The peer broke the protocol or a limit. It was sent the error's close code.
    Protocol(ProtocolError),
    /// More arrived than the [limits](crate::RateLimits) of its address or a tag allow. The peer
    /// was sent close code 1008. A raw stream was closed.
    RateLimited {
        /// Whether the limits are those of its address or a tag.
        scope: LimitScope,
        /// What there was too much of.
        kind: LimitKind,
    },
    /// The peer missed a deadline.
    TimedOut(TimedOut),
    /// The peer of a raw stream sent more than its handler used: an endless line for instance. The
    /// stream was closed.
    UnusedInput {
        /// The limit, [`StreamConfig::max_kept`](crate::StreamConfig::max_kept).
        limit: usize,
    },
}

/// A limit on the memory of all connections of a loop together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryLimit {
    /// [`Config::max_inbound`](crate::Config::max_inbound).
    Inbound,
    /// [`Config::max_outbound`](crate::Config::max_outbound).
    Outbound,
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClosedByApplication { code } => write!(f, "closed by the application: {code}"),
            Self::ClosedByPeer { code: None, .. } => f.write_str("closed by the peer"),
            Self::ClosedByPeer { code: Some(code), reason } if reason.is_empty() => {
                write!(f, "closed by the peer: {code}")
            }
            Self::ClosedByPeer { code: Some(code), reason } => {
                write!(f, "closed by the peer: {code} {reason:?}")
            }
            Self::EndOfStream { unused: 0 } => f.write_str("the peer ended the stream"),
            Self::EndOfStream { unused } => {
                write!(f, "the peer ended the stream after {unused} unused bytes")
            }
            Self::Io(error) => write!(f, "stream failed: {error}"),
            Self::OverusedInput { used, lent } => {
                write!(f, "the handler used {used} of {lent} bytes")
            }
            Self::UnusedInput { limit } => {
                write!(f, "more than {limit} bytes of input were left unused")
            }
            Self::Panicked { message } => write!(f, "the handler panicked: {message}"),
            Self::Overflow => f.write_str("the peer reads too slowly"),
            Self::MemoryPressure(MemoryLimit::Inbound) => {
                f.write_str("unfinished messages take too much memory")
            }
            Self::MemoryPressure(MemoryLimit::Outbound) => {
                f.write_str("queued output takes too much memory")
            }
            Self::Protocol(error) => write!(f, "the peer broke the protocol: {error}"),
            Self::RateLimited { scope, kind } => write!(f, "{kind} for the {scope}"),
            Self::TimedOut(TimedOut::Handshake) => f.write_str("opening handshake timed out"),
            Self::TimedOut(TimedOut::Response) => f.write_str("no response in time"),
            Self::TimedOut(TimedOut::Message) => f.write_str("message left unfinished"),
            Self::TimedOut(TimedOut::Pong) => f.write_str("the peer is silent"),
            Self::TimedOut(TimedOut::Idle) => f.write_str("the stream is idle"),
            Self::TimedOut(TimedOut::Close) => f.write_str("closing handshake timed out"),
        }
    }
}

/// Why a connection that this program tried to make never opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The application closed it, or stopped the loop, before it was open.
    Cancelled,
    /// The response of the server, or of its proxy, is invalid, or it ended the connection before
    /// its response was complete.
    Handshake(HandshakeError),
    /// The server refused: the status of its response is not 101.
    Refused(Box<Refused>),
    /// The handler panicked in [`on_response`](crate::WebSocketHandler::on_response).
    Panicked {
        /// The panic's message; the panic hook has printed it too.
        message: String,
    },
    /// A redirect was not followed. Only with [`ClientConfig::redirects`](crate::ClientConfig).
    Redirect(RedirectError),
    /// The proxy refused to open a tunnel to the server: the status of its response is not 2xx. For
    /// instance 407, if it requires other [`credentials`](crate::HttpProxy::credentials).
    Proxy(Box<Refused>),
    /// The name was not resolved, no connection was made, or it failed before it was open.
    Io(io::Error),
    /// It took longer than the handshake timeout, and no response has come.
    TimedOut,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled before the connection was open"),
            Self::Handshake(error) => write!(f, "opening handshake failed: {error}"),
            Self::Refused(refused) => write!(f, "refused with status {}", refused.status()),
            Self::Panicked { message } => write!(f, "the handler panicked: {message}"),
            Self::Redirect(error) => error.fmt(f),
            Self::Proxy(refused) => {
                write!(f, "the proxy refused with status {}", refused.status())
            }
            Self::Io(error) => write!(f, "cannot connect: {error}"),
            Self::TimedOut => f.write_str("connecting took too long"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Handshake(error) => Some(error),
            Self::Redirect(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Cancelled
            | Self::Panicked { .. }
            | Self::Proxy(_)
            | Self::Refused(_)
            | Self::TimedOut => None,
        }
    }
}
