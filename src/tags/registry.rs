//! All tags and the connections that have them.

use super::key::Tag;
use super::limits::{TagError, TagLimits};
use super::names::{Name, Names};
use crate::slots::{Key, Slots};

/// Lists never shrink below this capacity.
const CAPACITY_MIN: usize = 8;

/// All tags of a loop.
///
/// Invariants: every tag has a connection. A [`TaggedConnection`] and its [`OwnTag`] name each
/// other's index.
#[derive(Debug)]
pub(crate) struct Tags {
    names: Names,
    /// Never shrinks below the largest number of tags so far.
    entries: Slots<Entry>,
    /// By the slot of the connection. Empty until one is tagged, and never shorter than the highest
    /// slot of a tagged one so far.
    connections: Vec<Connection>,
    limits: TagLimits,
}

/// One tag.
#[derive(Debug)]
struct Entry {
    name: Name,
    tagged: Vec<TaggedConnection>,
}

/// A connection, as one of its tags lists it.
#[derive(Clone, Copy, Debug)]
struct TaggedConnection {
    conn: Key,
    /// The index in the connection's list.
    position: u32,
}

/// The tags of one connection.
#[derive(Debug)]
struct Connection {
    /// The connection, since its slot is reused. Nothing if the list is empty.
    conn: Key,
    own_tags: Vec<OwnTag>,
}

/// A tag, as a connection lists it.
#[derive(Clone, Copy, Debug)]
struct OwnTag {
    tag: Key,
    /// The index in the tag's list.
    position: u32,
}

impl Tags {
    pub(crate) const fn new(limits: TagLimits) -> Self {
        Self { names: Names::new(), entries: Slots::new(), connections: Vec::new(), limits }
    }

    /// How many tags there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tags a connection. Returns `Ok(false)` if it has the tag already.
    pub(crate) fn add(&mut self, conn: Key, key: Tag<'_>) -> Result<bool, TagError> {
        check(key)?;
        let found = self.names.get(key);
        let own_tags = self.own_tags(conn);
        if found.is_some_and(|tag| own_tags.iter().any(|own| own.tag == tag)) {
            return Ok(false);
        }
        if own_tags.len() >= self.limits.of_connection {
            return Err(TagError::TooMany);
        }
        let tag = match found {
            Some(tag) => tag,
            None => self.add_tag(key)?,
        };
        let Some(entry) = self.entries.get_mut(tag) else {
            return Ok(false);
        };
        if self.connections.len() <= conn.index() {
            self.connections.resize_with(conn.index() + 1, Connection::none);
        }
        let own = &mut self.connections[conn.index()];
        debug_assert!(own.conn == conn || own.own_tags.is_empty(), "connections leave their tags");
        own.conn = conn;
        let position = entry.tagged.len() as u32;
        entry.tagged.push(TaggedConnection { conn, position: own.own_tags.len() as u32 });
        own.own_tags.push(OwnTag { tag, position });
        Ok(true)
    }

    fn add_tag(&mut self, key: Tag<'_>) -> Result<Key, TagError> {
        if self.entries.len() >= self.limits.tags {
            return Err(TagError::TooManyTags);
        }
        let name = Name::new(key);
        let tag = self.entries.insert(Entry { name: name.clone(), tagged: Vec::new() });
        self.names.insert(name, tag);
        Ok(tag)
    }

    /// Takes a tag from a connection. Returns whether it had it.
    pub(crate) fn remove(&mut self, conn: Key, key: Tag<'_>) -> bool {
        let Some(tag) = self.names.get(key) else {
            return false;
        };
        let Some(index) = self.own_tags(conn).iter().position(|own| own.tag == tag) else {
            return false;
        };
        self.leave(conn, index);
        true
    }

    /// Takes all its tags from a connection.
    #[inline]
    pub(crate) fn remove_connection(&mut self, conn: Key) {
        if !self.own_tags(conn).is_empty() {
            self.leave_all(conn);
        }
    }

    #[inline(never)]
    fn leave_all(&mut self, conn: Key) {
        while let Some(last) = self.own_tags(conn).len().checked_sub(1) {
            self.leave(conn, last);
        }
    }

    /// The tags that a connection has.
    pub(crate) fn of(&self, conn: Key) -> impl ExactSizeIterator<Item = Tag<'_>> {
        self.own_tags(conn).iter().map(|own| self.key(own.tag))
    }

    /// Whether a connection has a tag.
    pub(crate) fn has(&self, conn: Key, key: Tag<'_>) -> bool {
        let Some(tag) = self.names.get(key) else {
            return false;
        };
        self.own_tags(conn).iter().any(|own| own.tag == tag)
    }

    /// The connections that have a tag.
    pub(crate) fn tagged(&self, key: Tag<'_>) -> impl ExactSizeIterator<Item = Key> {
        self.list(key).iter().map(|entry| entry.conn)
    }

    /// The connection at that index among those that have a tag.
    pub(crate) fn tagged_at(&self, key: Tag<'_>, index: usize) -> Option<Key> {
        self.list(key).get(index).map(|entry| entry.conn)
    }

    fn list(&self, key: Tag<'_>) -> &[TaggedConnection] {
        let entry = self.names.get(key).and_then(|tag| self.entries.get(tag));
        entry.map_or(&[], |entry| &entry.tagged)
    }

    fn key(&self, tag: Key) -> Tag<'_> {
        // A connection has only tags that exist.
        self.entries.get(tag).map_or(Tag::Text(""), |entry| entry.name.key())
    }

    #[inline]
    fn own_tags(&self, conn: Key) -> &[OwnTag] {
        match self.connections.get(conn.index()) {
            Some(own) if own.conn == conn => &own.own_tags,
            _ => &[],
        }
    }

    /// Removes a tag, by its index in the connection's list, from both lists, and the tag itself if
    /// this was its last connection.
    fn leave(&mut self, conn: Key, index: usize) {
        let own = &mut self.connections[conn.index()];
        let left = own.own_tags.swap_remove(index);
        let moved = own.own_tags.get(index).copied();
        if own.own_tags.is_empty() {
            *own = Connection::none();
        } else {
            shrink(&mut own.own_tags);
        }
        if let Some(moved) = moved {
            if let Some(entry) = self.entries.get_mut(moved.tag) {
                entry.tagged[moved.position as usize].position = index as u32;
            }
        }
        let Some(entry) = self.entries.get_mut(left.tag) else {
            return;
        };
        entry.tagged.swap_remove(left.position as usize);
        shrink(&mut entry.tagged);
        if let Some(moved) = entry.tagged.get(left.position as usize) {
            let own_tags = &mut self.connections[moved.conn.index()].own_tags;
            own_tags[moved.position as usize].position = left.position;
        }
        if entry.tagged.is_empty() {
            if let Some(removed) = self.entries.remove(left.tag) {
                self.names.remove(&removed.name);
            }
        }
    }
}

impl Connection {
    const fn none() -> Self {
        Self { conn: Key::NONE, own_tags: Vec::new() }
    }
}

fn check(key: Tag<'_>) -> Result<(), TagError> {
    match key {
        Tag::Text("") => Err(TagError::EmptyKey),
        Tag::Text(text) if text.len() > Tag::MAX_LEN => Err(TagError::KeyTooLong),
        Tag::Text(_) | Tag::Number(_) => Ok(()),
    }
}

/// Shrinks a list that uses less than a quarter of its capacity.
fn shrink<T>(list: &mut Vec<T>) {
    if list.capacity() > CAPACITY_MIN.max(4 * list.len()) {
        list.shrink_to(CAPACITY_MIN.max(2 * list.len()));
    }
}
