//! The tags by their keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::key::Tag;
use crate::slots::Key;

/// From keys to tags. Ordered, not hashed: peers may choose keys, and no choice of keys makes a
/// tree slow.
#[derive(Debug)]
pub(super) struct Names {
    texts: BTreeMap<Arc<str>, Key>,
    numbers: BTreeMap<u64, Key>,
}

/// A tag's key, kept.
#[derive(Clone, Debug)]
pub(super) enum Name {
    /// Shared with the map from keys to tags.
    Text(Arc<str>),
    Number(u64),
}

impl Name {
    pub(super) fn new(key: Tag<'_>) -> Self {
        match key {
            Tag::Text(text) => Self::Text(text.into()),
            Tag::Number(number) => Self::Number(number),
        }
    }

    pub(super) fn key(&self) -> Tag<'_> {
        match self {
            Self::Text(text) => Tag::Text(text),
            Self::Number(number) => Tag::Number(*number),
        }
    }
}

impl Names {
    pub(super) const fn new() -> Self {
        Self { texts: BTreeMap::new(), numbers: BTreeMap::new() }
    }

    pub(super) fn get(&self, key: Tag<'_>) -> Option<Key> {
        match key {
            Tag::Text(text) => self.texts.get(text).copied(),
            Tag::Number(number) => self.numbers.get(&number).copied(),
        }
    }

    pub(super) fn insert(&mut self, name: Name, tag: Key) {
        match name {
            Name::Text(text) => self.texts.insert(text, tag),
            Name::Number(number) => self.numbers.insert(number, tag),
        };
    }

    pub(super) fn remove(&mut self, name: &Name) {
        match name {
            Name::Text(text) => self.texts.remove(text),
            Name::Number(number) => self.numbers.remove(number),
        };
    }
}
