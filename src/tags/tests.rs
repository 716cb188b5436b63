use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Tag, TagError, TagLimits, Tags};
use crate::slots::{Key, Slots};

fn tags(tags: usize, of_connection: usize) -> Tags {
    Tags::new(TagLimits { tags, of_connection })
}

fn conn(slot: u64, generation: u64) -> Key {
    Key::from_bits(generation << 32 | slot)
}

fn of(tags: &Tags, key: impl Into<Tag<'static>>) -> Vec<Key> {
    let mut tagged: Vec<Key> = tags.tagged(key.into()).collect();
    tagged.sort_unstable();
    tagged
}

#[test]
fn a_tag_ends_with_its_last_connection() {
    let (mut tags, first, second) = (tags(9, 9), conn(0, 1), conn(5, 2));
    assert_eq!(tags.add(first, "room".into()), Ok(true));
    assert_eq!(tags.add(first, "room".into()), Ok(false));
    assert_eq!(tags.add(second, "room".into()), Ok(true));
    assert_eq!(tags.add(second, 7_u64.into()), Ok(true));
    assert_eq!((of(&tags, "room"), tags.len()), (vec![first, second], 2));
    assert!(tags.remove(first, "room".into()));
    assert!(!tags.remove(first, "room".into()));
    assert_eq!((of(&tags, "room"), tags.len()), (vec![second], 2));
    tags.remove_connection(second);
    assert_eq!((of(&tags, "room"), of(&tags, 7_u64), tags.len()), (vec![], vec![], 0));
}

#[test]
fn text_and_numbers_are_different_keys() {
    let (mut tags, conn) = (tags(9, 9), conn(0, 1));
    assert_eq!(tags.add(conn, 42_u32.into()), Ok(true));
    assert!(tags.has(conn, 42_u64.into()));
    assert!(!tags.has(conn, "42".into()));
    assert_eq!(tags.add(conn, "42".into()), Ok(true));
    assert_eq!(tags.of(conn).collect::<Vec<_>>(), [Tag::Number(42), Tag::Text("42")]);
    assert_eq!(tags.of(conn).map(|tag| tag.to_string()).collect::<Vec<_>>(), ["42", "42"]);
}

#[test]
fn what_exceeds_a_limit_changes_nothing() {
    let (mut tags, first, second) = (tags(3, 2), conn(0, 1), conn(1, 2));
    let (longest, too_long) = ("k".repeat(Tag::MAX_LEN), "k".repeat(Tag::MAX_LEN + 1));
    assert_eq!(tags.add(first, "".into()), Err(TagError::EmptyKey));
    assert_eq!(tags.add(first, (&too_long).into()), Err(TagError::KeyTooLong));
    assert_eq!(tags.add(first, (&longest).into()), Ok(true));
    assert_eq!(tags.add(first, 1_u64.into()), Ok(true));
    assert_eq!(tags.add(first, 2_u64.into()), Err(TagError::TooMany));
    assert_eq!(tags.add(first, 1_u64.into()), Ok(false), "that one it has");
    assert_eq!(tags.add(second, 2_u64.into()), Ok(true));
    assert_eq!((tags.len(), tags.of(first).len(), tags.of(second).len()), (3, 2, 1));
    assert_eq!(tags.add(second, 3_u64.into()), Err(TagError::TooManyTags));
    assert_eq!(tags.add(second, 1_u64.into()), Ok(true), "that one exists");
    assert_eq!((tags.len(), of(&tags, 3_u64)), (3, vec![]));
}

#[test]
fn a_later_connection_in_the_same_slot_has_no_tags() {
    let (mut tags, former, later) = (tags(9, 9), conn(3, 1), conn(3, 2));
    assert_eq!(tags.add(former, "a".into()), Ok(true));
    assert!(!tags.has(later, "a".into()) && !tags.remove(later, "a".into()));
    tags.remove_connection(later);
    assert_eq!(of(&tags, "a"), [former]);
    tags.remove_connection(former);
    assert_eq!(tags.add(later, "b".into()), Ok(true));
    tags.remove_connection(former);
    assert!(!tags.remove(former, "b".into()) && tags.of(former).len() == 0);
    assert_eq!(of(&tags, "b"), [later]);
}

#[derive(Clone, Debug)]
enum Command {
    Add(prop::sample::Index, u64),
    Remove(prop::sample::Index, u64),
    End(prop::sample::Index),
    /// Like `close_tagged`: from the last connection of the tag to the first.
    EndTagged(u64),
}

