//! Calls of the application's handlers, and what becomes of their panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{ConnectionId, Context, EventLoop, WebSocketHandler};
use crate::config::OnPanic;
use crate::net::disconnect::Disconnect;
use crate::net::socket::End;
use crate::proto::CloseCode;
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Calls a connection's handler, lending it the rest of the loop; `None` if it panicked, or
    /// there is no such connection.
    pub(super) fn call<T>(
        &mut self,
        conn: Key,
        call: impl FnOnce(&mut dyn WebSocketHandler<S>, ConnectionId, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let socket = self.sockets.get(conn)?;
        let endpoint = self.endpoints.get_mut(socket.endpoint)?;
        let mut context = Context {
            sockets: &mut self.sockets,
            topics: &mut self.topics,
            events: &mut self.local_events,
            io: &mut self.streams,
            ending: &mut self.ending,
        };
        let handler = &mut *endpoint.handler;
        match guard(self.on_panic, || call(handler, ConnectionId(conn), &mut context)) {
            Ok(value) => Some(value),
            Err(message) => {
                self.panicked(conn, message);
                None
            }
        }
    }

    /// Closes a connection whose handler panicked, unless the handler was told of its end before.
    #[cold]
    fn panicked(&mut self, conn: Key, message: String) {
        let socket = self.sockets.get_mut(conn);
        let Some(socket) = socket.filter(|socket| socket.opened && !socket.told) else {
            return;
        };
        // Whatever else ends it, the handler must learn that its own state may be half-changed.
        socket.end = Some(Box::new(End::Disconnect(Disconnect::Panicked { message })));
        let code = CloseCode::INTERNAL;
        self.sockets.close(conn, code, "", &mut self.topics, &mut self.streams);
        self.sockets.revisit(conn);
    }
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
