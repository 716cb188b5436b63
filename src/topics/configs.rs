//! How topics are configured, by patterns of their names.

use std::fmt;

use super::envelope::Envelope;
use super::history::History;

/// How the topics of a name are kept. Nothing is, by default: a topic forwards its messages, and
/// forgets them.
///
/// ```
/// use eventwire::{Config, History, TopicConfig};
///
/// let config = Config::default()
///     .topics("room/*", TopicConfig::default().history(History::of(100)))
///     .topics("price/*", TopicConfig::default().history(History::latest()));
/// # let _ = config;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TopicConfig {
    pub(super) history: Option<History>,
    durability: Option<Durability>,
    stored: Option<History>,
    pub(super) envelope: Option<Envelope>,
}

/// When the messages of a durable topic are delivered. Its messages are stored by the loop's
/// [journal](crate::journal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// After they were committed, and that was synchronised: what a client has got survives a crash
    /// of the program, of the system, and a loss of power. The topic's positions survive, too.
    CommitFirst,
    /// At once, and they are stored a moment later. A crash loses the messages of that moment, so
    /// that the topic has a new epoch after it: no client recovers what may be incomplete.
    /// Positions survive an orderly end.
    DeliverFirst,
}

impl TopicConfig {
    /// Keeps messages in memory, for clients that come back
    /// ([`Connection::subscribe_from`](crate::Connection::subscribe_from)) and for handlers
    /// ([`Context::history`](crate::Context::history)). Default: none.
    #[must_use]
    pub const fn history(mut self, history: History) -> Self {
        self.history = Some(history);
        self
    }

    /// Writes each message together with its position, so that clients learn where to resume.
    /// Default: none, messages are sent as they are.
    #[must_use]
    pub fn envelope(mut self, envelope: Envelope) -> Self {
        self.envelope = Some(envelope);
        self
    }

    /// Stores the messages in the loop's journal, so that positions and the history survive a
    /// restart. Default: they are not stored. A durable topic needs a
    /// [history](Self::history) in memory.
    #[must_use]
    pub const fn durable(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Checks the configuration of the topics that match a pattern.
    pub(crate) fn check(&self, pattern: &str) -> Result<(), InvalidTopicConfig> {
        let Self { history, durability, stored, .. } = self;
        let refused = if [history, stored].into_iter().flatten().any(History::is_empty) {
            InvalidTopicConfig::Empty
        } else if durability.is_some() && history.is_none() {
            InvalidTopicConfig::NoHistory
        } else if stored.is_some() && durability.is_none() {
            InvalidTopicConfig::NotDurable
        } else {
            return Ok(());
        };
        Err(refused(pattern.to_owned()))
    }

    /// How the topics are stored, if they are durable.
    pub(super) fn storage(&self) -> Option<TopicStorage> {
        let (durability, loaded) = self.durability.zip(self.history)?;
        Some(TopicStorage { durability, kept: self.stored.unwrap_or(loaded), loaded })
    }

    /// How much of a durable topic the journal keeps. Default: as much as the history in memory.
    /// An age counts by the system's clock here, because it goes on while the program does not run.
    /// Clients resume from the history in memory; what the journal keeps beyond that is for queries
    /// of its file, and for a longer history that is configured later.
    #[must_use]
    pub const fn stored(mut self, history: History) -> Self {
        self.stored = Some(history);
        self
    }
}

/// How a durable topic is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicStorage {
    /// When its messages are delivered.
    pub durability: Durability,
    /// How much of it is kept.
    pub kept: History,
    /// How much of what is kept is loaded: the newest messages, up to its numbers and bytes.
    pub loaded: History,
}

/// The configurations of a loop's topics.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicConfigs(Vec<(NamePattern, TopicConfig)>);

/// A name, or the beginning of names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NamePattern {
    text: Box<str>,
    is_prefix: bool,
}

/// Why the configuration of topics is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidTopicConfig {
    /// An asterisk stands in a pattern at another place than the end.
    Pattern(String),
    /// The pattern was configured before.
    Taken(String),
    /// A history for this pattern keeps no messages, no bytes, or none for any time.
    Empty(String),
    /// The topics of this pattern are durable and have no history in memory.
    NoHistory(String),
    /// The journal is to keep messages of topics that are not durable.
    NotDurable(String),
}

