//! Answers that are given later.

use crate::engine::connection::Connection;
use crate::engine::context::Context;
use crate::engine::http::answer::{Answer, RequestId, RespondError};
use crate::engine::http::pending::Given;
use crate::engine::http::responder::Responder;
use crate::net::socket::Socket;

impl Connection<'_> {
    /// Names the request at hand in `on_request` and `on_upgrade`, to answer it later with
    /// [`Context::respond`]. Once the request has its answer, and on other connections, the id
    /// names no request that can be answered.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.context.core.pending.id(self.id())
    }

    /// Takes the means to answer the request at hand from any thread. A handler that takes it
    /// returns [`Later`](crate::Later).
    pub fn responder(&mut self) -> Responder {
        let (request, core) = (self.request_id(), &mut *self.context.core);
        Responder::new(request, core.pending.watch(request), core.handle.clone())
    }
}

impl Context<'_> {
    /// Answers a request whose handler has returned [`Later`](crate::Later). The answer leaves at
    /// the end of the turn. If the loop has been stopped, it leaves when
    /// [`run`](crate::EventLoop::run) ends the connections. Another [`Later`](crate::Later) gives
    /// the answer more time, from now on. The handler of the request may call this, too; what it
    /// returns then counts only if it has given no answer here.
    ///
    /// ```
    /// use std::collections::VecDeque;
    /// use eventwire::{Config, EventLoop, HttpResponse, Later, RequestId, Routes, ServerConfig};
    ///
    /// /// A long poll: each client waits for the next piece of news.
    /// struct News(String);
    ///
    /// let routes = Routes::new().get("/next", |conn, _, waiting: &mut VecDeque<RequestId>| {
    ///     waiting.push_back(conn.request_id());
    ///     Later::default()
    /// });
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// event_loop.on(|cx, news: &News, waiting: &mut VecDeque<RequestId>| {
    ///     for request in waiting.drain(..) {
    ///         // A client that has left misses it.
    ///         let _ = cx.respond(request, HttpResponse::text(news.0.clone()));
    ///     }
    /// });
    /// event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes)?;
    /// # event_loop.turn(Some(std::time::Duration::ZERO), &mut VecDeque::new())?;
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RespondError`].
    pub fn respond(
        &mut self,
        request: RequestId,
        answer: impl Into<Answer>,
    ) -> Result<(), RespondError> {
        let (answer, core) = (answer.into(), &mut *self.core);
        if core.pending.is_asking(request) {
            return core.pending.give_early(answer);
        }
        let RequestId { conn, number } = request;
        let awaits = core.sockets.get(conn.0).is_some_and(Socket::awaits_response);
        let Some(waiting) = core.pending.get(request).filter(|_| awaits) else {
            let socket = core.sockets.get(conn.0).filter(|socket| !socket.is_dead());
            let is_served = number != 0 && socket.is_some();
            return Err(if is_served { RespondError::Answered } else { RespondError::Gone });
        };
        answer.check(waiting.facts.upgrade.is_some())?;
        match answer {
            Answer::Later(later) => {
                let by = core.streams.now() + later.timeout();
                core.sockets.responses().wait(conn.0, by);
                core.sockets.registry.arm(conn.0);
                Ok(())
            }
            answer => {
                if let Some(waiting) = core.pending.take(request) {
                    core.requests.give(Given { conn, waiting, answer });
                }
                Ok(())
            }
        }
    }
}
