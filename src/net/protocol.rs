//! The protocol of a connection: WebSocket, one of the application's own, or a response that is
//! sent in pieces.

use super::framing::{Envelope, Framing};
use crate::proto::http::{Body, ResponseStream};
use crate::proto::stream::RawStream;
use crate::proto::{
    CloseCode, MaskKeys, RequestStage, Role, State, TimedOut, WebSocket, Workspace,
};
use crate::time::Time;

/// The protocol of a connection, and what all kinds have in common. An HTTP connection is a
/// `WebSocket` that is not open, until a response is streamed.
#[derive(Debug)]
pub(crate) enum Protocol {
    WebSocket(WebSocket),
    Stream(RawStream),
    Response(ResponseStream),
}

impl Protocol {
    #[inline]
    pub(crate) const fn web_socket(&self) -> Option<&WebSocket> {
        match self {
            Self::WebSocket(socket) => Some(socket),
            Self::Stream(_) | Self::Response(_) => None,
        }
    }

    #[inline]
    pub(crate) const fn web_socket_mut(&mut self) -> Option<&mut WebSocket> {
        match self {
            Self::WebSocket(socket) => Some(socket),
            Self::Stream(_) | Self::Response(_) => None,
        }
    }

    #[inline]
    pub(crate) const fn stream(&self) -> Option<&RawStream> {
        match self {
            Self::Stream(stream) => Some(stream),
            Self::WebSocket(_) | Self::Response(_) => None,
        }
    }

    #[inline]
    pub(crate) const fn stream_mut(&mut self) -> Option<&mut RawStream> {
        match self {
            Self::Stream(stream) => Some(stream),
            Self::WebSocket(_) | Self::Response(_) => None,
        }
    }

    pub(crate) const fn response(&self) -> Option<&ResponseStream> {
        match self {
            Self::Response(response) => Some(response),
            Self::WebSocket(_) | Self::Stream(_) => None,
        }
    }

    pub(crate) const fn response_mut(&mut self) -> Option<&mut ResponseStream> {
        match self {
            Self::Response(response) => Some(response),
            Self::WebSocket(_) | Self::Stream(_) => None,
        }
    }

    #[inline]
    pub(crate) const fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Whether both ends close with frames. Otherwise each ends its half of the stream.
    #[inline]
    pub(crate) const fn has_close_frames(&self) -> bool {
        matches!(self, Self::WebSocket(_))
    }

    /// How much of the input was left unused, if the application reads it as it is.
    pub(crate) fn unused_input(&self) -> Option<usize> {
        match self {
            Self::WebSocket(_) => None,
            Self::Stream(stream) => Some(stream.kept()),
            Self::Response(_) => Some(0),
        }
    }

    /// Which end of the connection this program is.
    #[inline]
    pub(crate) const fn role(&self) -> Role {
        match self {
            Self::WebSocket(socket) => socket.role(),
            Self::Stream(stream) => stream.role(),
            Self::Response(_) => Role::Server,
        }
    }

    #[inline]
    pub(crate) const fn state(&self) -> State {
        match self {
            Self::WebSocket(socket) => socket.state(),
            Self::Stream(stream) => stream.state(),
            Self::Response(response) => response.state(),
        }
    }

