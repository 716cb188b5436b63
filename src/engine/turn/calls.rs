//! Calls the application's handlers, catches their panics and measures their time.

use std::any::{Any, type_name};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::config::OnPanic;
use crate::engine::connection::Connection;
use crate::engine::context::Context;
use crate::engine::ids::ConnectionId;
use crate::engine::stats::snapshot::Meters;
use crate::logging::log_line;
use crate::time::Time;

/// A call of a handler, as [`SlowCall`] reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandlerCall {
    /// [`WebSocketHandler::on_upgrade`](crate::WebSocketHandler::on_upgrade).
    Upgrade,
    /// [`HttpHandler::on_request`](crate::HttpHandler::on_request).
    Request,
    /// [`HttpHandler::on_body`](crate::HttpHandler::on_body).
    Body,
    /// [`HttpHandler::on_abandoned`](crate::HttpHandler::on_abandoned).
    Abandoned,
    /// [`WebSocketHandler::on_response`](crate::WebSocketHandler::on_response).
    Response,
    /// [`WebSocketHandler::on_open`](crate::WebSocketHandler::on_open), or the same of a
    /// [`StreamHandler`](crate::StreamHandler), as for other methods that it has.
    Open,
    /// [`WebSocketHandler::on_message`](crate::WebSocketHandler::on_message).
    Message,
    /// [`StreamHandler::on_data`](crate::StreamHandler::on_data).
    Data,
    /// [`WebSocketHandler::on_ping`](crate::WebSocketHandler::on_ping).
    Ping,
    /// [`WebSocketHandler::on_pong`](crate::WebSocketHandler::on_pong).
    Pong,
    /// [`WebSocketHandler::on_drained`](crate::WebSocketHandler::on_drained).
    Drained,
    /// [`WebSocketHandler::on_gap`](crate::WebSocketHandler::on_gap).
    Gap,
    /// [`WebSocketHandler::on_resumed`](crate::WebSocketHandler::on_resumed).
    Resumed,
    /// [`WebSocketHandler::on_close`](crate::WebSocketHandler::on_close).
    Close,
    /// [`WebSocketHandler::on_connect_error`](crate::WebSocketHandler::on_connect_error).
    ConnectError,
    /// [`EventHandler::on_event`](crate::EventHandler::on_event), with the name of the event's
    /// type.
    Event(&'static str),
    /// [`EventHandler::on_batch_end`](crate::EventHandler::on_batch_end), with the name of the
    /// events' type.
    BatchEnd(&'static str),
}

impl HandlerCall {
    /// Whether it handles events of the type named `event`.
    fn is_of(self, event: &str) -> bool {
        matches!(self, Self::Event(name) | Self::BatchEnd(name) if name == event)
    }
}

/// An event: a handler call took at least
/// [`Config::slow_handler`](crate::Config::slow_handler).
///
/// The loop publishes it after the call. Register a handler for it with
/// [`EventLoop::on`](crate::EventLoop::on). Calls of that handler are not reported. To notice a
/// handler that still blocks the loop, read [`Stats::turn_since`](crate::Stats) on another thread.
///
/// ```
/// use std::time::Duration;
/// use eventwire::{Config, EventLoop, SlowCall};
///
/// struct Report;
///
/// let mut event_loop = EventLoop::new(Config::default().slow_handler(Duration::ZERO))?;
/// event_loop.on(|_, _: &Report, _| { /* slow work */ });
/// event_loop.on(|cx, slow: &SlowCall, _| {
///     eprintln!("{:?} took {:?}", slow.call, slow.time);
///     cx.stop();
/// });
/// event_loop.publisher().publish(Report)?;
/// event_loop.run(&mut ())?;
/// # Ok::<(), eventwire::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowCall {
    /// Which call it was.
    pub call: HandlerCall,
    /// The connection that the handler was called for. `None` for a handler of events.
    pub conn: Option<ConnectionId>,
    /// How long it took.
    pub time: Duration,
}

/// One call in 64 is timed, because reading the clock costs about as much as handling a short
/// message. If slow calls are reported, every call is timed. Must be a power of two.
const CALLS_PER_TIMED: u64 = 64;

/// Calls handlers, catches their panics and measures their time.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) on_panic: OnPanic,
    /// Calls that take at least this long are reported.
    limit: Option<Duration>,
    meters: Arc<Meters>,
    count: u64,
    /// A call is timed if its number has none of these bits set.
    untimed: u64,
    /// When the current call began, if it is timed and one of several under one guard.
    began: Option<Time>,
    /// How many calls panicked.
    pub(crate) panics: u64,
    /// How many calls took at least `limit`.
    pub(crate) slow: u64,
}

impl Calls {
    pub(crate) const fn new(
        on_panic: OnPanic,
        limit: Option<Duration>,
        meters: Arc<Meters>,
    ) -> Self {
        let untimed = if limit.is_some() { 0 } else { CALLS_PER_TIMED - 1 };
        Self { on_panic, limit, meters, count: 0, untimed, began: None, panics: 0, slow: 0 }
    }

