//! What a proxy says of its client, ahead of everything that it passes on: the PROXY protocol.

use std::borrow::Cow;

use super::{Connection, Event, PeerError, Workspace};
use crate::proto::handshake::HandshakeError;
use crate::proto::proxy_protocol::{MAX_LEN, header_len};

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
            Err(_) => {
                // Of a request nothing has been read, so it has no method yet.
                opening.head.clear();
                return Err(self.fail_handshake(HandshakeError::InvalidProxyHeader, workspace));
            }
        };
        let mut header = std::mem::take(&mut opening.head);
        header.truncate(len);
        opening.awaits_proxy = false;
        Ok((len - kept, Some(Event::ProxyHeader(Cow::Owned(header)))))
    }
}
