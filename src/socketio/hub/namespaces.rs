//! Namespaces, and the topics in which they remember events.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Hub, Room};
use crate::logging::log_line;
use crate::slots::Key;
use crate::{Context, Durability, Position, TopicId};

/// A namespace that has members, or may recover some.
#[derive(Debug)]
pub(in super::super) struct Namespace {
    pub(in super::super) name: Rc<str>,
    /// All members.
    pub(in super::super) everyone: Room,
    pub(in super::super) rooms: BTreeMap<Rc<str>, Room>,
    /// How many sockets it has, those included that may be recovered.
    pub(in super::super) sockets: usize,
    /// `None`: clients cannot recover.
    pub(in super::super) events: Option<EventLog>,
}

/// The topic in which a namespace remembers events.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct EventLog {
    pub(in super::super) topic: TopicId,
    epoch: u64,
    /// Nothing can be recovered from before this offset.
    floor: u64,
    /// Whether a restart of the program finds the floor.
    is_floor_stored: bool,
    /// Whether it outlives the program.
    pub(in super::super) is_durable: bool,
}

impl EventLog {
    fn open(cx: &mut Context<'_>, topic: TopicId) -> Option<Self> {
        let durability = cx.durability(topic);
        if durability.is_some_and(|durability| durability != Durability::DeliverFirst) {
            let name = cx.topic_name(topic).unwrap_or_default();
            log_line!(error, "no recovery: the topic {name:?} does not deliver first");
            return None;
        }
        let epoch = cx.position(topic)?.epoch();
        Some(Self {
            topic,
            epoch,
            floor: 0,
            is_floor_stored: true,
            is_durable: durability.is_some(),
        })
    }

    /// The epoch of the events that are remembered.
    pub(in super::super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The position of the newest event, if all before it can be told.
    pub(in super::super) fn newest(&self, cx: &Context<'_>) -> Option<Position> {
        cx.position(self.topic).filter(|position| position.epoch() == self.epoch)
    }

    /// An event was sent that is not remembered.
    pub(in super::super) fn forget(&mut self, cx: &Context<'_>) {
        if let Some(newest) = cx.position(self.topic) {
            // Clients have it with the offset that the next event gets, so that this offset does
            // not tell what a client has.
            (self.epoch, self.floor) = (newest.epoch(), newest.offset() + 2);
            self.is_floor_stored = !self.is_durable;
        }
    }

    /// The floor, if it is still to be stored.
    pub(in super::super) const fn floor_to_store(&self) -> Option<u64> {
        if self.is_floor_stored { None } else { Some(self.floor) }
    }

    /// The floor is stored.
    pub(in super::super) const fn set_stored_floor(&mut self, floor: u64) {
        (self.floor, self.is_floor_stored) = (floor, true);
    }

    /// Whether every event behind a position is there.
    pub(in super::super) fn has_all_behind(&self, cx: &Context<'_>, position: Position) -> bool {
        let (Some(newest), Some(oldest)) =
            (self.newest(cx), cx.position_before(self.topic, u64::MAX))
        else {
            return false;
        };
        let from = oldest.offset().max(self.floor);
        position.epoch() == self.epoch && (from..=newest.offset()).contains(&position.offset())
    }
}

impl Namespace {
    /// A room, or all of it.
    pub(in super::super) fn room_mut(&mut self, name: Option<&str>) -> Option<&mut Room> {
        match name {
            Some(name) => self.rooms.get_mut(name),
            None => Some(&mut self.everyone),
        }
    }

    /// A room, or all of it.
    pub(in super::super) fn room(&self, name: Option<&str>) -> Option<&Room> {
        match name {
            Some(name) => self.rooms.get(name),
            None => Some(&self.everyone),
        }
    }
}

impl Hub {
    /// The namespace of that name, made if it does not exist.
    pub(in super::super) fn namespace(&mut self, cx: &mut Context<'_>, name: &str) -> Key {
        if let Some(key) = self.by_name.get(name) {
            return *key;
        }
        let topic = format!("{}{name}", self.path);
        let everyone = Room::new(cx, &topic);
        let events = self.config.recovery.and_then(|recovery| {
            let topic = cx.topic_with(&format!("{topic}!events"), &recovery.topic());
            match topic {
                Ok(topic) => EventLog::open(cx, topic),
                Err(error) => {
                    log_line!(error, "no recovery in the namespace {name:?}: {error}");
                    None
                }
            }
        });
        let name: Rc<str> = name.into();
        let namespace = Namespace {
            name: Rc::clone(&name),
            everyone,
            rooms: BTreeMap::new(),
            sockets: 0,
            events,
        };
        let key = self.namespaces.insert(namespace);
        self.by_name.insert(name, key);
        self.restore(cx, key);
        key
    }

    /// Removes a namespace that has no sockets any more, unless it is listed.
    pub(in super::super) fn drop_namespace(&mut self, cx: &mut Context<'_>, key: Key) {
        let Some(namespace) = self.namespaces.get(key).filter(|namespace| namespace.sockets == 0)
        else {
            return;
        };
        if self.config.namespaces.iter().any(|listed| **listed == *namespace.name) {
            return;
        }
        let Some(namespace) = self.namespaces.remove(key) else {
            return;
        };
        self.by_name.remove(&namespace.name);
        let events = namespace.events.filter(|events| !events.is_durable);
        let topics = [namespace.everyone.topic, events.map(|events| events.topic)];
        topics.into_iter().flatten().for_each(|topic| {
            cx.remove_topic(topic);
        });
    }
}
