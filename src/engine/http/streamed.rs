//! Responses that are sent in pieces.

use std::time::Duration;

use crate::proto::http::HttpResponse;

/// A response whose body is sent in pieces, as an [`Answer`](crate::Answer).
///
/// Once its head is sent, the connection is open in one direction, and all that concerns open
/// connections applies to it: [`Connection::send`](crate::Connection::send) sends a piece of the
/// body, [`Context::send_to`](crate::Context::send_to) does so from any other handler, topics can
/// be [subscribed](crate::Connection::subscribe), and the limits of the outbox apply. The
/// [handler](crate::HttpHandler) of the request learns what becomes of it: `on_open` comes first,
/// `on_drained` when the client has taken what had to wait, and `on_close` last.
///
/// [`Connection::close`](crate::Connection::close) with
/// [`CloseCode::NORMAL`](crate::CloseCode::NORMAL) ends the body. After any other end the client
/// knows that the body is incomplete: it is sent in chunks (RFC 9112 §7.1). Clients of HTTP/1.0
/// know no chunks, and get it until the end of the stream. The response is the last on its
/// connection. A client that ends its half of the stream counts as gone.
///
/// ```
/// use eventwire::{
///     Answer, CloseCode, Connection, HttpHandler, HttpRequest, HttpResponse, Routes, SendStatus,
///     StreamedResponse,
/// };
///
/// /// Counts down, as fast as the client reads.
/// struct Countdown;
///
/// impl HttpHandler<u64> for Countdown {
///     fn on_request(
///         &mut self,
///         _: &mut Connection<'_>,
///         _: &HttpRequest<'_>,
///         _: &mut u64,
///     ) -> Answer {
///         StreamedResponse::new(HttpResponse::text("")).into()
///     }
///
///     fn on_open(&mut self, conn: &mut Connection<'_>, left: &mut u64) {
///         // As long as nothing has to wait.
///         while *left > 0 && conn.send(format!("{left}\n")) == SendStatus::Sent {
///             *left -= 1;
///         }
///         if *left == 0 {
///             conn.close(CloseCode::NORMAL, "");
///         }
///     }
///
///     fn on_drained(&mut self, conn: &mut Connection<'_>, left: &mut u64) {
///         self.on_open(conn, left);
///     }
/// }
///
/// let routes = Routes::new().get_handler("/countdown", Countdown);
/// # drop(routes);
/// ```
#[derive(Clone, Debug)]
pub struct StreamedResponse {
    head: HttpResponse,
    silence: Duration,
}

impl StreamedResponse {
    /// A response with this status and these headers. A body that it has is the first piece.
    #[must_use]
    pub const fn new(head: HttpResponse) -> Self {
        Self { head, silence: Duration::from_secs(60) }
    }

    /// How long the application may send nothing. Default: 60 s, after which proxies end a silent
    /// response. After that the client is disconnected
    /// ([`TimedOut::Response`](crate::proto::TimedOut::Response)).
    #[must_use]
    pub const fn silence(mut self, longest: Duration) -> Self {
        self.silence = longest;
        self
    }

    /// The head with the first piece as its body, and the longest silence.
    pub(crate) const fn parts(&self) -> (&HttpResponse, Duration) {
        (&self.head, self.silence)
    }
}

impl From<HttpResponse> for StreamedResponse {
    fn from(head: HttpResponse) -> Self {
        Self::new(head)
    }
}
