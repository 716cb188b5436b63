//! Answers from other threads.

use std::fmt;

use crate::engine::handle::{LoopHandle, News};
use crate::engine::http::answer::{Answer, RequestId, RespondError};
use crate::engine::http::pending::Watched;

/// Answers one request, from any thread: see
/// [`Connection::responder`](crate::Connection::responder).
///
/// If it is dropped without an answer, the client gets 500.
///
/// ```
/// use std::thread;
/// use eventwire::{HttpResponse, Later, Routes};
///
/// let routes = Routes::<()>::new().get("/report", |conn, _, _| {
///     let responder = conn.responder();
///     thread::spawn(move || {
///         let report = "slow work";
///         if responder.respond(HttpResponse::text(report)).is_err() {
///             eprintln!("the client did not wait");
///         }
///     });
///     Later::default()
/// });
/// # drop(routes);
/// ```
#[must_use = "without an answer the client gets 500"]
pub struct Responder {
    request: RequestId,
    watched: Watched,
    handle: LoopHandle,
    is_done: bool,
}

impl Responder {
    pub(crate) const fn new(request: RequestId, watched: Watched, handle: LoopHandle) -> Self {
        Self { request, watched, handle, is_done: false }
    }

    /// The request that this answers.
    #[must_use]
    pub const fn request(&self) -> RequestId {
        self.request
    }

    /// Whether the answer is wanted. It is not once the client has left or the deadline has passed,
    /// so that a worker can save the work.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.watched.is_wanted()
    }

    /// Answers the request. Never waits: the loop sends the answer in its next turn.
    ///
    /// # Errors
    ///
    /// [`RespondError::Gone`] if the answer is not wanted any more. A client that leaves later gets
    /// none, though this succeeds. [`RespondError::NoUpgrade`] and [`RespondError::NoStream`] if
    /// the request cannot have this answer: then the client gets 500.
    pub fn respond(mut self, answer: impl Into<Answer>) -> Result<(), RespondError> {
        let answer = answer.into();
        self.watched.check(&answer)?;
        self.is_done = true;
        self.handle.tell(News::Answered(self.request, answer));
        Ok(())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if !self.is_done && self.watched.is_wanted() {
            let failed = crate::proto::http::HttpResponse::new(500);
            self.handle.tell(News::Answered(self.request, failed.into()));
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("request", &self.request).finish_non_exhaustive()
    }
}
