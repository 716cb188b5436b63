//! What tags may cost, and why a connection is not tagged.

use std::fmt;

/// The limits of all tags of a loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TagLimits {
    /// The number of tags.
    pub(crate) tags: usize,
    /// The number of tags that one connection may have.
    pub(crate) of_connection: usize,
}

/// Why a connection was not tagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TagError {
    /// The connection is not open, or has ended.
    ConnectionGone,
    /// The key is an empty text, which is usually a missing name.
    EmptyKey,
    /// The key is longer than [`Tag::MAX_LEN`](crate::Tag::MAX_LEN).
    KeyTooLong,
    /// The connection has as many tags as
    /// [`Config::max_connection_tags`](crate::Config::max_connection_tags) allows.
    TooMany,
    /// There are as many tags as [`Config::max_tags`](crate::Config::max_tags) allows, and this
    /// would be a new one.
    TooManyTags,
    /// The limits of the tag allow no further connection
    /// ([`RateLimits::connections`](crate::RateLimits::connections)).
    TooManyConnections,
    /// The limits of the tag allow no further connection now
    /// ([`RateLimits::new_connections`](crate::RateLimits::new_connections)).
    TooManyNewConnections,
    /// There are as many tags with limits and connections as
    /// [`Config::max_limited_tags`](crate::Config::max_limited_tags) allows, and this would be a
    /// new one.
    TooManyLimitedTags,
}

impl fmt::Display for TagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectionGone => "the connection is not open",
            Self::EmptyKey => "the tag's key is empty",
            Self::KeyTooLong => "the tag's key is too long",
            Self::TooMany => "the connection has too many tags",
            Self::TooManyTags => "there are too many tags",
            Self::TooManyConnections => "the tag has too many connections",
            Self::TooManyNewConnections => "the tag has too many new connections",
            Self::TooManyLimitedTags => "there are too many tags with limits",
        })
    }
}

impl std::error::Error for TagError {}
