//! The epoch of a durable topic.

use std::ops::Range;
use std::sync::Arc;

use super::configs::TopicStorage;

/// The present epoch of a durable topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicEpoch {
    pub(crate) name: Arc<str>,
    pub(crate) epoch: u64,
    /// The numbers of the messages from before the epoch that belong to it, too.
    pub(crate) inherited: Range<u64>,
    pub(crate) storage: TopicStorage,
}
