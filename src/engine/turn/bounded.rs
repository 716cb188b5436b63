//! Receives no more than a slow peer or a rate limit allows.

use crate::engine::event_loop::EventLoop;
use crate::engine::rates::limiting::Limiting;
use crate::engine::turn::read::{Batch, Bound, Received};
use crate::rates::LimitKind;
use crate::reactor::Reactor;
use crate::slots::Key;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Receives once from a slow peer, which it charges for what came, or from one with rate
    /// limits. Whatever comes where nothing is allowed exceeds a limit.
    #[inline(never)]
    pub(super) fn receive_bounded(
        &mut self,
        conn: Key,
        buffer: &mut [u8],
        bound: Bound,
        state: &mut S,
    ) -> Received {
        let Bound { most, is_portion, hangup } = bound;
        let room = most.clamp(1, buffer.len());
        let end = match self.core.streams.recv(conn.index(), &mut buffer[..room]) {
            Ok(Some(len)) if len > 0 => len,
            other => return self.receive_end(conn, other),
        };
        if most == 0 {
            Limiting::new(self.core.erased()).close_by_limit(conn, LimitKind::Bytes);
            return Received::More(end);
        }
        let is_drained = end < room && !hangup;
        let input = &mut buffer[..end];
        let received = self.handle_batch(conn, Batch { input, at: 0, is_drained }, false, state);
        if is_portion {
            self.core.sockets.registry.charge(conn, end);
        }
        received
    }
}
