//! Handlers of requests.

use std::marker::PhantomData;

use crate::engine::broadcast::report::Gap;
use crate::engine::connection::Connection;
use crate::engine::http::answer::{Answer, RequestId};
use crate::engine::ids::TopicId;
use crate::net::disconnect::Disconnect;
use crate::proto::http::{HttpRequest, HttpResponse};
use crate::topics::Resumption;

/// An application's handler of requests. The response to `HEAD` omits the body.
///
/// It runs on the loop's thread, as a [`WebSocketHandler`] does. If `on_request` panics, the
/// response is 500. [`Routes::get`] takes a closure, [`Routes::get_handler`] an object.
///
/// The methods [`on_open`](Self::on_open), [`on_drained`](Self::on_drained),
/// [`on_gap`](Self::on_gap), [`on_resumed`](Self::on_resumed) and [`on_close`](Self::on_close)
/// concern responses that are sent in pieces ([`StreamedResponse`], [`EventStream`]), and are
/// called as those of a [`WebSocketHandler`] are.
///
/// [`EventStream`]: crate::EventStream
/// [`Routes::get`]: crate::Routes::get
/// [`Routes::get_handler`]: crate::Routes::get_handler
/// [`StreamedResponse`]: crate::StreamedResponse
/// [`WebSocketHandler`]: crate::WebSocketHandler
#[expect(unused_variables, reason = "the names document the defaulted methods")]
pub trait HttpHandler<S> {
    /// A client sent a request. [`Connection::peer_addr`] is the client's address. Only the answer
    /// can be sent to the connection, and not even that after the handler has
    /// [closed](Connection::close) it.
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> Answer;

    /// The longest body of a request in bytes, instead of the listener's
    /// ([`ServerConfig::max_body`](crate::ServerConfig::max_body)). The loop asks once, when the
    /// routes are added.
    fn max_body(&self) -> Option<usize> {
        None
    }

    /// A request with a body has begun, and its head is fine. The default receives the body, and
    /// then [`on_request`](Self::on_request) is called.
    ///
    /// # Errors
    ///
    /// The response to a request whose body is not wanted. The connection ends with it.
    fn on_body(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> Result<(), HttpResponse> {
        Ok(())
    }

    /// The client has left before a request had its answer, which the handler was to give
    /// [later](crate::Later).
    fn on_abandoned(&mut self, conn: &mut Connection<'_>, request: RequestId, state: &mut S) {}

    /// A response that is sent in pieces has begun.
    fn on_open(&mut self, conn: &mut Connection<'_>, state: &mut S) {}

    /// The client has taken all output that had to wait.
    fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut S) {}

    /// The client missed broadcasts, because its subscription's
    /// [`OverflowPolicy`](crate::OverflowPolicy) dropped them.
    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, state: &mut S) {}

    /// A subscription from a position ([`subscribe_from`](Connection::subscribe_from)) begins. This
    /// comes before its first message, and says what the client gets of what it missed.
    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        topic: TopicId,
        resumption: Resumption,
        state: &mut S,
    ) {
    }

    /// A response that was sent in pieces has ended.
    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, state: &mut S) {}
}

/// A closure as a handler of requests.
pub(super) struct OnRequest<F, A>(pub(super) F, pub(super) PhantomData<fn() -> A>);

impl<S, F, A> HttpHandler<S> for OnRequest<F, A>
where
    F: FnMut(&mut Connection<'_>, &HttpRequest<'_>, &mut S) -> A,
    A: Into<Answer>,
{
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        state: &mut S,
    ) -> Answer {
        (self.0)(conn, request, state).into()
    }
}
