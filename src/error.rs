use std::{fmt, io};

use crate::journal::StorageError;
use crate::proto::handshake::UrlError;
use crate::proto::http::{CorsError, InvalidHeader, InvalidRoute};
use crate::queue::PublishError;
use crate::tags::TagError;
use crate::topics::InvalidTopicConfig;

/// The caller's request cannot be granted, or a system call failed.
///
/// A peer's mistake is not an `Error`: it ends the peer's connection, and the handler gets a
/// [`Disconnect`](crate::Disconnect) or a [`ConnectError`](crate::ConnectError).
///
/// The operator `?` converts the crate's other errors into this one, so a `main` or a set-up
/// function needs no other type:
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
    /// A system call failed.
    Io {
        /// What was attempted, as a phrase: "listen on 127.0.0.1:80".
        action: String,
        /// The system's error.
        source: io::Error,
    },
    /// The URL to connect to is invalid.
    Url(UrlError),
    /// A header or subprotocol of the configuration is invalid.
    Header(InvalidHeader),
    /// A route of [`Routes`](crate::Routes) is invalid, or matches the same requests as another.
    InvalidRoute(InvalidRoute),
    /// The configuration of topics is invalid.
    TopicConfig(InvalidTopicConfig),
    /// A configuration for pages of other origins is invalid.
    Cors(CorsError),
    /// The journal cannot be used.
    Journal(StorageError),
    /// The topic is [durable](crate::TopicConfig::durable), and the loop has no
    /// [journal](crate::EventLoop::journal).
    NoJournal,
    /// The loop has a journal.
    HasJournal,
    /// A topic's name is longer than 256 bytes, or there are as many topics as
    /// [`Config::max_topics`](crate::Config::max_topics) allows.
    TopicLimit,
    /// There are as many connections as
    /// [`Config::max_connections`](crate::Config::max_connections) allows.
    ConnectionLimit,
    /// There is no such endpoint. It was removed, or is one of another loop.
    UnknownEndpoint,
    /// The endpoint is of another kind: a client's cannot listen, and a server's cannot connect.
    WrongEndpoint,
    /// There is no such listener. It was closed, or is one of another loop.
    UnknownListener,
    /// The loop is shutting down, or has ended.
    ShuttingDown,
    /// An event was not published: a [`PublishError`] without the event.
    Publish(PublishError<()>),
    /// A connection was not subscribed to a topic.
    Subscribe(SubscribeError),
    /// A connection was not tagged.
    Tag(TagError),
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
            Self::InvalidRoute(error) => error.fmt(f),
            Self::TopicConfig(error) => error.fmt(f),
            Self::Cors(error) => error.fmt(f),
            Self::Journal(error) => error.fmt(f),
            Self::NoJournal => f.write_str("the topic is durable, and the loop has no journal"),
            Self::HasJournal => f.write_str("the loop has a journal"),
            Self::TopicLimit => f.write_str("topic name too long, or too many topics"),
            Self::ConnectionLimit => f.write_str("too many connections"),
            Self::UnknownEndpoint => f.write_str("there is no such endpoint"),
            Self::WrongEndpoint => f.write_str("the endpoint is of another kind"),
            Self::UnknownListener => f.write_str("there is no such listener"),
            Self::ShuttingDown => f.write_str("the event loop is shutting down"),
            Self::Publish(error) => error.fmt(f),
            Self::Subscribe(error) => error.fmt(f),
            Self::Tag(error) => error.fmt(f),
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
            Self::Tag(error) => Some(error),
            Self::InvalidRoute(error) => Some(error),
            Self::TopicConfig(error) => Some(error),
            Self::Cors(error) => Some(error),
            Self::Journal(error) => Some(error),
            Self::TopicLimit
            | Self::NoJournal
            | Self::HasJournal
            | Self::ConnectionLimit
            | Self::UnknownEndpoint
            | Self::WrongEndpoint
            | Self::UnknownListener
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

impl From<InvalidRoute> for Error {
    fn from(error: InvalidRoute) -> Self {
        Self::InvalidRoute(error)
    }
}

impl From<InvalidTopicConfig> for Error {
    fn from(error: InvalidTopicConfig) -> Self {
        Self::TopicConfig(error)
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        Self::Journal(error)
    }
}

impl From<CorsError> for Error {
    fn from(error: CorsError) -> Self {
        Self::Cors(error)
    }
}

impl<E> From<PublishError<E>> for Error {
    /// Drops the event.
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

impl From<TagError> for Error {
    fn from(error: TagError) -> Self {
        Self::Tag(error)
    }
}

/// Why a connection was not subscribed to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The connection is not open, or has ended.
    ConnectionGone,
    /// The connection is subscribed to as many topics as
    /// [`Config::max_subscriptions`](crate::Config::max_subscriptions) allows.
    TooMany,
    /// The topic was removed.
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