impl fmt::Display for InvalidTopicConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => write!(f, "an asterisk is not at the end of {pattern:?}"),
            Self::Taken(pattern) => write!(f, "{pattern:?} is configured twice"),
            Self::Empty(pattern) => write!(f, "a history for {pattern:?} keeps nothing"),
            Self::NoHistory(pattern) => {
                write!(f, "topics {pattern:?} are durable and have no history")
            }
            Self::NotDurable(pattern) => {
                write!(f, "topics {pattern:?} are not durable, so nothing of them is stored")
            }
        }
    }
}

impl std::error::Error for InvalidTopicConfig {}

impl TopicConfigs {
    /// The configurations with these patterns.
    pub(crate) fn new(given: &[(String, TopicConfig)]) -> Result<Self, InvalidTopicConfig> {
        let mut configs = Self::default();
        for (pattern, config) in given {
            configs.add(pattern, config.clone())?;
        }
        Ok(configs)
    }

    /// Adds a configuration for the topics whose names match a pattern.
    pub(super) fn add(
        &mut self,
        pattern: &str,
        config: TopicConfig,
    ) -> Result<(), InvalidTopicConfig> {
        let (text, is_prefix) = match pattern.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (pattern, false),
        };
        if text.contains('*') {
            return Err(InvalidTopicConfig::Pattern(pattern.to_owned()));
        }
        config.check(pattern)?;
        let name = NamePattern { text: text.into(), is_prefix };
        if self.0.iter().any(|(other, _)| *other == name) {
            return Err(InvalidTopicConfig::Taken(pattern.to_owned()));
        }
        self.0.push((name, config));
        // The most specific one first.
        self.0.sort_by_key(|(name, _)| (name.is_prefix, std::cmp::Reverse(name.text.len())));
        Ok(())
    }

    /// The configuration of the topic with that name.
    pub(super) fn of(&self, name: &str) -> TopicConfig {
        self.find(name).cloned().unwrap_or_default()
    }

    /// The configuration of the patterns that match the name, if there is one.
    pub(super) fn find(&self, name: &str) -> Option<&TopicConfig> {
        let found = self.0.iter().find(|(pattern, _)| match pattern.is_prefix {
            true => name.starts_with(&*pattern.text),
            false => name == &*pattern.text,
        });
        found.map(|(_, config)| config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(history: History) -> TopicConfig {
        TopicConfig::default().history(history)
    }

    #[test]
    fn the_most_specific_pattern_decides() {
        let mut configs = TopicConfigs::default();
        for (number, pattern) in (1..).zip(["*", "a/b", "a/*", "a/b*", "a/bc/*"]) {
            configs.add(pattern, kept(History::of(number))).unwrap();
        }
        for (name, number) in
            [("", 1), ("b", 1), ("a/b", 2), ("a/c", 3), ("a/b/c", 4), ("a/bc", 4), ("a/bc/", 5)]
        {
            assert_eq!(configs.of(name), kept(History::of(number)), "{name:?}");
        }
        assert_eq!(TopicConfigs::default().of("a"), TopicConfig::default());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let mut configs = TopicConfigs::default();
        let one = History::of(1);
        configs.add("a*", kept(one)).unwrap();
        configs.add("a", kept(one)).unwrap();
        for (pattern, history, error) in [
            ("a*b", one, InvalidTopicConfig::Pattern("a*b".to_owned())),
            ("a**", one, InvalidTopicConfig::Pattern("a**".to_owned())),
            ("a*", one, InvalidTopicConfig::Taken("a*".to_owned())),
            ("b", History::of(0), InvalidTopicConfig::Empty("b".to_owned())),
            ("b", one.bytes(0), InvalidTopicConfig::Empty("b".to_owned())),
            ("b", one.age(std::time::Duration::ZERO), InvalidTopicConfig::Empty("b".to_owned())),
        ] {
            assert_eq!(configs.add(pattern, kept(history)), Err(error), "{pattern}");
        }
    }
}
