//! A client's opening handshake, as far as its owner takes part in it.

use std::sync::Arc;

use super::handshake::fail_handshake;
use super::opening::{Awaited, Expected, SentRequest};
use super::web_socket::asking;
use super::{PeerError, State, WebSocket, Workspace};
use crate::proto::handshake::{
    ClientRequest, HandshakeError, HttpProxy, Key, RefusedReader, UpgradeResponse,
};
use crate::proto::{Limits, Role};
use crate::time::Time;

/// A client's opening handshake: what its owner decides, beside the input that it passes on.
///
/// On a server, and once the handshake is done, none of its methods does anything.
#[derive(Debug)]
pub struct ClientHandshake<'a>(&'a mut WebSocket);

impl WebSocket {
    /// The opening handshake of a client.
    pub fn handshake(&mut self) -> ClientHandshake<'_> {
        ClientHandshake(self)
    }
}

impl ClientHandshake<'_> {
    /// A connection that this program made to a proxy: writes the request for a tunnel to the
    /// server of `request`. Once there is one ([`Event::Tunnel`]), write the server's request with
    /// [`request`](Self::request).
    ///
    /// `key` must be fresh and unpredictable (RFC 6455 §4.1).
    ///
    /// [`Event::Tunnel`]: super::Event::Tunnel
    #[must_use]
    pub fn behind_proxy(
        proxy: &HttpProxy,
        request: ClientRequest,
        key: Key,
        limits: Arc<Limits>,
        workspace: &mut Workspace<'_>,
    ) -> WebSocket {
        proxy.write(request.url(), workspace.out);
        asking(SentRequest { request, key, awaited: Awaited::Tunnel }, limits, workspace.now)
    }

    /// Writes the opening request, after the proxy has opened a tunnel ([`Event::Tunnel`]).
    ///
    /// [`Event::Tunnel`]: super::Event::Tunnel
    pub fn request(self, workspace: &mut Workspace<'_>) {
        let Some(opening) = self.0.opening.as_mut().filter(|opening| opening.awaits_act()) else {
            return;
        };
        if let Some(sent) = &opening.sent {
            sent.request.write(&sent.key, workspace.out);
            opening.expected = Expected::Head;
        }
    }

    /// The response with this head, which accepted the connection ([`Event::Response`]). `None`
    /// once the connection is open.
    ///
    /// [`Event::Response`]: super::Event::Response
    #[must_use]
    pub fn response<'h>(self, head: &'h [u8]) -> Option<UpgradeResponse<'h>> {
        let sent = self.0.opening.as_ref()?.sent.as_ref()?;
        sent.request.read_response(head, &self.0.limits.head).ok()
    }

    /// Opens the connection, after the server has accepted it ([`Event::Response`]).
    ///
    /// [`Event::Response`]: super::Event::Response
    pub fn open(self, workspace: &mut Workspace<'_>) {
        if self.is_in_progress() {
            self.0.enter(State::Open, workspace);
        }
    }

    /// The stream has ended.
    ///
    /// # Errors
    ///
    /// What the handshake came to: [`PeerError::Refused`] or [`PeerError::ProxyRefused`] if the
    /// head of such a response has come, otherwise [`HandshakeError::ConnectionEnded`]. The state
    /// is [`State::Closed`].
    pub fn end(mut self, workspace: &mut Workspace<'_>) -> Result<(), PeerError> {
        if !self.is_in_progress() {
            return Ok(());
        }
        self.refusal_mut().into_iter().for_each(RefusedReader::end_of_stream);
        match self.0.handshake().take_refusal(workspace) {
            Some(refusal) => Err(refusal),
            None => Err(fail_handshake(self.0, HandshakeError::ConnectionEnded, workspace)),
        }
    }

    /// Ends the connection with the response that refused it, if the head of one has come. The rest
    /// of its body is not waited for.
    ///
    /// To learn what has come in time, call this before [`WebSocket::handle_timeout`] once the
    /// deadline of the handshake has passed.
    #[must_use]
    pub fn take_refusal(mut self, workspace: &mut Workspace<'_>) -> Option<PeerError> {
        self.refusal_mut()?;
        let refusal = self.0.opening.take()?.into_refusal();
        self.0.enter(State::Closed, workspace);
        refusal
    }

    /// The same, because there is no memory for the rest of the body.
    pub(crate) fn truncate_refusal(mut self, workspace: &mut Workspace<'_>) -> Option<PeerError> {
        self.refusal_mut()?.truncate();
        self.take_refusal(workspace)
    }

    /// Counts the time for the handshake from `begun` on.
    pub(crate) fn count_from(self, begun: Time) {
        self.0.waiting_since = begun;
    }

    fn is_in_progress(&self) -> bool {
        self.0.role == Role::Client && self.0.state == State::Connecting
    }

    fn refusal_mut(&mut self) -> Option<&mut RefusedReader> {
        self.0.opening.as_mut()?.refusal_mut()
    }
}
