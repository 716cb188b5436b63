//! Calls of the application's handlers: what becomes of their panics, and how long they take.

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
    /// [`WebSocketHandler::on_open`](crate::WebSocketHandler::on_open).
    Open,
    /// [`WebSocketHandler::on_message`](crate::WebSocketHandler::on_message).
    Message,
    /// [`WebSocketHandler::on_ping`](crate::WebSocketHandler::on_ping).
    Ping,
    /// [`WebSocketHandler::on_pong`](crate::WebSocketHandler::on_pong).
    Pong,
    /// [`WebSocketHandler::on_drained`](crate::WebSocketHandler::on_drained).
    Drained,
    /// [`WebSocketHandler::on_gap`](crate::WebSocketHandler::on_gap).
    Gap,
    /// [`WebSocketHandler::on_close`](crate::WebSocketHandler::on_close).
    Close,
    /// [`WebSocketHandler::on_connect_error`](crate::WebSocketHandler::on_connect_error).
    ConnectError,
    /// [`EventHandler::on_event`](crate::EventHandler::on_event), of the type with that name.
    Event(&'static str),
    /// [`EventHandler::on_batch_end`](crate::EventHandler::on_batch_end), of the type with that
    /// name.
    BatchEnd(&'static str),
}

impl HandlerCall {
    /// Whether it is for events of the type with that name.
    fn is_of(self, event: &str) -> bool {
        matches!(self, Self::Event(name) | Self::BatchEnd(name) if name == event)
    }
}

/// A handler held the loop up for as long as
/// [`Config::slow_handler`](crate::Config::slow_handler) says, or longer.
///
/// The loop publishes it as an event, after the call: register for it with
/// [`EventLoop::on`](crate::EventLoop::on). It is not published for handlers of this very type. A
/// loop that is being held up is seen from other threads: [`Stats::turn_since`](crate::Stats).
///
/// ```
/// use std::time::Duration;
/// use eventwire::{Config, EventLoop, SlowCall};
///
/// struct Report;
///
/// let mut event_loop = EventLoop::new(Config::default().slow_handler(Duration::ZERO))?;
/// event_loop.on(|_, _: &Report, _| { /* far too much work */ });
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
    /// The connection that it was for; none if it handled an event.
    pub conn: Option<ConnectionId>,
    /// How long it took.
    pub time: Duration,
}

/// One call in 64 is timed, unless slow calls are to be reported: reading the clock costs about as
/// much as handling a short message. A power of two.
const CALLS_PER_TIMED: u64 = 64;

/// How handlers are called: what becomes of their panics, and how long they take.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) on_panic: OnPanic,
    /// Longer calls are told of.
    limit: Option<Duration>,
    meters: Arc<Meters>,
    count: u64,
    /// Calls whose number has none of these bits are timed.
    untimed: u64,
    /// When the present call of several under one guard began, if it is timed.
    began: Option<Time>,
    /// Calls that panicked.
    pub(crate) panics: u64,
    /// Calls that took longer than `limit`.
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

    /// How often handlers were called.
    #[inline]
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Whether the next call is one of those that are timed. Counts it.
    #[inline]
    const fn is_timed(&mut self) -> bool {
        self.count += 1;
        self.count & self.untimed == 0
    }

    /// A call begins, of several under one guard.
    #[inline]
    pub(crate) fn begin<'c>(&mut self, cx: &mut impl HandlerContext<'c>) {
        if self.is_timed() {
            self.began = Some(cx.context().core.streams.now());
        }
    }

    /// The call that was [begun](Self::begin) has ended, or panicked.
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
            // No handler need be registered for it, and the stats have counted it.
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

/// The connection that a handler was called for, for a line of the log.
fn handler_of(conn: Option<ConnectionId>) -> String {
    conn.map_or_else(|| "events".to_owned(), |conn| format!("connection {conn}"))
}

/// Calls a handler; if it panics, returns the panic's message.
///
/// No state of the engine is half-changed then: handlers reach it through methods of [`Context`]
/// alone, and inside those no code of the application runs.
#[inline]
pub(crate) fn guard<T>(on_panic: OnPanic, call: impl FnOnce() -> T) -> Result<T, String> {
    match on_panic {
        OnPanic::CloseConnection => catch_unwind(AssertUnwindSafe(call)).map_err(message_of),
        OnPanic::Propagate => Ok(call()),
    }
}

/// What a panic was called with, if it was text.
#[cold]
fn message_of(payload: Box<dyn Any + Send>) -> String {
    let payload = match payload.downcast::<String>() {
        Ok(message) => return *message,
        Err(payload) => payload,
    };
    match payload.downcast::<&'static str>() {
        Ok(message) => (*message).to_owned(),
        Err(payload) => {
            // Dropping what somebody else made may panic again, outside any guard.
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
