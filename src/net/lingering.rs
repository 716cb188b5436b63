//! How much a peer may still send after the end of its connection.

/// What a peer may still send, of which nothing is handed over any more. Beyond it the stream is
/// cut: the time that a closing has is no limit for those who send as fast as they can.
#[derive(Debug)]
pub(crate) struct Lingering {
    left: u32,
}

impl Lingering {
    /// After a refusal, an answer that ends the connection, a violation, or the peer's own close
    /// frame, in bytes; of a WebSocket, the longest message apart, so that a client whose message
    /// is a little too long learns so. It is read so that the system does not answer it with a
    /// reset, which may destroy what the peer has not read yet (RFC 9112 §9.6).
    pub(crate) const CLOSED_BYTES_MAX: usize = 64 * 1024;

    /// After the application's close, until the peer's close frame, in bytes, the longest message
    /// apart: more than Linux holds between two ends by default, 4 MiB of what one sent and 6 MiB
    /// of what the other has not received. The peer may have sent all that before our close frame
    /// reached it, and be within a message, which it may end first (RFC 6455 §5.5.1).
    pub(super) const CLOSING_BYTES_MAX: usize = 16 * 1024 * 1024;

    pub(crate) const fn new() -> Self {
        Self { left: u32::MAX }
    }

    /// Counts bytes that came where `most` may come; whether they may.
    pub(super) fn admit(&mut self, count: usize, most: usize) -> bool {
        let left = most.min(self.left as usize).checked_sub(count);
        // It was no more than that before.
        self.left = left.unwrap_or(0) as u32;
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_may_come_as_the_limit_that_holds_when_it_comes() {
        let mut lingering = Lingering::new();
        assert!(lingering.admit(600, 1000) && lingering.admit(400, 1000));
        assert!(!lingering.admit(1, 1000));

        let mut lingering = Lingering::new();
        assert!(lingering.admit(600, 1000));
        assert!(lingering.admit(100, 100));
        assert!(!lingering.admit(1, 100) && !lingering.admit(1, 1000));
    }
}
