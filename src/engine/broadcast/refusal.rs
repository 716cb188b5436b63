//! Why something that topics refuse is refused.

use crate::error::{Error, SubscribeError};
use crate::topics::TopicError;

/// Why there is no such topic.
pub(crate) const fn topic_error(error: TopicError) -> Error {
    match error {
        TopicError::NoJournal => Error::NoJournal,
        _ => Error::TopicLimit,
    }
}

/// Why a connection cannot subscribe.
pub(crate) const fn subscribe_error(error: TopicError) -> SubscribeError {
    match error {
        TopicError::Limit => SubscribeError::TooMany,
        _ => SubscribeError::TopicGone,
    }
}
