//! How sessions write to the loop's connections.

use bytes::Bytes;

use crate::socketio::engine_io::{Outgoing, Packet, Wire};
use crate::{CloseCode, ConnectionId, ContentType, Context, HttpResponse, RequestId};

/// The loop's connections.
pub(in crate::socketio) struct Outputs<'a, 'c> {
    pub(in crate::socketio) cx: &'a mut Context<'c>,
    /// Whether the session's client accepts compressed responses.
    pub(in crate::socketio) accepts_gzip: bool,
}

/// The type of responses to polls.
const PAYLOAD: ContentType = ContentType::new("text/plain; charset=UTF-8");

impl Wire<RequestId, ConnectionId> for Outputs<'_, '_> {
    fn answer(&mut self, poll: RequestId, payload: Bytes) {
        // A client that has left meanwhile is noticed by its connection.
        let _ = self.cx.respond(poll, response(payload, self.accepts_gzip));
    }

    fn send(&mut self, socket: ConnectionId, packet: &Packet<'_>) {
        let mut text = String::new();
        packet.write_text(&mut text);
        self.cx.send_to(socket, text);
    }

    fn send_message(&mut self, socket: ConnectionId, message: &Outgoing) {
        let mut conn = self.cx.connection(socket);
        conn.send(&message.text);
        for attachment in &message.attachments {
            conn.send(attachment);
        }
    }

    fn close(&mut self, socket: ConnectionId) {
        self.cx.connection(socket).close(CloseCode::NORMAL, "");
    }
}

/// A response to a poll.
pub(in crate::socketio) fn response(payload: Bytes, accepts_gzip: bool) -> HttpResponse {
    let response = HttpResponse::text("").content_type(PAYLOAD).body(payload);
    #[cfg(feature = "deflate")]
    let response = if accepts_gzip { response.gzip() } else { response };
    #[cfg(not(feature = "deflate"))]
    let _ = accepts_gzip;
    // The header is well formed.
    response.header("Cache-Control", "no-store").unwrap_or_else(|_| HttpResponse::new(500))
}
