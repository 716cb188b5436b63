//! What is still awaited of a peer after the end of its connection.

/// What is still awaited of a peer after the end of its connection, and how much it may send until
/// then. None of that is handed over. Beyond it the stream is cut: the timeout of a closing is no
/// limit for peers that send as fast as they can.
#[derive(Debug)]
pub(crate) struct Lingering {
    /// How many bytes may still come, and the bit [`DONE`](Self::DONE): every connection has one of
    /// these, and most never need it.
    left_and_done: u32,
}

impl Lingering {
    /// How much may come after a refusal, a response that ends the connection, a violation, or the
    /// peer's own close frame. To a WebSocket the longest message is added, so that a client whose
    /// message is a little too long learns so. This is read so that the system does not send a
    /// reset, which may destroy what the peer has not read (RFC 9112 §9.6).
    pub(crate) const CLOSED_BYTES_MAX: usize = 64 * 1024;

    /// How much may come after the application's close, until the peer's close frame, the longest
    /// message apart: more than Linux holds between two ends by default, 4 MiB of what one sent and
    /// 6 MiB of what the other has not received. The peer may have sent all that before our close
    /// frame reached it, and may end the message that it is sending (RFC 6455 §5.5.1).
    pub(super) const CLOSING_BYTES_MAX: usize = 16 * 1024 * 1024;

    /// Nothing more is awaited: the peer's close frame has come, or it got all responses and has
    /// not asked for more.
    const DONE: u32 = 1 << 31;

    pub(crate) const fn new() -> Self {
        Self { left_and_done: !Self::DONE }
    }

    /// Whether nothing more of the peer is awaited.
    pub(crate) const fn is_done(&self) -> bool {
        self.left_and_done & Self::DONE != 0
    }

    pub(crate) const fn set_done(&mut self, is_done: bool) {
        let done = if is_done { Self::DONE } else { 0 };
        self.left_and_done = self.left_and_done & !Self::DONE | done;
    }

    /// Counts bytes that came where `most` may come; whether they may.
    pub(super) fn admit(&mut self, count: usize, most: usize) -> bool {
        let left = self.left_and_done & !Self::DONE;
        let left = most.min(left as usize).checked_sub(count);
        // It was no more than that before.
        self.left_and_done = self.left_and_done & Self::DONE | left.unwrap_or(0) as u32;
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

    #[test]
    fn what_may_come_does_not_depend_on_whether_more_is_awaited() {
        let mut lingering = Lingering::new();
        assert!(!lingering.is_done() && lingering.admit(400, 1000));
        for is_done in [true, false] {
            lingering.set_done(is_done);
            assert_eq!(lingering.is_done(), is_done);
            assert!(lingering.admit(300, 1000));
            assert_eq!(lingering.is_done(), is_done);
        }
        lingering.set_done(true);
        assert!(!lingering.admit(1, 1000) && lingering.is_done());
    }
}
