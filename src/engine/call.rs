//! Calls of the application's handlers: what becomes of their panics, and how long they take.

use std::any::{Any, type_name};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::stats::Meters;
use super::{ConnectionId, Context, EventLoop, WebSocketHandler};
use crate::config::OnPanic;
use crate::logging::log_line;
use crate::net::aside::End;
use crate::net::disconnect::Disconnect;
use crate::proto::CloseCode;
use crate::reactor::Reactor;
use crate::slots::Key;
use crate::time::Time;

/// A method of a handler, as [`SlowCall`] names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// [`WebSocketHandler::on_upgrade`].
    Upgrade,
    /// [`HttpHandler::on_request`](crate::HttpHandler::on_request).
    Request,
    /// [`WebSocketHandler::on_open`].
    Open,
    /// [`WebSocketHandler::on_message`].
    Message,
    /// [`WebSocketHandler::on_ping`].
    Ping,
    /// [`WebSocketHandler::on_pong`].
    Pong,
    /// [`WebSocketHandler::on_drained`].
    Drained,
    /// [`WebSocketHandler::on_gap`].
    Gap,
    /// [`WebSocketHandler::on_close`].
    Close,
    /// [`WebSocketHandler::on_connect_error`].
    ConnectError,
    /// [`EventHandler::on_event`](crate::EventHandler::on_event), of the type with that name.
    Event(&'static str),
    /// [`EventHandler::on_batch_end`](crate::EventHandler::on_batch_end), of the type with that
    /// name.
    BatchEnd(&'static str),
}

impl Method {
    /// Whether it handles events of the type with that name.
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
/// use eventwire::{Config, Context, EventLoop, SlowCall};
///
/// struct Report;
///
/// let mut event_loop = EventLoop::new(Config::default().slow_handler(Duration::ZERO))?;
/// event_loop.on(|_: &Report, _: &mut Context<'_>, _: &mut ()| { /* far too much work */ });
/// event_loop.on(|slow: &SlowCall, cx: &mut Context<'_>, _: &mut ()| {
///     eprintln!("{:?} took {:?}", slow.method, slow.time);
///     cx.stop();
/// });
/// assert!(event_loop.publisher().publish(Report).is_ok());
/// event_loop.run(&mut ())?;
/// # Ok::<(), eventwire::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowCall {
    /// Which method it was.
    pub method: Method,
    /// Whose, unless it handled an event of the application's.
    pub conn: Option<ConnectionId>,
    /// How long it took.
    pub time: Duration,
}

/// Of so many calls, a power of two, one is timed, unless slow ones are to be told of: reading the
/// clock costs about as much as handling a short message.
const TIMED: u64 = 64;

/// How handlers are called: what becomes of their panics, and how long they take.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) on_panic: OnPanic,
    /// Longer calls are told of.
    limit: Option<Duration>,
    meters: Arc<Meters>,
    count: u64,
    /// Calls whose number has none of these bits are timed.
    untimed: u64,
    /// When the present call of several under one guard began, if it is timed.
    began: Option<Time>,
    /// Calls that panicked.
    pub(super) panics: u64,
    /// Calls that took longer than `limit`.
    pub(super) slow: u64,
}

impl Calls {
    pub(super) const fn new(
        on_panic: OnPanic,
        limit: Option<Duration>,
        meters: Arc<Meters>,
    ) -> Self {
        let untimed = if limit.is_some() { 0 } else { TIMED - 1 };
        Self { on_panic, limit, meters, count: 0, untimed, began: None, panics: 0, slow: 0 }
    }

