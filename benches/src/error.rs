//! Why a run ended early, each as the one line that the user reads.

use std::fmt;
use std::io;

use crate::load::Fault;

/// What ends a command with exit code 1.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The system refused something; `what` says in words what was tried.
    System { what: String, source: io::Error },
    /// The engine refused something.
    Engine(eventwire::Error),
    /// The server did not accept the WebSocket opening handshake.
    Handshake { target: String, reason: String },
    /// One connection went wrong: closed, or its bytes were not what they had to be.
    Connection { index: usize, fault: Fault },
    /// The server stopped answering with messages unanswered.
    Stalled { outstanding: u64, seconds: u64 },
    /// Events were lost, or came in the wrong order.
    Events(String),
    /// The settings cannot be measured.
    Settings(String),
    /// A thread of this program panicked.
    Thread(&'static str),
}

impl Error {
    /// Wraps what the system said while trying `what`.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }

    /// What asks for TLS of a build that has none.
    pub(crate) fn without_tls() -> Self {
        Self::Settings("this build has no TLS: build with --features tls".to_owned())
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
            Self::Events(reason) | Self::Settings(reason) => f.write_str(reason),
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