fn command() -> impl Strategy<Value = Command> {
    let (conn, key) = (any::<prop::sample::Index>, 0..12_u64);
    prop_oneof![
        6 => (conn(), key.clone()).prop_map(|(conn, key)| Command::Add(conn, key)),
        3 => (conn(), key.clone()).prop_map(|(conn, key)| Command::Remove(conn, key)),
        1 => conn().prop_map(Command::End),
        1 => key.prop_map(Command::EndTagged),
    ]
}

const CONNECTIONS: usize = 10;
const LIMITS: TagLimits = TagLimits { tags: 9, of_connection: 5 };

/// The tags beside a set of pairs.
struct Pair {
    tags: Tags,
    model: BTreeSet<(Key, u64)>,
    slots: Slots<()>,
    conns: Vec<Key>,
}

/// Even keys are text.
fn with_key<V>(key: u64, act: impl FnOnce(Tag<'_>) -> V) -> V {
    if key % 2 == 0 { act((&format!("key {key}")).into()) } else { act(key.into()) }
}

impl Pair {
    fn new() -> Self {
        let mut slots = Slots::with_capacity(CONNECTIONS);
        let conns = (0..CONNECTIONS).map(|_| slots.insert(())).collect();
        Self { tags: Tags::new(LIMITS), model: BTreeSet::new(), slots, conns }
    }

    fn apply(&mut self, command: &Command) {
        match command {
            Command::Add(index, key) => self.add(*index.get(&self.conns), *key),
            Command::Remove(index, key) => {
                let conn = *index.get(&self.conns);
                let removed = with_key(*key, |key| self.tags.remove(conn, key));
                assert_eq!(removed, self.model.remove(&(conn, *key)));
            }
            Command::End(index) => self.end(index.index(CONNECTIONS)),
            Command::EndTagged(key) => {
                let len = with_key(*key, |key| self.tags.tagged(key).len());
                for index in (0..len).rev() {
                    let conn = with_key(*key, |key| self.tags.tagged_at(key, index));
                    let conn = conn.expect("it has the tag");
                    self.end(self.conns.iter().position(|it| *it == conn).expect("it lives"));
                }
                assert_eq!(with_key(*key, |key| self.tags.tagged(key).len()), 0);
            }
        }
    }

    fn add(&mut self, conn: Key, key: u64) {
        let is_new = !self.model.contains(&(conn, key));
        let has = self.model.iter().filter(|(it, _)| *it == conn).count();
        let all: BTreeSet<u64> = self.model.iter().map(|(_, key)| *key).collect();
        let expected = if is_new && has == LIMITS.of_connection {
            Err(TagError::TooMany)
        } else if !all.contains(&key) && all.len() == LIMITS.tags {
            Err(TagError::TooManyTags)
        } else {
            self.model.insert((conn, key));
            Ok(is_new)
        };
        assert_eq!(with_key(key, |key| self.tags.add(conn, key)), expected);
    }

    /// The connection ends, and another one takes its slot.
    fn end(&mut self, index: usize) {
        let conn = self.conns[index];
        self.tags.remove_connection(conn);
        self.model.retain(|(it, _)| *it != conn);
        self.slots.remove(conn);
        self.conns[index] = self.slots.insert(());
    }

    fn check(&self) {
        for key in 0..12 {
            let expected: Vec<Key> =
                self.model.iter().filter(|(_, it)| *it == key).map(|(conn, _)| *conn).collect();
            let mut found: Vec<Key> = with_key(key, |key| self.tags.tagged(key).collect());
            found.sort_unstable();
            assert_eq!(found, expected);
        }
        let count: usize = self.conns.iter().map(|conn| self.tags.of(*conn).len()).sum();
        assert_eq!(count, self.model.len());
        for (conn, key) in &self.model {
            assert!(with_key(*key, |key| self.tags.has(*conn, key)));
            assert!(with_key(*key, |key| self.tags.of(*conn).any(|own| own == key)));
        }
        let keys: BTreeSet<u64> = self.model.iter().map(|(_, key)| *key).collect();
        assert_eq!(self.tags.len(), keys.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]
    #[test]
    fn tags_are_a_set_of_pairs(commands in prop::collection::vec(command(), 0..300)) {
        let mut pair = Pair::new();
        for command in commands {
            pair.apply(&command);
            pair.check();
        }
    }
}
