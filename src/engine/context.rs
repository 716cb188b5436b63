use std::fmt;
use std::time::Instant;

use crate::config::Shutdown;
use crate::engine::core::Core;
use crate::engine::handle::LoopHandle;
use crate::engine::stats::snapshot::Stats;
use crate::net::streams::Transmit;
use crate::queue::PublishError;

/// What a handler can do with its loop.
///
/// An event handler borrows a context. A connection's handler borrows a
/// [`Connection`](crate::Connection), which dereferences to a context. The type is the same for
/// every reactor, so handlers also run in a simulation.
///
/// Every handler may call every method. Calls take effect at once and in order:
///
/// - A broadcast reaches the connections that are subscribed when it is made. A connection that
///   subscribes later does not get it, not even from the same handler. One that unsubscribes or is
///   closed later gets it, before the close frame.
/// - In `on_upgrade` and `on_response` the connection is not open: it can be closed, but nothing
///   can be sent to it, and it cannot subscribe. In `on_close` and `on_connect_error` it is gone:
///   every call is refused, and it has no subscriptions and tags any more, so a broadcast there
///   reaches the others.
/// - No handler is called from inside another. The consequences of a call (a connection that
///   closes, an event, a gap) reach their handlers after the current one has returned.
pub struct Context<'a> {
    pub(crate) core: &'a mut Core<dyn Transmit + 'a>,
}

impl Context<'_> {
    /// Publishes an event to the handlers of its type
    /// ([`EventLoop::on`](crate::EventLoop::on)). They are called after the current handler
    /// returns, in this turn or the next.
    ///
    /// # Errors
    ///
    /// The error returns the event: [`PublishError::Full`] if [`Config::inbox`] events of its type
    /// from handlers are queued, [`PublishError::NoHandler`] if no handler is registered for its
    /// type, [`PublishError::Closed`] if the loop has ended.
    ///
    /// [`Config::inbox`]: crate::Config::inbox
    pub fn publish<E: 'static>(&mut self, event: E) -> Result<(), PublishError<E>> {
        self.core.events.push(event)
    }

    /// How many bytes are queued for all connections together: the sum of
    /// [`Connection::buffered_bytes`](crate::Connection::buffered_bytes). Bytes that several
    /// connections share count once for each of them here, but once in total for
    /// [`Config::max_outbound`](crate::Config::max_outbound).
    #[must_use]
    pub fn buffered_total(&self) -> usize {
        self.core.sockets.buffered_total()
    }

    /// The time at which this turn began. Makes no system call.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.core.streams.beginning() + self.core.now().since_beginning()
    }

    /// Unpredictable bytes of the system, for ids and secrets. In a simulation they are the same
    /// for each run with the same seed.
    ///
    /// ```
    /// use eventwire::Context;
    ///
    /// fn new_secret(cx: &mut Context<'_>) -> u128 {
    ///     u128::from_ne_bytes(cx.random_bytes())
    /// }
    /// ```
    #[must_use]
    pub fn random_bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.core.sockets.output.mask_keys.fill(&mut bytes);
        bytes
    }

    /// The same context for a shorter time: for a type that lends it on together with something
    /// else.
    ///
    /// ```
    /// use eventwire::{Connection, ConnectionId, Context};
    ///
    /// /// A player at a table.
    /// struct Player<'a> {
    ///     context: Context<'a>,
    ///     table: u32,
    /// }
    ///
    /// fn seat<'a>(context: &'a mut Context<'_>, table: u32) -> Player<'a> {
    ///     Player { context: context.reborrow(), table }
    /// }
    /// ```
    #[inline]
    #[must_use]
    pub fn reborrow(&mut self) -> Context<'_> {
        self.core.context()
    }

    /// A handle to this loop for other threads.
    #[must_use]
    pub fn handle(&self) -> LoopHandle {
        self.core.handle.clone()
    }

    /// The loop's statistics as of the end of the previous turn.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.handle.stats()
    }

    /// Ends the loop after this turn: every connection is closed with code 1001, and `run`
    /// returns.
    pub fn stop(&mut self) {
        self.core.ending.stop();
    }

    /// Closes every listener, as [`LoopHandle::stop_listening`](crate::LoopHandle::stop_listening)
    /// does.
    pub fn stop_listening(&mut self) {
        self.core.close_listeners();
    }

    /// Stops reading from every connection, as
    /// [`LoopHandle::stop_reading`](crate::LoopHandle::stop_reading) does.
    pub fn stop_reading(&mut self) {
        self.core.stop_reading();
    }

    /// Shuts the loop down in order, as [`LoopHandle::shutdown`](crate::LoopHandle::shutdown) does.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eventwire::{Config, EventLoop, RunEnd};
    ///
    /// struct Deploy;
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// event_loop.on(|cx, _: &Deploy, _: &mut ()| cx.shutdown(Duration::from_secs(10)));
    /// event_loop.publisher().publish(Deploy)?;
    /// assert_eq!(event_loop.run(&mut ())?.end, RunEnd::ShutDown);
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    pub fn shutdown(&mut self, shutdown: impl Into<Shutdown>) {
        self.core.ending.shut_down(self.core.now(), shutdown.into());
    }
}

impl Core<dyn Transmit + '_> {
    /// The context that a handler borrows.
    #[inline]
    pub(crate) fn context(&mut self) -> Context<'_> {
        Context { core: self }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = self.core.sockets.len();
        f.debug_struct("Context").field("connections", &connections).finish_non_exhaustive()
    }
}
