//! What a handler of requests answers.

use std::fmt;
use std::time::Duration;

use crate::engine::http::event_stream::EventStream;
use crate::engine::http::streamed::StreamedResponse;
use crate::engine::ids::ConnectionId;
use crate::proto::handshake::{Acceptance, Refusal};
use crate::proto::http::HttpResponse;

/// What a handler answers to a request: in most cases an [`HttpResponse`], which converts into it.
///
/// A handler that returns different kinds names the type, or returns a `Result` of two kinds:
///
/// ```
/// use eventwire::{Answer, HttpResponse, Later, Routes};
///
/// let routes = Routes::<()>::new()
///     .get("/now", |_, _, _| HttpResponse::text("at once"))
///     .get("/jobs", |conn, request, _| -> Result<Later, HttpResponse> {
///         if request.body().is_empty() {
///             return Err(HttpResponse::new(400));
///         }
///         let responder = conn.responder();
///         std::thread::spawn(move || responder.respond(HttpResponse::text("done")));
///         Ok(Later::default())
///     });
/// # drop(routes);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// This response.
    Response(HttpResponse),
    /// An answer that is given later.
    Later(Later),
    /// A response whose body is sent in pieces.
    Stream(StreamedResponse),
    /// Server-sent events.
    Events(EventStream),
    /// The WebSocket opens: an answer to a request that asks for one.
    Accept(Acceptance),
    /// This response, and the end of the connection.
    Refuse(Refusal),
}

impl Answer {
    /// Checks that it can be given to a request; `is_upgrade`: the request asks for a WebSocket.
    pub(crate) const fn check(&self, is_upgrade: bool) -> Result<(), RespondError> {
        match self {
            Self::Accept(_) if !is_upgrade => Err(RespondError::NoUpgrade),
            Self::Stream(_) | Self::Events(_) if is_upgrade => Err(RespondError::NoStream),
            _ => Ok(()),
        }
    }
}

impl From<HttpResponse> for Answer {
    fn from(response: HttpResponse) -> Self {
        Self::Response(response)
    }
}

impl From<StreamedResponse> for Answer {
    fn from(response: StreamedResponse) -> Self {
        Self::Stream(response)
    }
}

impl From<EventStream> for Answer {
    fn from(events: EventStream) -> Self {
        Self::Events(events)
    }
}

impl From<Later> for Answer {
    fn from(later: Later) -> Self {
        Self::Later(later)
    }
}

impl From<Acceptance> for Answer {
    fn from(acceptance: Acceptance) -> Self {
        Self::Accept(acceptance)
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

impl<T: Into<Self>, E: Into<Self>> From<Result<T, E>> for Answer {
    fn from(result: Result<T, E>) -> Self {
        result.map_or_else(Into::into, Into::into)
    }
}

/// The answer of a handler that has no response yet.
///
/// Before it returns this, the handler takes the request's [id](crate::Connection::request_id) or a
/// [`Responder`](crate::Responder). The application answers with
/// [`Context::respond`](crate::Context::respond) or the responder. Until then the connection is not
/// read from, so that responses keep the order of their requests. If no answer has come by the
/// deadline, the client gets 504 and the connection ends. Default: 30 s, half of the time for which
/// proxies wait by default.
///
/// A client that ends its half of the stream meanwhile counts as gone, as one that resets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    timeout: Duration,
}

impl Later {
    /// An answer within this time, or 504.
    #[must_use]
    pub const fn within(timeout: Duration) -> Self {
        Self { timeout }
    }

    pub(crate) const fn timeout(self) -> Duration {
        self.timeout
    }
}

impl Default for Later {
    fn default() -> Self {
        Self::within(Duration::from_secs(30))
    }
}

/// Names a request that awaits an answer. It never refers to another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    pub(crate) conn: ConnectionId,
    /// Counts the requests of a loop for which handlers were called.
    pub(crate) number: u64,
}

impl RequestId {
    /// The connection of the request.
    #[must_use]
    pub const fn connection(self) -> ConnectionId {
        self.conn
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({}, {})", self.conn, self.number)
    }
}

/// Why an answer was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RespondError {
    /// The client has left.
    Gone,
    /// The request has an answer already: the application's, or 504 after the deadline.
    Answered,
    /// The request does not ask for a WebSocket, so that none can open.
    NoUpgrade,
    /// The request asks for a WebSocket, so that neither a [`StreamedResponse`] nor an
    /// [`EventStream`] can answer it: it has no [`HttpHandler`](crate::HttpHandler) that could
    /// learn what becomes of the stream.
    NoStream,
}

impl fmt::Display for RespondError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the client has left",
            Self::Answered => "the request has an answer",
            Self::NoUpgrade => "the request asks for no WebSocket",
            Self::NoStream => "a request for a WebSocket cannot be answered by a stream",
        })
    }
}

impl std::error::Error for RespondError {}
