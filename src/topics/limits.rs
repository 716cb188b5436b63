//! What topics may cost, and the errors of topics.

/// The longest name of a topic, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// The longest key of a message, in bytes.
pub(super) const KEY_BYTES_MAX: usize = 256;

/// The limits of all topics of a loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicLimits {
    /// The number of topics.
    pub(crate) topics: usize,
    /// The number of topics that one connection may subscribe to.
    pub(crate) subscriptions: usize,
    /// The number of keys of which one topic keeps the latest message.
    pub(crate) keys: usize,
    /// Bytes of one topic's open batch while the sealed batch is being delivered, bytes of its log,
    /// and bytes of the latest messages of its keys.
    pub(crate) backlog: usize,
    /// Bytes of memory of all topics' batches together.
    pub(crate) bytes: usize,
}

/// Why a topic was not created or joined, or a broadcast was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicError {
    /// The topic does not exist.
    Gone,
    /// A limit of [`TopicLimits`] was reached, or the name or key is too long.
    Limit,
    /// The topic is durable: the journal takes its messages first.
    Durable,
    /// The topic is durable, and there is no journal.
    NoJournal,
}
