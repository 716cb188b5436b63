use std::{fmt, io};

use crate::proto::handshake::UrlError;
use crate::proto::http::InvalidHeader;

/// What the caller asked for and cannot have, or what the system refused.
///
/// What peers do wrong is none of this: it ends their connection and is told to its handler.
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
    /// The loop is being drained, or has ended.
    Draining,
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
            Self::Draining => f.write_str("the loop is being drained"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Url(error) => Some(error),
            Self::Header(error) => Some(error),
            Self::InvalidRoute(_) | Self::TopicLimit | Self::ConnectionLimit | Self::Draining => {
                None
            }
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
