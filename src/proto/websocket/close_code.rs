use std::fmt;

/// Why a connection is closed, as a number in a close frame (RFC 6455 §7.4).
///
/// It can be any `u16`. [`is_sendable`](Self::is_sendable) says which codes may be sent.
///
/// ```
/// use eventwire::proto::CloseCode;
///
/// assert_eq!(CloseCode::NORMAL.get(), 1000);
/// assert_eq!(CloseCode::GOING_AWAY.to_string(), "1001 (going away)");
/// assert!(CloseCode::new(4000).is_sendable()); // the applications' range
/// assert!(!CloseCode::ABNORMAL.is_sendable());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000, the connection has served its purpose (RFC 6455 §7.4.1).
    pub const NORMAL: Self = Self(1000);
    /// 1001, a server goes down or a user leaves the page (RFC 6455 §7.4.1).
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002, the peer broke the protocol (RFC 6455 §7.4.1).
    pub const PROTOCOL: Self = Self(1002);
    /// 1003, a type of data that the endpoint cannot accept (RFC 6455 §7.4.1).
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1005, the close frame had no code; never on the wire (RFC 6455 §7.4.1).
    pub const NO_STATUS: Self = Self(1005);
    /// 1006, the connection ended without a close frame; never on the wire (RFC 6455 §7.4.1).
    pub const ABNORMAL: Self = Self(1006);
    /// 1007, data that contradicts its type, such as text that is not UTF-8 (RFC 6455 §7.4.1).
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008, a message against the endpoint's policy (RFC 6455 §7.4.1).
    pub const POLICY: Self = Self(1008);
    /// 1009, a message too big to process (RFC 6455 §7.4.1).
    pub const TOO_BIG: Self = Self(1009);
    /// 1010, the server did not accept an extension that the client needs (RFC 6455 §7.4.1).
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011, a server met a condition that it did not expect (RFC 6455 §7.4.1).
    pub const INTERNAL: Self = Self(1011);
    /// 1012, the service restarts (registered with IANA under RFC 6455 §11.7).
    pub const RESTART: Self = Self(1012);
    /// 1013, the service is overloaded, try again later (registered under RFC 6455 §11.7).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014, a gateway got an invalid response from upstream (registered under RFC 6455 §11.7).
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015, the TLS handshake failed; never on the wire (RFC 6455 §7.4.1).
    pub const TLS: Self = Self(1015);

    /// The code with this number, whether or not it may be sent.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether a close frame may carry this code (RFC 6455 §7.4.2): 1000 to 1003 and 1007 to 1014,
    /// which are registered with IANA, 3000 to 3999 for libraries and frameworks, and 4000 to 4999
    /// for applications.
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NORMAL => "normal closure",
            Self::GOING_AWAY => "going away",
            Self::PROTOCOL => "protocol error",
            Self::UNSUPPORTED => "unsupported data",
            Self::NO_STATUS => "no status received",
            Self::ABNORMAL => "abnormal closure",
            Self::INVALID_PAYLOAD => "invalid payload",
            Self::POLICY => "policy violation",
            Self::TOO_BIG => "message too big",
            Self::MANDATORY_EXTENSION => "mandatory extension",
            Self::INTERNAL => "internal error",
            Self::RESTART => "service restart",
            Self::TRY_AGAIN_LATER => "try again later",
            Self::BAD_GATEWAY => "bad gateway",
            Self::TLS => "TLS handshake",
            _ => return None,
        })
    }
}

impl fmt::Display for CloseCode {
    /// The number, and the meaning of a registered code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_shown_with_their_meaning() {
        assert_eq!(CloseCode::TRY_AGAIN_LATER.to_string(), "1013 (try again later)");
        assert_eq!(CloseCode::TLS.to_string(), "1015 (TLS handshake)");
        assert_eq!(CloseCode::new(4321).to_string(), "4321");
        assert_eq!(CloseCode::new(1004).to_string(), "1004");
        assert!((1000..=1015).filter(|&n| n != 1004).all(|n| CloseCode(n).name().is_some()));
    }
}