    /// Calls a handler; if it panics, returns the panic's message.
    #[inline]
    pub(super) fn call<T>(
        &mut self,
        method: Method,
        conn: Option<ConnectionId>,
        cx: &mut Context<'_>,
        call: impl FnOnce(&mut Context<'_>) -> T,
    ) -> Result<T, String> {
        if self.is_timed() {
            return self.call_timed(method, conn, cx, call);
        }
        let result = guard(self.on_panic, || call(cx));
        if let Err(panic) = &result {
            self.note_panic(method, conn, panic);
        }
        result
    }

    fn call_timed<T>(
        &mut self,
        method: Method,
        conn: Option<ConnectionId>,
        cx: &mut Context<'_>,
        call: impl FnOnce(&mut Context<'_>) -> T,
    ) -> Result<T, String> {
        let began = cx.io.now();
        let result = guard(self.on_panic, || call(cx));
        self.note_time(method, conn, began, cx);
        result.inspect_err(|panic| self.note_panic(method, conn, panic))
    }

    /// How often handlers were called.
    #[inline]
    pub(super) const fn count(&self) -> u64 {
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
    pub(super) fn begin(&mut self, cx: &mut Context<'_>) {
        if self.is_timed() {
            self.began = Some(cx.io.now());
        }
    }

    /// The call that was [begun](Self::begin) has ended, or panicked.
    #[inline]
    pub(super) fn end(&mut self, method: Method, conn: Option<ConnectionId>, cx: &mut Context<'_>) {
        if let Some(began) = self.began {
            self.began = None;
            self.note_time(method, conn, began, cx);
        }
    }

    #[cold]
    pub(super) fn note_panic(&mut self, method: Method, conn: Option<ConnectionId>, message: &str) {
        self.panics += 1;
        log_line!(error, "{}: {method:?} panicked: {message}", whose(conn));
    }

    #[cold]
    fn note_time(
        &mut self,
        method: Method,
        conn: Option<ConnectionId>,
        began: Time,
        cx: &mut Context<'_>,
    ) {
        let time = cx.io.now().since(began);
        self.meters.handler_time.record(time);
        if self.limit.is_none_or(|limit| time < limit) {
            return;
        }
        self.slow += 1;
        log_line!(warn, "{}: {method:?} took {time:?}", whose(conn));
        if !method.is_of(type_name::<SlowCall>()) {
            // Nobody is obliged to register for it, and the stats have counted it.
            let _ = cx.events.push(SlowCall { method, conn, time });
        }
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// An endpoint's handler, how it is called, and what it is lent of the loop.
    #[inline]
    pub(super) fn lend(
        &mut self,
        endpoint: usize,
    ) -> Option<(&mut dyn WebSocketHandler<S>, &mut Calls, Context<'_>)> {
        let endpoint = self.endpoints.get_mut(endpoint)?;
        let context = Context {
            sockets: &mut self.sockets,
            topics: &mut self.topics,
            events: &mut self.local_events,
            io: &mut self.streams,
            ending: &mut self.ending,
        };
        Some((&mut *endpoint.handler, &mut self.calls, context))
    }

    /// Calls a connection's handler, lending it the rest of the loop; `None` if it panicked, or
    /// there is no such connection.
    #[inline]
    pub(super) fn call<T>(
        &mut self,
        conn: Key,
        method: Method,
        call: impl FnOnce(&mut dyn WebSocketHandler<S>, ConnectionId, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let endpoint = self.sockets.get(conn)?.endpoint();
        let (handler, calls, mut context) = self.lend(endpoint)?;
        let id = ConnectionId(conn);
        match calls.call(method, Some(id), &mut context, |cx| call(handler, id, cx)) {
            Ok(value) => Some(value),
            Err(message) => {
                self.panicked(conn, message);
                None
            }
        }
    }

    /// Closes a connection whose handler panicked, unless the handler was told of its end before.
    #[cold]
    pub(super) fn panicked(&mut self, conn: Key, message: String) {
        let socket = self.sockets.get_mut(conn);
        let Some(socket) = socket.filter(|socket| socket.opened && !socket.told) else {
            return;
        };
        // Whatever else ends it, the handler must learn that its own state may be half-changed.
        socket.overrule_end(End::Disconnect(Disconnect::Panicked { message }));
        let code = CloseCode::INTERNAL;
        self.sockets.close(conn, code, "", &mut self.topics, &mut self.streams);
        self.sockets.revisit(conn);
    }
}

/// Whose handler it is, for a line of the log.
fn whose(conn: Option<ConnectionId>) -> String {
    conn.map_or_else(|| "events".to_owned(), |conn| format!("connection {conn}"))
}

/// Calls a handler; if it panics, returns the panic's message.
///
/// No state of the engine is half-changed then: handlers reach it through methods of [`Context`]
/// alone, and inside those no code of the application runs.
#[inline]
pub(super) fn guard<T>(on_panic: OnPanic, call: impl FnOnce() -> T) -> Result<T, String> {
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
