//! Which topics have a history.

use std::fmt;

use super::history::History;

/// The histories of topics, by patterns of their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histories(Vec<(NamePattern, History)>);

/// A name, or the beginning of names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NamePattern {
    text: Box<str>,
    is_prefix: bool,
}

/// Why a history is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidHistory {
    /// An asterisk stands in a pattern at another place than the end.
    Pattern(String),
    /// Two histories have this pattern.
    Taken(String),
    /// The history for this pattern keeps no messages, no bytes, or none for any time.
    Empty(String),
}

impl fmt::Display for InvalidHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => write!(f, "an asterisk is not at the end of {pattern:?}"),
            Self::Taken(pattern) => write!(f, "there are two histories for {pattern:?}"),
            Self::Empty(pattern) => write!(f, "the history for {pattern:?} keeps nothing"),
        }
    }
}

impl std::error::Error for InvalidHistory {}

impl Histories {
    /// The histories with these patterns.
    pub(crate) fn new(given: &[(String, History)]) -> Result<Self, InvalidHistory> {
        let mut histories = Self::default();
        for (pattern, history) in given {
            histories.add(pattern, *history)?;
        }
        Ok(histories)
    }

    /// Adds a history for the topics whose names match a pattern.
    pub(super) fn add(&mut self, pattern: &str, history: History) -> Result<(), InvalidHistory> {
        let (text, is_prefix) = match pattern.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (pattern, false),
        };
        if text.contains('*') {
            return Err(InvalidHistory::Pattern(pattern.to_owned()));
        }
        if history.is_empty() {
            return Err(InvalidHistory::Empty(pattern.to_owned()));
        }
        let name = NamePattern { text: text.into(), is_prefix };
        if self.0.iter().any(|(other, _)| *other == name) {
            return Err(InvalidHistory::Taken(pattern.to_owned()));
        }
        self.0.push((name, history));
        // The most specific one first.
        self.0.sort_by_key(|(name, _)| (name.is_prefix, std::cmp::Reverse(name.text.len())));
        Ok(())
    }

    /// The history of the topic with that name.
    pub(super) fn of(&self, name: &str) -> Option<History> {
        let found = self.0.iter().find(|(pattern, _)| match pattern.is_prefix {
            true => name.starts_with(&*pattern.text),
            false => name == &*pattern.text,
        });
        found.map(|(_, history)| *history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_pattern_decides() {
        let mut histories = Histories::default();
        for (number, pattern) in (1..).zip(["*", "a/b", "a/*", "a/b*", "a/bc/*"]) {
            histories.add(pattern, History::of(number)).unwrap();
        }
        for (name, number) in
            [("", 1), ("b", 1), ("a/b", 2), ("a/c", 3), ("a/b/c", 4), ("a/bc", 4), ("a/bc/", 5)]
        {
            assert_eq!(histories.of(name), Some(History::of(number)), "{name:?}");
        }
        assert_eq!(Histories::default().of("a"), None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let mut histories = Histories::default();
        let kept = History::of(1);
        histories.add("a*", kept).unwrap();
        histories.add("a", kept).unwrap();
        for (pattern, history, error) in [
            ("a*b", kept, InvalidHistory::Pattern("a*b".to_owned())),
            ("a**", kept, InvalidHistory::Pattern("a**".to_owned())),
            ("a*", kept, InvalidHistory::Taken("a*".to_owned())),
            ("b", History::of(0), InvalidHistory::Empty("b".to_owned())),
            ("b", kept.bytes(0), InvalidHistory::Empty("b".to_owned())),
            ("b", kept.age(std::time::Duration::ZERO), InvalidHistory::Empty("b".to_owned())),
        ] {
            assert_eq!(histories.add(pattern, history), Err(error), "{pattern}");
        }
    }
}
