//! Names of limits, and which of them was exceeded.

use std::fmt;

use crate::time::Time;

/// What a rate limit counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitScope {
    /// All connections from a client's address
    /// ([`Config::address_limits`](crate::Config::address_limits)).
    Address,
    /// All connections of a tag ([`Connection::tag_with`](crate::Connection::tag_with)).
    Tag,
}

/// What a rate limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// Connections at once ([`RateLimits::connections`](crate::RateLimits::connections)).
    Connections,
    /// New connections ([`RateLimits::new_connections`](crate::RateLimits::new_connections)).
    NewConnections,
    /// Messages and requests ([`RateLimits::messages`](crate::RateLimits::messages)).
    Messages,
    /// Bytes ([`RateLimits::bytes`](crate::RateLimits::bytes)).
    Bytes,
}

/// A limit that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) scope: LimitScope,
    pub(crate) kind: LimitKind,
}

/// Something that a limit does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) kind: LimitKind,
    /// When it will be allowed, if that is known.
    pub(crate) ready_at: Option<Time>,
}

impl Denied {
    /// The seconds until it will be allowed, at least one.
    pub(crate) fn retry_after_secs(&self, now: Time) -> Option<u64> {
        let wait = self.ready_at?.since(now);
        Some((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
    }
}

impl fmt::Display for LimitScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Tag => "tag",
        })
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connections => "too many connections",
            Self::NewConnections => "too many new connections",
            Self::Messages => "too many messages",
            Self::Bytes => "too many bytes",
        })
    }
}
