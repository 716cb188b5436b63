//! Delivers the latest messages of keys: to connections whose output has room again, and to those
//! that get them at intervals.

use crate::engine::core::Core;
use crate::net::sockets::Sender;
use crate::net::streams::Transmit;
use crate::slots::Key;

/// The most shares of latest messages that a connection gets in one turn. Each is sent before the
/// next is taken, so that little waits in its outbox: what waits there does not change any more.
const SHARES_MAX: usize = 4;

/// How many connections a turn serves at ticks before the loop serves its sockets again.
const TICK_CONNECTIONS: usize = 256;

/// About how many bytes of latest messages a turn delivers at ticks, for the same reason.
const TICK_BYTES: usize = 1024 * 1024;

/// Delivers the latest messages of keys that are pending for a connection, as far as its output has
/// room. Returns whether there are more, and room for them.
pub(crate) fn catch_up_latest(core: &mut Core<dyn Transmit + '_>, conn: Key) -> bool {
    // Topics know connections by their slots, which a later connection may have.
    if core.sockets.get(conn).is_none() {
        return false;
    }
    for _ in 0..SHARES_MAX {
        let mut sender = Sender::new(&mut core.sockets, &mut core.streams);
        let caught_up = core.topics.conflation().catch_up(conn, &mut sender);
        if caught_up.bytes > 0 {
            sender.flush(conn);
        }
        if !caught_up.has_more || sender.send_capacity(conn).is_waiting() {
            return false;
        }
    }
    true
}

/// Serves a slice of the subscribers that get the latest messages at intervals.
#[inline(never)]
pub(crate) fn serve_ticks(core: &mut Core<dyn Transmit + '_>) {
    let now = core.now();
    let mut sender = Sender::new(&mut core.sockets, &mut core.streams);
    core.topics.conflation().serve_ticks(now, TICK_CONNECTIONS, TICK_BYTES, &mut sender);
}
