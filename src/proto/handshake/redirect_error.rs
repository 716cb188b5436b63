use std::fmt;

use super::UrlError;

/// Why a client did not follow a redirect.
///
/// Its text repeats nothing that the server sent, so that it can be logged as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RedirectError {
    /// The redirect leads from `wss` to `ws`. What was meant to be encrypted would not be.
    Insecure,
    /// The header `Location` names no URL that this client can connect to.
    InvalidLocation(UrlError),
    /// The header `Location` occurs more than once.
    RepeatedLocation,
    /// It is one redirect more than `ClientConfig::redirects` allows. A loop of redirects ends so.
    TooMany {
        /// The limit.
        limit: u8,
    },
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insecure => f.write_str("redirect from wss to ws"),
            Self::InvalidLocation(error) => write!(f, "redirect to an invalid URL: {error}"),
            Self::RepeatedLocation => f.write_str("redirect to more than one URL"),
            Self::TooMany { limit } => write!(f, "more than {limit} redirects"),
        }
    }
}

impl std::error::Error for RedirectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::InvalidLocation(error) => Some(error),
            Self::Insecure | Self::RepeatedLocation | Self::TooMany { .. } => None,
        }
    }
}
