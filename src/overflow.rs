/// What happens to new messages or events for a receiver that is too slow, once as much waits for
/// it as may wait: for a [`Subscriber`](crate::Subscriber) on another thread, or for a connection
/// that is subscribed to a topic
/// ([`Connection::subscribe_with`](crate::Connection::subscribe_with)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OverflowPolicy {
    /// The receiver is ended, so that it can start anew: a subscriber after what waits for it, a
    /// connection with close code 1013. The default, because nothing is lost without notice.
    #[default]
    Close,
    /// The newest is dropped; what waits stays.
    DropNewest,
    /// The oldest that waits is dropped, in favour of the newest.
    DropOldest,
    /// Only the newest waits: for a state of which the latest value is all that matters.
    KeepLatest,
}
