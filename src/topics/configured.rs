//! Topics that bring a configuration of their own.

use super::all_topics::{Topics, make};
use super::configs::TopicConfig;
use super::limits::TopicError;
use crate::slots::Key;

/// The topic with this name. If there is none, it is created with this configuration, unless the
/// name matches a pattern that has one.
pub(crate) fn configured_topic(
    topics: &mut Topics,
    name: &str,
    config: &TopicConfig,
) -> Result<Key, TopicError> {
    if let Some(topic) = topics.names.get(name) {
        return Ok(*topic);
    }
    let config = topics.configs.find(name).unwrap_or(config).clone();
    make(topics, name, &config)
}
