use std::{fmt, str};

use super::ProtocolError;

/// Why a connection is closed, as a number in a close frame (RFC 6455 §7.4).
///
/// Any `u16` can be held; [`is_sendable`](Self::is_sendable) says which of them may be on the wire.
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
    /// 1005, a close frame without a code came; never on the wire (RFC 6455 §7.4.1).
    pub const NO_STATUS: Self = Self(1005);
    /// 1006, no close frame came; never on the wire (RFC 6455 §7.4.1).
    pub const ABNORMAL: Self = Self(1006);
    /// 1007, data that contradicts its type, such as text that is not UTF-8 (RFC 6455 §7.4.1).
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008, a message against the endpoint's policy (RFC 6455 §7.4.1).
    pub const POLICY: Self = Self(1008);
    /// 1009, a message too big to process (RFC 6455 §7.4.1).
    pub const TOO_BIG: Self = Self(1009);
    /// 1010, a client misses an extension in the server's handshake (RFC 6455 §7.4.1).
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

    /// Whether a close frame may carry this code: 1000 to 1003 and 1007 to 1014, which are
    /// registered with IANA, 3000 to 3999 for libraries and frameworks, 4000 to 4999 for
    /// applications (RFC 6455 §7.4.2).
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
    /// The number, and its meaning where it has one by itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

/// What a close frame says (RFC 6455 §5.5.1).
///
/// ```
/// use eventwire::proto::{CloseCode, CloseFrame};
///
/// let mut payload = [0; 125];
/// let close = CloseFrame { code: CloseCode::GOING_AWAY, reason: "bye" };
/// let len = close.encode(&mut payload);
/// assert_eq!(&payload[..len], b"\x03\xE9bye");
/// assert_eq!(CloseFrame::parse(&payload[..len]), Ok(Some(close)));
/// assert_eq!(CloseFrame::parse(b""), Ok(None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseFrame<'a> {
    /// Why the connection is closed.
    pub code: CloseCode,
    /// The same for a person to read, or nothing.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// The longest reason, in bytes: what the code leaves of a control frame's 125.
    pub const MAX_REASON: usize = 123;

    /// Reads the payload of a close frame, unmasked; `None` if it is empty and so gives no code.
    ///
    /// # Errors
    ///
    /// - [`ProtocolError::ControlTooLong`]: more than 125 bytes.
    /// - [`ProtocolError::InvalidCloseLength`]: a single byte.
    /// - [`ProtocolError::InvalidCloseCode`]: not [sendable](CloseCode::is_sendable).
    /// - [`ProtocolError::InvalidUtf8`]: a reason that is not UTF-8.
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>, ProtocolError> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return if payload.is_empty() {
                Ok(None)
            } else {
                Err(ProtocolError::InvalidCloseLength)
            };
        };
        if reason.len() > Self::MAX_REASON {
            return Err(ProtocolError::ControlTooLong);
        }
        let code = CloseCode(u16::from_be_bytes(*code));
        if !code.is_sendable() {
            return Err(ProtocolError::InvalidCloseCode(code.get()));
        }
        let reason = str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
        Ok(Some(Self { code, reason }))
    }

    /// Writes the payload of a close frame to the front of `out` and returns its length in bytes.
    ///
    /// A reason over [`MAX_REASON`](Self::MAX_REASON) bytes is cut after the last character that
    /// fits. The code is written as it is: a peer refuses one that is not
    /// [sendable](CloseCode::is_sendable).
    #[must_use]
    pub fn encode(&self, out: &mut [u8; 125]) -> usize {
        let mut len = self.reason.len().min(Self::MAX_REASON);
        while !self.reason.is_char_boundary(len) {
            len -= 1;
        }
        out[..2].copy_from_slice(&self.code.get().to_be_bytes());
        out[2..2 + len].copy_from_slice(&self.reason.as_bytes()[..len]);
        2 + len
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(code: u16, reason: &[u8]) -> Vec<u8> {
        [&code.to_be_bytes()[..], reason].concat()
    }

    #[test]
    fn every_code_is_sendable_or_refused() {
        for number in 0..=u16::MAX {
            let code = CloseCode::new(number);
            let registered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013]
                .contains(&number)
                || number == 1014;
            let sendable = registered || (3000..5000).contains(&number);
            assert_eq!(code.is_sendable(), sendable, "{number}");
            let expected = if sendable {
                Ok(Some(CloseFrame { code, reason: "" }))
            } else {
                Err(ProtocolError::InvalidCloseCode(number))
            };
            assert_eq!(CloseFrame::parse(&payload(number, b"")), expected);
        }
    }

    #[test]
    fn payloads_that_are_no_close_frame() {
        let parse = |payload: &[u8]| CloseFrame::parse(payload).map(|_| ());
        assert_eq!(CloseFrame::parse(b""), Ok(None));
        assert_eq!(parse(b"\x03"), Err(ProtocolError::InvalidCloseLength));
        assert_eq!(parse(&payload(1000, b"\xFF")), Err(ProtocolError::InvalidUtf8));
        assert_eq!(parse(&payload(1000, b"cut \xE2\x82")), Err(ProtocolError::InvalidUtf8));
        assert_eq!(parse(&payload(1006, b"\xFF")), Err(ProtocolError::InvalidCloseCode(1006)));
        assert_eq!(parse(&payload(1000, &[b'a'; 123])), Ok(()));
        assert_eq!(parse(&payload(1000, &[b'a'; 124])), Err(ProtocolError::ControlTooLong));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut out = [0; 125];
        // (unit, kept bytes): 123 is no multiple of two or four, and it is one of three.
        for (unit, kept) in [("a", 123), ("é", 122), ("€", 123), ("😀", 120)] {
            let reason = unit.repeat(130);
            let len = CloseFrame { code: CloseCode::NORMAL, reason: &reason }.encode(&mut out);
            assert_eq!(len, 2 + kept);
            assert_eq!(&out[2..len], &reason.as_bytes()[..kept]);
        }
    }

    #[test]
    fn codes_are_shown_with_their_meaning() {
        assert_eq!(CloseCode::TRY_AGAIN_LATER.to_string(), "1013 (try again later)");
        assert_eq!(CloseCode::TLS.to_string(), "1015 (TLS handshake)");
        assert_eq!(CloseCode::new(4321).to_string(), "4321");
        assert_eq!(CloseCode::new(1004).to_string(), "1004");
        assert!((1000..=1015).filter(|&n| n != 1004).all(|n| CloseCode(n).name().is_some()));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_parsed(
            code in prop_oneof![1000_u16..=1003, 1007_u16..=1014, 3000_u16..=4999],
            reason in any::<String>(),
        ) {
            let close = CloseFrame { code: CloseCode(code), reason: &reason };
            let mut out = [0; 125];
            let len = close.encode(&mut out);
            let parsed = CloseFrame::parse(&out[..len]).unwrap().unwrap();
            prop_assert_eq!(parsed.code, close.code);
            prop_assert!(reason.starts_with(parsed.reason));
            let cut = reason.len() - parsed.reason.len();
            let next = reason[parsed.reason.len()..].chars().next().map_or(0, char::len_utf8);
            prop_assert!(cut == 0 || parsed.reason.len() + next > CloseFrame::MAX_REASON);
        }

        #[test]
        fn parse_takes_anything(payload in prop::collection::vec(any::<u8>(), 0..140)) {
            if let Ok(Some(close)) = CloseFrame::parse(&payload) {
                let mut out = [0; 125];
                let len = close.encode(&mut out);
                prop_assert_eq!(&out[..len], &payload[..]);
            }
        }
    }
}
