//! Connections whose queued output is sent.

use crate::engine::broadcast::order::catch_up_latest;
use crate::engine::event_loop::EventLoop;
use crate::engine::turn::calls::HandlerCall;
use crate::net::sockets::Sockets;
use crate::reactor::Reactor;

/// How many of the `waiting` drained connections one turn serves: it delivers what their topics
/// kept for them, then calls `on_drained`. 64 of them, or a quarter if that is more. So if n
/// connections drain in every turn, the queue grows to at most 4 n.
fn drained_at_once(waiting: usize) -> usize {
    waiting.min(64).max(waiting / 4)
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Sends drained connections what their topics kept for them, and calls `on_drained`.
    #[inline(never)]
    pub(crate) fn call_on_drained(&mut self, state: &mut S) {
        for _ in 0..drained_at_once(self.core.sockets.output.drained_len()) {
            let Some(conn) = self.core.sockets.next_drained() else {
                return;
            };
            // First what its topics kept for it.
            self.core.erased().catch_up(conn);
            self.core.sender().flush(conn);
            if catch_up_latest(self.core.erased(), conn) {
                let Sockets { registry, output } = &mut self.core.sockets;
                output.drain_again(registry, conn);
                continue;
            }
            // Output is queued again: `on_drained` is called once that is sent.
            if self.core.sockets.get(conn).is_some_and(|socket| socket.blocked || socket.is_dead())
            {
                continue;
            }
            self.core.topics.end_gaps(conn);
            self.call(conn, HandlerCall::Drained, |handler, conn| {
                handler.on_drained(conn, state);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_arrives_in_every_turn_the_drained_queue_stays_in_proportion() {
        for arriving in [1, 64, 65, 100, 1_000, 30_000] {
            let (mut waiting, mut longest) = (0, 0);
            for _ in 0..1_000 {
                waiting += arriving;
                longest = longest.max(waiting);
                waiting -= drained_at_once(waiting);
            }
            assert!(longest <= 4 * arriving + 4, "{longest} wait where {arriving} arrive");
            for _ in 0..100 {
                waiting -= drained_at_once(waiting);
            }
            assert_eq!(waiting, 0);
        }
    }
}
