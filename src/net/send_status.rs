/// What became of a message that was sent. None of it is an error: peers that read slowly or have
/// gone are normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendStatus {
    /// Taken; it leaves with this turn at the latest.
    Sent,
    /// Taken; it waits until the peer has read what was sent before. The handler's `on_drained`
    /// is called when nothing waits any more.
    Queued,
    /// Not taken: more waits than the limit allows. A connection is being closed with code 1013.
    Dropped,
    /// Not taken: there is no such connection or topic, or it is not open.
    Gone,
}
