//! How sessions write to the loop's connections.

use bytes::Bytes;

use super::super::engine_io::{Outgoing, Packet, Wire};
use crate::{CloseCode, ConnectionId, ContentType, Context, HttpResponse, RequestId};

/// The loop's connections.
pub(in super::super) struct Outputs<'a, 'c> {
    pub(in super::super) cx: &'a mut Context<'c>,
    /// Whether the session's client accepts compressed responses.
    pub(in super::super) accepts_gzip: bool,
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
pub(in super::super) fn response(payload: Bytes, accepts_gzip: bool) -> HttpResponse {
    let response = HttpResponse::text("").content_type(PAYLOAD);
    let response =
        response.header("Cache-Control", "no-store").unwrap_or_else(|_| HttpResponse::new(500));
    match accepts_gzip {
        true => compressed(response, payload),
        false => response.body(payload),
    }
}

/// A response with a body that is compressed, if that is worth it.
#[cfg(feature = "deflate")]
fn compressed(response: HttpResponse, payload: Bytes) -> HttpResponse {
    use std::io::Write as _;

    /// Shorter bodies are hardly shortened. As in Node's server.
    const COMPRESSED_BYTES_MIN: usize = 1024;

    if payload.len() < COMPRESSED_BYTES_MIN {
        return response.body(payload);
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let encoded = encoder.write_all(&payload).and_then(|()| encoder.finish());
    match (encoded, response.clone().header("Content-Encoding", "gzip")) {
        (Ok(encoded), Ok(response)) => response.body(encoded),
        _ => response.body(payload),
    }
}

#[cfg(not(feature = "deflate"))]
fn compressed(response: HttpResponse, payload: Bytes) -> HttpResponse {
    response.body(payload)
}
