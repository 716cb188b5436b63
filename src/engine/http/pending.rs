//! Requests that await their answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::connection_map::ConnectionMap;
use crate::engine::http::answer::{Answer, RequestId, RespondError};
use crate::engine::http::last_event_id::LastEventId;
use crate::engine::ids::ConnectionId;
use crate::logging::log_line;
use crate::proto::http::{HttpRequest, HttpResponse};

/// The requests of a loop that await their answers, and the one that a handler is called for.
#[derive(Debug, Default)]
pub(crate) struct PendingRequests {
    /// The number of the newest request for which a handler was called.
    newest: u64,
    asking: Option<Asking>,
    waiting: ConnectionMap<PendingRequest>,
}

/// A request for which a handler is being called.
#[derive(Debug)]
struct Asking {
    request: RequestId,
    /// It asks for a WebSocket.
    is_upgrade: bool,
    /// What the application has answered through the context. Few do, and answers are large.
    given: Option<Box<Answer>>,
    wanted: Option<Wanted>,
}

/// A request that awaits its answer.
#[derive(Debug)]
pub(crate) struct PendingRequest {
    number: u64,
    pub(crate) facts: RequestFacts,
    /// The address of the proxy that passed the request on.
    pub(crate) proxy: Option<SocketAddr>,
    wanted: Option<Wanted>,
}

/// An answer to a request that awaited it.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) conn: ConnectionId,
    pub(crate) waiting: PendingRequest,
    pub(crate) answer: Answer,
}

/// What the answer depends on.
#[derive(Debug)]
pub(crate) struct RequestFacts {
    /// The response must have no body (RFC 9110 §9.3.2).
    pub(crate) is_head: bool,
    /// The connection ends after the response.
    pub(crate) is_last: bool,
    /// The client knows no chunks.
    pub(crate) is_http_1_0: bool,
    /// The index of the handler that was called.
    pub(crate) handler: Option<usize>,
    /// The head of a request that asks for a WebSocket.
    pub(crate) upgrade: Option<Box<[u8]>>,
    /// From where a stream of events resumes, if it is the answer.
    pub(crate) last_event_id: Option<Box<LastEventId>>,
}

impl RequestFacts {
    /// Of a request for which that handler was called, which is answered so, or later.
    pub(crate) fn of(request: &HttpRequest<'_>, handler: usize, answer: &Answer) -> Self {
        let last_event_id = match answer {
            Answer::Events(_) | Answer::Later(_) => LastEventId::of(request),
            _ => None,
        };
        Self { handler: Some(handler), last_event_id, ..Self::of_page(request) }
    }

    /// Of a request for which no handler is called.
    pub(crate) fn of_page(request: &HttpRequest<'_>) -> Self {
        Self {
            is_head: request.is_head(),
            is_last: request.is_last(),
            is_http_1_0: request.is_http_1_0(),
            handler: None,
            upgrade: None,
            last_event_id: None,
        }
    }

    /// Of a request with this head, which asks for a WebSocket. A response ends the connection, as
    /// a refusal does.
    pub(crate) fn of_upgrade(head: &[u8]) -> Self {
        Self {
            is_head: false,
            is_last: true,
            is_http_1_0: false,
            handler: None,
            upgrade: Some(head.into()),
            last_event_id: None,
        }
    }
}

/// What the handler that was called for a request left behind.
pub(crate) struct Asked {
    given: Option<Box<Answer>>,
    number: u64,
    wanted: Option<Wanted>,
}

impl Asked {
    /// The answer to the request: what the application has given through the context, or else what
    /// the handler has returned. A handler that panicked has returned nothing.
    pub(crate) fn choose(&mut self, returned: Option<Answer>) -> Answer {
        match self.given.take() {
            None => returned.unwrap_or_else(|| HttpResponse::new(500).into()),
            Some(given) => self.choose_from_both(*given, returned),
        }
    }

    #[cold]
    fn choose_from_both(&self, given: Answer, returned: Option<Answer>) -> Answer {
        match (given, returned) {
            (Answer::Later(_), None) => HttpResponse::new(500).into(),
            (given, None | Some(Answer::Later(_))) => given,
            // Time that was asked for and is not needed.
            (Answer::Later(_), Some(returned)) => returned,
            (given, Some(_)) => {
                log_line!(warn, "request {}: answered twice, the first answer counts", self.number);
                given
            }
        }
    }

    /// The request, which is to be answered later.
    pub(crate) fn into_pending(self, facts: RequestFacts) -> PendingRequest {
        PendingRequest { number: self.number, facts, proxy: None, wanted: self.wanted }
    }
}

