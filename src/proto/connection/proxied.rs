//! What a proxy says of its client, ahead of everything that it passes on: the PROXY protocol,
//! version 2.

use std::borrow::Cow;

use super::{Connection, Event, PeerError, Workspace};
use crate::proto::handshake::HandshakeError;

/// How every header begins: no request can.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, kind of address, and the length of what follows.
const FIXED: usize = 16;

/// The longest header, in bytes: addresses take 216 at most, and what else a proxy has to tell is
/// short.
const MAX_LEN: usize = 1024;

impl Connection {
    /// Expects what a proxy says of its client before the opening request
    /// ([`Event::ProxyHeader`]). To be called before anything is received.
    #[must_use]
    pub fn behind_proxy(mut self) -> Self {
        if let Some(opening) = &mut self.opening {
            opening.awaits_proxy = true;
        }
        self
    }

    pub(super) fn receive_proxy_header<'a>(
        &mut self,
        input: &'a mut [u8],
        workspace: &mut Workspace<'_>,
    ) -> Result<(usize, Option<Event<'a>>), PeerError> {
        let Some(opening) = &mut self.opening else {
            return Ok((0, None));
        };
        // Short, once for each connection, and nearly always here whole.
        let kept = opening.head.len();
        let take = input.len().min(MAX_LEN - kept);
        opening.head.extend_from_slice(&input[..take]);
        let len = match header_len(&opening.head) {
            Ok(Some(len)) if len <= opening.head.len() => len,
            Ok(_) => return Ok((take, None)),
            Err(error) => {
                // Of a request nothing has been read, so it has no method yet.
                opening.head.clear();
                return Err(self.fail_handshake(error, workspace));
            }
        };
        let mut header = std::mem::take(&mut opening.head);
        header.truncate(len);
        opening.awaits_proxy = false;
        Ok((len - kept, Some(Event::ProxyHeader(Cow::Owned(header)))))
    }
}

/// How long the header is that begins like this, if enough of it is here to tell.
fn header_len(bytes: &[u8]) -> Result<Option<usize>, HandshakeError> {
    let start = bytes.len().min(SIGNATURE.len());
    // Version 2 is in the upper half of the byte after it.
    let is_other_version = bytes.get(SIGNATURE.len()).is_some_and(|byte| byte >> 4 != 2);
    if bytes[..start] != SIGNATURE[..start] || is_other_version {
        return Err(HandshakeError::InvalidProxyHeader);
    }
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let len = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if len > MAX_LEN { Err(HandshakeError::InvalidProxyHeader) } else { Ok(Some(len)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_known_once_it_is_here_and_what_is_none_is_refused_at_once() {
        let header = [&SIGNATURE[..], &[0x21, 0x11, 0, 12], &[0; 12]].concat();
        for end in 0..=header.len() {
            let expected = if end < FIXED { None } else { Some(28) };
            assert_eq!(header_len(&header[..end]), Ok(expected));
        }
        let wrong = Err(HandshakeError::InvalidProxyHeader);
        assert_eq!(header_len(b"G"), wrong);
        assert_eq!(header_len(b"\r\n\r\n\0\r\nQUIT\n\x11"), wrong);
        assert_eq!(header_len(&[&SIGNATURE[..], &[0x21, 0x11, 0xFF, 0]].concat()), wrong);
    }
}
