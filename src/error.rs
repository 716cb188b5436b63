use std::{fmt, io};

use crate::proto::handshake::UrlError;
use crate::proto::http::InvalidHeader;
use crate::queue::PublishError;

/// A request of the caller that cannot be granted, or a failure of the system.
///
/// Mistakes of peers are not among these: they end the peer's connection, and its handler gets a
/// [`Disconnect`](crate::Disconnect) or a [`ConnectError`](crate::ConnectError).
///
/// The other errors of the crate turn into this one by `?`, so that a `main` or a set-up function
/// needs no other type:
///
/// ```
/// use eventwire::{Config, EventLoop};
///
/// struct Tick;
///
/// fn start() -> Result<(), eventwire::Error> {
///     let mut event_loop = EventLoop::new(Config::default())?;
///     event_loop.on(|cx, _: &Tick, _| cx.stop());
///     event_loop.publisher().publish(Tick)?;
///     event_loop.run(&mut ())?;
///     Ok(())
/// }
/// # start().expect("nothing fails");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The system refused something.
    Io {
        /// What was tried, as a phrase: "listen on 127.0.0.1:80".
        action: String,
        /// What the system said.
        source: io::Error,
    },
    /// The URL to connect to is not one.
    Url(UrlError),
    /// A header or subprotocol of the configuration cannot be written.
    Header(InvalidHeader),
    /// A path of [`Routes`](crate::Routes) is none that a request can have, or is there twice.
    InvalidRoute(String),
    /// A topic's name is too long, or there are as many topics as the configuration allows.
    TopicLimit,
    /// There are as many connections as the configuration allows.
    ConnectionLimit,
    /// The loop is shutting down, or has ended.
    ShuttingDown,
    /// An event was not published: [`PublishError`], without its event.
    Publish(PublishError<()>),
    /// A connection was not subscribed to a topic.
    Subscribe(SubscribeError),
}

impl Error {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { action: action.into(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, source } => write!(f, "cannot {action}: {source}"),
            Self::Url(error) => error.fmt(f),
            Self::Header(error) => error.fmt(f),
            Self::InvalidRoute(path) => write!(f, "no path for a route, or taken: {path:?}"),
            Self::TopicLimit => f.write_str("topic name too long, or too many topics"),
            Self::ConnectionLimit => f.write_str("too many connections"),
            Self::ShuttingDown => f.write_str("the event loop is shutting down"),
            Self::Publish(error) => error.fmt(f),
            Self::Subscribe(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Url(error) => Some(error),
            Self::Header(error) => Some(error),
            Self::Publish(error) => Some(error),
            Self::Subscribe(error) => Some(error),
            Self::InvalidRoute(_)
            | Self::TopicLimit
            | Self::ConnectionLimit
            | Self::ShuttingDown => None,
        }
    }
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

impl From<InvalidHeader> for Error {
    fn from(error: InvalidHeader) -> Self {
        Self::Header(error)
    }
}

impl<E> From<PublishError<E>> for Error {
    /// Leaves the event behind.
    fn from(error: PublishError<E>) -> Self {
        Self::Publish(match error {
            PublishError::Full(_) => PublishError::Full(()),
            PublishError::Closed(_) => PublishError::Closed(()),
            PublishError::NoHandler(_) => PublishError::NoHandler(()),
        })
    }
}

impl From<SubscribeError> for Error {
    fn from(error: SubscribeError) -> Self {
        Self::Subscribe(error)
    }
}

/// Why a connection was not subscribed to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The connection is gone, or not open.
    ConnectionGone,
    /// The connection is subscribed to as many topics as the configuration allows.
    TooMany,
    /// The topic is gone.
    TopicGone,
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectionGone => "the connection is not open",
            Self::TooMany => "the connection is subscribed to too many topics",
            Self::TopicGone => "there is no such topic",
        })
    }
}

impl std::error::Error for SubscribeError {}
