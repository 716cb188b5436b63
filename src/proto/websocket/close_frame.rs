use std::str;

use super::{CloseCode, ProtocolError};

/// The payload of a close frame (RFC 6455 §5.5.1).
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
    /// The same as text for people. May be empty.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// The longest reason, in bytes: the 125 bytes of a control frame without the code.
    pub const MAX_REASON_LEN: usize = 123;

    /// Reads the unmasked payload of a close frame. `None` if it is empty.
    ///
    /// # Errors
    ///
    /// - [`ProtocolError::ControlTooLong`]: the payload has more than 125 bytes.
    /// - [`ProtocolError::InvalidCloseLength`]: the payload has a single byte.
    /// - [`ProtocolError::InvalidCloseCode`]: the code is not [sendable](CloseCode::is_sendable).
    /// - [`ProtocolError::InvalidUtf8`]: the reason is not UTF-8.
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>, ProtocolError> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return if payload.is_empty() {
                Ok(None)
            } else {
                Err(ProtocolError::InvalidCloseLength)
            };
        };
        if reason.len() > Self::MAX_REASON_LEN {
            return Err(ProtocolError::ControlTooLong);
        }
        let code = CloseCode::new(u16::from_be_bytes(*code));
        if !code.is_sendable() {
            return Err(ProtocolError::InvalidCloseCode(code.get()));
        }
        let reason = str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
        Ok(Some(Self { code, reason }))
    }

    /// Writes the payload of a close frame to the front of `out` and returns its length in bytes.
    ///
    /// A reason over [`MAX_REASON_LEN`](Self::MAX_REASON_LEN) bytes is cut after the last character
    /// that fits. The code is not checked: a peer refuses one that is not
    /// [sendable](CloseCode::is_sendable).
    #[must_use]
    pub fn encode(&self, out: &mut [u8; 125]) -> usize {
        let mut len = self.reason.len().min(Self::MAX_REASON_LEN);
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
        // (unit, kept bytes): 123 is a multiple of three, but not of two or four.
        for (unit, kept) in [("a", 123), ("é", 122), ("€", 123), ("😀", 120)] {
            let reason = unit.repeat(130);
            let len = CloseFrame { code: CloseCode::NORMAL, reason: &reason }.encode(&mut out);
            assert_eq!(len, 2 + kept);
            assert_eq!(&out[2..len], &reason.as_bytes()[..kept]);
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_parsed(
            code in prop_oneof![1000_u16..=1003, 1007_u16..=1014, 3000_u16..=4999],
            reason in any::<String>(),
        ) {
            let close = CloseFrame { code: CloseCode::new(code), reason: &reason };
            let mut out = [0; 125];
            let len = close.encode(&mut out);
            let parsed = CloseFrame::parse(&out[..len]).unwrap().unwrap();
            prop_assert_eq!(parsed.code, close.code);
            prop_assert!(reason.starts_with(parsed.reason));
            let cut = reason.len() - parsed.reason.len();
            let next = reason[parsed.reason.len()..].chars().next().map_or(0, char::len_utf8);
            prop_assert!(cut == 0 || parsed.reason.len() + next > CloseFrame::MAX_REASON_LEN);
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
