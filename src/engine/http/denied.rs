//! Requests that exceed a limit of their client's address get status 429.

use crate::engine::http::answering::Answering;
use crate::engine::http::pending::RequestFacts;
use crate::engine::ids::ConnectionId;
use crate::logging::log_line;
use crate::proto::handshake::Refusal;
use crate::proto::http::{ContentType, HttpRequest, HttpResponse};
use crate::rates::{Denied, LimitKind};
use crate::reactor::Reactor;

const TOO_MANY_REQUESTS: u16 = 429;
const RETRY_AFTER: &str = "Retry-After";

impl<S, R: Reactor> Answering<'_, S, R> {
    /// Responds to a request that a limit denies. The connection ends only if it is itself one too
    /// many.
    #[cold]
    pub(super) fn deny(&mut self, request: &HttpRequest<'_>, denied: Denied) {
        if matches!(denied.kind, LimitKind::Connections | LimitKind::NewConnections) {
            return self.refuse_denied(request.is_head(), denied);
        }
        self.log_denied(denied);
        let text = denied.kind.to_string();
        let response =
            HttpResponse::new(TOO_MANY_REQUESTS).content_type(ContentType::TEXT).body(text);
        let response = match self.wait_secs(denied) {
            Some(secs) => response.clone().header(RETRY_AFTER, &secs).unwrap_or(response),
            None => response,
        };
        self.respond(&RequestFacts::of_page(request), &response);
    }

    /// Responds to the request of a connection that is one too many, and ends the connection.
    #[cold]
    pub(super) fn refuse_denied(&mut self, is_head: bool, denied: Denied) {
        self.log_denied(denied);
        let refusal = Refusal::new(TOO_MANY_REQUESTS).body(denied.kind.to_string());
        let refusal = match self.wait_secs(denied) {
            Some(secs) => refusal.clone().header(RETRY_AFTER, &secs).unwrap_or(refusal),
            None => refusal,
        };
        self.refuse(&refusal.head_only(is_head));
    }

    /// How long the client should wait, if that is known.
    fn wait_secs(&self, denied: Denied) -> Option<String> {
        Some(denied.retry_after_secs(self.event_loop.core.now())?.to_string())
    }

    fn log_denied(&self, denied: Denied) {
        log_line!(
            debug,
            "connection {}: request refused with status 429, {}",
            ConnectionId(self.conn),
            denied.kind
        );
    }
}