    /// Whether messages can be sent.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.state() == State::Open
    }

    /// What the output is made of.
    #[inline]
    pub(crate) const fn framing(&self) -> Framing {
        match self {
            Self::WebSocket(socket) => Framing::of(socket.role()),
            Self::Stream(_) => Framing::Raw,
            Self::Response(response) => match response.body() {
                Body::Chunks => Framing::Chunks,
                Body::UntilClose => Framing::Raw,
                Body::Events => Framing::Events,
                Body::NamedEvents => Framing::NamedEvents,
            },
        }
    }

    /// How the next payload is written, which leaves now.
    #[inline]
    pub(crate) fn next_envelope(&mut self, mask_keys: &mut MaskKeys, now: Time) -> Envelope {
        if let Self::Response(response) = self {
            response.note_output(now);
        }
        self.framing().next(mask_keys)
    }

    /// Whether both ends have agreed on compression.
    #[inline]
    pub(crate) fn is_compressed(&self) -> bool {
        self.web_socket().is_some_and(WebSocket::is_compressed)
    }

    /// Whether it is open, not compressed, and nothing of the peer's is unfinished.
    #[inline]
    pub(crate) fn is_plainly_open(&self) -> bool {
        match self {
            Self::WebSocket(socket) => !socket.awaits_peer() && !socket.is_compressed(),
            Self::Stream(stream) => !stream.awaits_peer(),
            // Its input is not handled.
            Self::Response(_) => false,
        }
    }

    /// Whether it is open and sends a server's frames as they are; `compressible`: they are to be
    /// compressed if both ends have agreed on that.
    #[inline]
    pub(crate) fn takes_frames(&self, compressible: bool) -> bool {
        match self {
            Self::WebSocket(socket) => {
                socket.is_open()
                    && socket.role() == Role::Server
                    && !(compressible && socket.is_compressed())
            }
            Self::Stream(_) | Self::Response(_) => false,
        }
    }

    /// Whether a message of `len` bytes is to be compressed.
    #[inline]
    pub(crate) fn compresses(&self, len: usize) -> bool {
        self.web_socket().is_some_and(|socket| socket.compression().applies_to(len))
    }

    /// Whether a message is partly decompressed.
    #[inline]
    pub(crate) fn is_inflating(&self) -> bool {
        self.web_socket().is_some_and(|socket| socket.compression().is_inflating())
    }

    /// What a server has of a request; `None` for other connections.
    pub(crate) fn request_stage(&self) -> Option<RequestStage> {
        self.web_socket().and_then(WebSocket::request_stage)
    }

    /// Whether a client's request awaits a response that comes later.
    pub(crate) fn awaits_response(&self) -> bool {
        self.request_stage() == Some(RequestStage::Answering)
    }

    /// The length of the longest message that the peer may send.
    pub(crate) fn longest_message(&self) -> usize {
        self.web_socket().map_or(0, |socket| socket.limits().message())
    }

    /// Whether a deadline may be due other than that of the peer's next sign of life.
    #[inline]
    pub(crate) fn awaits_peer(&self) -> bool {
        match self {
            Self::WebSocket(socket) => socket.awaits_peer(),
            Self::Stream(stream) => stream.awaits_peer(),
            Self::Response(response) => response.state() != State::Open,
        }
    }

    /// Bytes of storage that its unfinished input takes.
    pub(crate) fn buffered_bytes(&self) -> usize {
        match self {
            Self::WebSocket(socket) => socket.buffered_bytes(),
            Self::Stream(stream) => stream.buffered_bytes(),
            Self::Response(_) => 0,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        match self {
            Self::WebSocket(socket) => socket.deadline(),
            Self::Stream(stream) => stream.deadline(),
            Self::Response(response) => response.deadline(),
        }
    }

    /// Acts on the earliest deadline, if it has come.
    pub(crate) fn handle_timeout(&mut self, work: &mut Workspace<'_>) -> Result<(), TimedOut> {
        match self {
            Self::WebSocket(socket) => socket.handle_timeout(work),
            Self::Stream(stream) => stream.handle_timeout(work.now),
            Self::Response(response) => response.handle_timeout(work),
        }
    }

    /// Notes that the peer took some of the output that had to wait.
    pub(crate) fn note_progress(&mut self, now: Time) {
        match self {
            Self::WebSocket(socket) => socket.note_progress(now),
            Self::Stream(stream) => stream.note_progress(now),
            Self::Response(response) => response.note_progress(now),
        }
    }

    /// Gives the peer its full time for everything, because its input was not read for a while.
    pub(crate) fn restart_deadlines(&mut self, now: Time) {
        match self {
            Self::WebSocket(socket) => socket.restart_deadlines(now),
            Self::Stream(stream) => stream.note_progress(now),
            Self::Response(response) => response.note_progress(now),
        }
    }

    /// Begins to close in order. Before it is open, it ends at once.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str, work: &mut Workspace<'_>) {
        match self {
            Self::WebSocket(socket) => socket.close(code, reason, work),
            Self::Stream(stream) => stream.close(work.now),
            Self::Response(response) => response.close(code, work),
        }
    }

    /// Ends it, telling the peer why if the protocol can. Does not wait for the peer's response.
    pub(crate) fn close_immediately(&mut self, code: CloseCode, work: &mut Workspace<'_>) {
        match self {
            Self::WebSocket(socket) => socket.close_immediately(code, work),
            Self::Stream(stream) => stream.terminate(work.now),
            Self::Response(response) => response.terminate(work.now),
        }
    }

    /// Ends it without telling the peer.
    pub(crate) fn terminate(&mut self, work: &mut Workspace<'_>) {
        match self {
            Self::WebSocket(socket) => socket.terminate(work),
            Self::Stream(stream) => stream.terminate(work.now),
            Self::Response(response) => response.terminate(work.now),
        }
    }
}

impl From<WebSocket> for Protocol {
    fn from(socket: WebSocket) -> Self {
        Self::WebSocket(socket)
    }
}

impl From<RawStream> for Protocol {
    fn from(stream: RawStream) -> Self {
        Self::Stream(stream)
    }
}

impl From<ResponseStream> for Protocol {
    fn from(response: ResponseStream) -> Self {
        Self::Response(response)
    }
}
