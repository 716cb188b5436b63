//! Errors that end a run, each printed as one line.

use std::fmt;
use std::io;

/// An error that ends a command with exit code 1.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum Error {
    /// A system call failed. `what` describes what was attempted.
    System { what: String, source: io::Error },
    /// The engine returned an error.
    Engine(eventwire::Error),
    /// The server did not accept the WebSocket opening handshake.
    Handshake { target: String, reason: String },
    /// One connection failed: it was closed, or its data was wrong.
    Connection { index: usize, fault: String },
    /// The server sent nothing for too long while answers were outstanding.
    Stalled { outstanding: u64, seconds: u64 },
    /// Events were lost, or arrived in the wrong order.
    Events(String),
    /// Arguments do not fit together. The exit code is 2, as of other wrong arguments.
    Arguments(String),
    /// The settings are invalid or not supported.
    Settings(String),
    /// A thread of this program panicked.
    Thread(&'static str),
}

impl Error {
    /// Wraps a system error with a description of what was attempted.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }

    /// The error for a request for TLS in a build without it.
    pub(crate) fn without_tls() -> Self {
        Self::Settings("this build has no TLS: build with --features tls".to_owned())
    }

    /// The error for a measurement of the journal in a build without SQLite.
    #[cfg(not(feature = "sqlite"))]
    pub(crate) fn without_sqlite() -> Self {
        Self::Settings("this build has no SQLite: build with --features sqlite".to_owned())
    }
}

impl From<eventwire::Error> for Error {
    fn from(error: eventwire::Error) -> Self {
        Self::Engine(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { what, source } => write!(f, "{what}: {source}"),
            Self::Engine(error) => error.fmt(f),
            Self::Handshake { target, reason } => {
                write!(f, "opening handshake with {target} failed: {reason}")
            }
            Self::Connection { index, fault } => write!(f, "connection {index}: {fault}"),
            Self::Stalled { outstanding, seconds } => write!(
                f,
                "the server sent nothing for {seconds} s with {outstanding} answers outstanding"
            ),
            Self::Arguments(reason) | Self::Events(reason) | Self::Settings(reason) => {
                f.write_str(reason)
            }
            Self::Thread(name) => write!(f, "the {name} thread panicked"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System { source, .. } => Some(source),
            Self::Engine(error) => error.source(),
            _ => None,
        }
    }
}
