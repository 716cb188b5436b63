use crate::engine::broadcast::report::Gap;
use crate::engine::connection::Connection;
use crate::engine::ids::TopicId;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::topics::Resumption;

/// An application's handler for raw streams: connections over TCP, a Unix socket or TLS that speak
/// a protocol of the application's own.
///
/// All methods run on the loop's thread and borrow the application's state `S`. For each stream
/// [`on_open`](Self::on_open) comes first, and [`on_close`](Self::on_close) last and exactly once.
/// No method is called from inside another. If a method panics, the loop closes the stream and goes
/// on: [`OnPanic`](crate::OnPanic).
///
/// [`Connection`] is the same type as for WebSockets, and so are its limits on queued output, its
/// pauses and its subscriptions. The differences:
///
/// - [`send`](Connection::send) writes the bytes of the message as they are. So does a broadcast.
/// - [`close`](Connection::close) sends what is queued and then ends this half of the stream. Until
///   the peer has ended its half, too, or the
///   [close timeout](crate::StreamConfig::close_timeout) has passed, what it sends is thrown away;
///   then `on_close` is called. The code and reason are not sent.
/// - [`ping`](Connection::ping) is refused with [`SendStatus::Gone`](crate::SendStatus::Gone).
/// - There is no orderly way to tell a peer that output was dropped. So a stream whose peer is too
///   slow is cut.
///
/// ```
/// use eventwire::{Config, Connection, EventLoop, StreamConfig, StreamHandler};
///
/// /// Sends every line back.
/// struct Echo;
///
/// impl StreamHandler<()> for Echo {
///     fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], _: &mut ()) -> usize {
///         // A line that has not arrived whole is lent again, with more of it.
///         let lines = data.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
///         conn.send(&data[..lines]);
///         lines
///     }
/// }
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.listen_stream("127.0.0.1:0", StreamConfig::default(), Echo)?;
/// # event_loop.turn(Some(std::time::Duration::ZERO), &mut ())?;
/// # Ok::<(), eventwire::Error>(())
/// ```
#[expect(unused_variables, reason = "the names document the defaulted methods")]
pub trait StreamHandler<S> {
    /// The stream is open: connected and, if it uses TLS, encrypted.
    fn on_open(&mut self, conn: &mut Connection<'_>, state: &mut S) {}

    /// More bytes have arrived. Returns how many bytes at the front of `data` were used.
    ///
    /// `data` is never empty. It begins with what the previous call has not used. The rest is kept,
    /// and lent again with what comes next; the method is not called again before that. If it has
    /// [paused](Connection::pause) the stream, the rest is lent again once that is resumed, even if
    /// no more has come: so a handler can use one command at a time.
    ///
    /// A stream is closed if more is left unused than [`StreamConfig::max_kept`] allows
    /// ([`Disconnect::UnusedInput`]), or if the method returns more than the length of `data`
    /// ([`Disconnect::OverusedInput`]).
    ///
    /// [`StreamConfig::max_kept`]: crate::StreamConfig::max_kept
    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], state: &mut S) -> usize;

    /// All queued output ([`SendStatus::Queued`](crate::SendStatus)) is sent.
    fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut S) {}

    /// The stream missed some broadcasts, as
    /// [`WebSocketHandler::on_gap`](crate::WebSocketHandler::on_gap).
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

    /// An open stream has ended. Its id is refused from now on.
    ///
    /// If the peer has ended its half, that is [`Disconnect::EndOfStream`] with the number of bytes
    /// that were left unused. What was sent before still leaves.
    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, state: &mut S) {}

    /// A stream could not be connected.
    fn on_connect_error(&mut self, conn: &mut Connection<'_>, error: &ConnectError, state: &mut S) {
    }
}