/// Tells other threads whether an answer is still wanted: until this is dropped.
#[derive(Debug, Default)]
struct Wanted(Arc<AtomicBool>);

/// What other threads know of a request: whether an answer is still wanted, and of which kind.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    is_answered: Arc<AtomicBool>,
    /// It asks for a WebSocket.
    is_upgrade: bool,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Watched {
    /// Whether an answer is still wanted.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.is_answered.load(Ordering::Acquire)
    }

    /// Checks that an answer can still be given.
    pub(crate) fn check(&self, answer: &Answer) -> Result<(), RespondError> {
        if self.is_wanted() { answer.check(self.is_upgrade) } else { Err(RespondError::Gone) }
    }
}

impl PendingRequests {
    /// A handler is about to be called for a request of the connection; `is_upgrade`: it asks for a
    /// WebSocket.
    #[inline]
    pub(crate) fn begin(&mut self, conn: ConnectionId, is_upgrade: bool) {
        self.newest += 1;
        let request = RequestId { conn, number: self.newest };
        self.asking = Some(Asking { request, is_upgrade, given: None, wanted: None });
    }

    /// The handler has returned.
    #[inline]
    pub(crate) fn end(&mut self) -> Asked {
        match self.asking.take() {
            Some(Asking { request, given, wanted, .. }) => {
                Asked { given, number: request.number, wanted }
            }
            None => Asked { given: None, number: 0, wanted: None },
        }
    }

    /// The request of the connection for which a handler is being called, or that awaits its
    /// answer. Otherwise one that no answer can be given to.
    pub(crate) fn id(&self, conn: ConnectionId) -> RequestId {
        match &self.asking {
            Some(asking) if asking.request.conn == conn => asking.request,
            _ => RequestId { conn, number: self.waiting.get(conn).map_or(0, |it| it.number) },
        }
    }

    /// What other threads may know of a request.
    pub(crate) fn watch(&mut self, request: RequestId) -> Watched {
        let found = match &mut self.asking {
            Some(it) if it.request == request => Some((&mut it.wanted, it.is_upgrade)),
            _ => {
                let waiting = self.waiting.get_mut(request.conn);
                let waiting = waiting.filter(|it| it.number == request.number);
                waiting.map(|it| (&mut it.wanted, it.facts.upgrade.is_some()))
            }
        };
        match found {
            Some((wanted, is_upgrade)) => {
                let is_answered = Arc::clone(&wanted.get_or_insert_default().0);
                Watched { is_answered, is_upgrade }
            }
            None => Watched { is_answered: Arc::new(AtomicBool::new(true)), is_upgrade: false },
        }
    }

    /// Whether a handler is being called for the request.
    pub(crate) fn is_asking(&self, request: RequestId) -> bool {
        self.asking.as_ref().is_some_and(|asking| asking.request == request)
    }

    /// Takes an answer to the request for which a handler is being called, until that returns.
    pub(crate) fn give_early(&mut self, answer: Answer) -> Result<(), RespondError> {
        let may_answer =
            |given: &Option<Box<Answer>>| matches!(given.as_deref(), None | Some(Answer::Later(_)));
        match &mut self.asking {
            Some(Asking { given, is_upgrade, .. }) if may_answer(given) => {
                answer.check(*is_upgrade)?;
                *given = Some(Box::new(answer));
                Ok(())
            }
            _ => Err(RespondError::Answered),
        }
    }

    /// How many requests await their answers.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A request awaits its answer.
    pub(crate) fn wait(&mut self, conn: ConnectionId, request: PendingRequest) {
        self.waiting.insert(conn, request);
    }

    /// Notes the address of the proxy that passed on the request of the connection.
    pub(crate) fn set_proxy(&mut self, conn: ConnectionId, proxy: Option<SocketAddr>) {
        if let Some(waiting) = self.waiting.get_mut(conn) {
            waiting.proxy = proxy;
        }
    }

    /// The request, if it awaits its answer.
    pub(crate) fn get(&self, request: RequestId) -> Option<&PendingRequest> {
        self.waiting.get(request.conn).filter(|waiting| waiting.number == request.number)
    }

    /// Takes a request that awaits its answer.
    pub(crate) fn take(&mut self, request: RequestId) -> Option<PendingRequest> {
        self.get(request)?;
        self.waiting.remove(request.conn)
    }

    /// Forgets the request of a connection that is gone. Returns it with the index of the handler
    /// that was to answer it.
    pub(crate) fn abandon(&mut self, conn: ConnectionId) -> Option<(RequestId, usize)> {
        let abandoned = self.waiting.remove(conn)?;
        let number = abandoned.number;
        Some((RequestId { conn, number }, abandoned.facts.handler?))
    }
}
