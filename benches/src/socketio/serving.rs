//! The servers that this program can be.

use clap::ValueEnum;

use super::eventwire;
#[cfg(feature = "peers")]
use super::socketioxide;
use crate::contestants::Body;

/// A Socket.IO server that this program can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Serving {
    /// The engine
    Eventwire,
    /// Rust's socketioxide
    #[cfg(feature = "peers")]
    Socketioxide,
}

impl Serving {
    /// The name on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Eventwire => "eventwire",
            #[cfg(feature = "peers")]
            Self::Socketioxide => "socketioxide",
        }
    }

    /// Serves until it is stopped.
    pub(crate) fn body(self) -> Body {
        match self {
            Self::Eventwire => eventwire::serve,
            #[cfg(feature = "peers")]
            Self::Socketioxide => socketioxide::serve,
        }
    }
}