    /// Calls a handler; if it panics, returns the panic's message.
    #[inline]
    pub(crate) fn call<'c, L: HandlerContext<'c>, T>(
        &mut self,
        call: HandlerCall,
        cx: &mut L,
        act: impl FnOnce(&mut L) -> T,
    ) -> Result<T, String> {
        if self.is_timed() {
            return self.call_timed(call, cx, act);
        }
        let result = guard(self.on_panic, || act(cx));
        if let Err(panic) = &result {
            self.note_panic(call, cx.conn(), panic);
        }
        result
    }

    fn call_timed<'c, L: HandlerContext<'c>, T>(
        &mut self,
        call: HandlerCall,
        cx: &mut L,
        act: impl FnOnce(&mut L) -> T,
    ) -> Result<T, String> {
        let began = cx.context().core.streams.now();
        let result = guard(self.on_panic, || act(cx));
        self.note_time(call, cx, began);
        result.inspect_err(|panic| self.note_panic(call, cx.conn(), panic))
    }

    /// How many calls were made.
    #[inline]
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Counts the next call, and returns whether it is timed.
    #[inline]
    const fn is_timed(&mut self) -> bool {
        self.count += 1;
        self.count & self.untimed == 0
    }

    /// Begins one of several calls under one guard.
    #[inline]
    pub(crate) fn begin<'c>(&mut self, cx: &mut impl HandlerContext<'c>) {
        if self.is_timed() {
            self.began = Some(cx.context().core.streams.now());
        }
    }

    /// Ends the call that was [begun](Self::begin). It has returned or panicked.
    #[inline]
    pub(crate) fn end<'c>(&mut self, call: HandlerCall, cx: &mut impl HandlerContext<'c>) {
        if let Some(began) = self.began {
            self.began = None;
            self.note_time(call, cx, began);
        }
    }

    #[cold]
    pub(crate) fn note_panic(
        &mut self,
        call: HandlerCall,
        conn: Option<ConnectionId>,
        message: &str,
    ) {
        self.panics += 1;
        log_line!(error, "{}: {call:?} panicked: {message}", handler_of(conn));
    }

    #[cold]
    fn note_time<'c>(&mut self, call: HandlerCall, cx: &mut impl HandlerContext<'c>, began: Time) {
        let conn = cx.conn();
        let core = &mut *cx.context().core;
        let time = core.streams.now().since(began);
        self.meters.handler_time.record(time);
        if self.limit.is_none_or(|limit| time < limit) {
            return;
        }
        self.slow += 1;
        log_line!(warn, "{}: {call:?} took {time:?}", handler_of(conn));
        if !call.is_of(type_name::<SlowCall>()) {
            // It is optional to register a handler for it. The statistics count the call anyway.
            let _ = core.events.push(SlowCall { call, conn, time });
        }
    }
}

/// What a handler is called with: a context, or a connection that dereferences to one.
pub(crate) trait HandlerContext<'c> {
    fn context(&mut self) -> &mut Context<'c>;

    fn conn(&self) -> Option<ConnectionId>;
}

impl<'c> HandlerContext<'c> for Context<'c> {
    #[inline]
    fn context(&mut self) -> &mut Self {
        self
    }

    #[inline]
    fn conn(&self) -> Option<ConnectionId> {
        None
    }
}

impl<'c> HandlerContext<'c> for Connection<'c> {
    #[inline]
    fn context(&mut self) -> &mut Context<'c> {
        &mut self.context
    }

    #[inline]
    fn conn(&self) -> Option<ConnectionId> {
        Some(self.id())
    }
}

/// What a handler was called for, for a log line.
fn handler_of(conn: Option<ConnectionId>) -> String {
    conn.map_or_else(|| "events".to_owned(), |conn| format!("connection {conn}"))
}

/// Calls a handler; if it panics, returns the panic's message.
///
/// The engine's state stays consistent: handlers change it only through methods of [`Context`], and
/// these run no code of the application.
#[inline]
pub(crate) fn guard<T>(on_panic: OnPanic, call: impl FnOnce() -> T) -> Result<T, String> {
    match on_panic {
        OnPanic::CloseConnection => catch_unwind(AssertUnwindSafe(call)).map_err(message_of),
        OnPanic::Propagate => Ok(call()),
    }
}

/// The message of a panic, if it is text.
#[cold]
fn message_of(payload: Box<dyn Any + Send>) -> String {
    let payload = match payload.downcast::<String>() {
        Ok(message) => return *message,
        Err(payload) => payload,
    };
    match payload.downcast::<&'static str>() {
        Ok(message) => (*message).to_owned(),
        Err(payload) => {
            // Dropping an unknown type may panic again, outside any guard.
            std::mem::forget(payload);
            "a panic without a message".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn a_panics_message_is_kept_whatever_it_is() {
        let guard = |call: fn() -> u8| guard(OnPanic::CloseConnection, call);
        assert_eq!(guard(|| 7), Ok(7));
        assert_eq!(guard(|| panic!("text")), Err("text".to_owned()));
        assert_eq!(guard(|| panic!("number {}", 1)), Err("number 1".to_owned()));
        assert_eq!(guard(|| panic_any(Bomb)), Err("a panic without a message".to_owned()));
    }
}
