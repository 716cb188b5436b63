//! Namespaces, their rooms, and the topics in which they remember events.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::logging::log_line;
use crate::slots::Key;
use crate::{Context, Durability, Position, TopicId};

/// A namespace that has members, or may recover some.
#[derive(Debug)]
pub(in crate::socketio) struct Namespace {
    pub(in crate::socketio) name: Rc<str>,
    /// All members.
    pub(in crate::socketio) everyone: Room,
    pub(in crate::socketio) rooms: BTreeMap<Rc<str>, Room>,
    /// How many sockets it has, those included that may be recovered.
    pub(in crate::socketio) sockets: usize,
    /// `None`: clients cannot recover.
    pub(in crate::socketio) events: Option<EventLog>,
}

/// The topic in which a namespace remembers events.
#[derive(Clone, Copy, Debug)]
pub(in crate::socketio) struct EventLog {
    pub(in crate::socketio) topic: TopicId,
    epoch: u64,
    /// Nothing can be recovered from before this offset.
    floor: u64,
    /// Whether a restart of the program finds the floor.
    is_floor_stored: bool,
    /// Whether it outlives the program.
    pub(in crate::socketio) is_durable: bool,
}

impl EventLog {
    pub(in crate::socketio) fn open(cx: &mut Context<'_>, topic: TopicId) -> Option<Self> {
        let durability = cx.durability(topic);
        if durability.is_some_and(|durability| durability != Durability::DeliverFirst) {
            let name = cx.topic_name(topic).unwrap_or_default();
            log_line!(error, "no recovery: the topic {name:?} does not deliver first");
            return None;
        }
        let epoch = cx.position(topic)?.epoch();
        let (floor, is_floor_stored, is_durable) = (0, true, durability.is_some());
        Some(Self { topic, epoch, floor, is_floor_stored, is_durable })
    }

    /// The epoch of the events that are remembered.
    pub(in crate::socketio) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The position of the newest event, if all before it are remembered.
    pub(in crate::socketio) fn newest(&self, cx: &Context<'_>) -> Option<Position> {
        cx.position(self.topic).filter(|position| position.epoch() == self.epoch)
    }

    /// An event was sent that is not remembered.
    pub(in crate::socketio) fn forget(&mut self, cx: &Context<'_>) {
        if let Some(newest) = cx.position(self.topic) {
            // Clients have it with the offset that the next event gets, too, so that this offset
            // does not tell what a client has.
            (self.epoch, self.floor) = (newest.epoch(), newest.offset() + 2);
            self.is_floor_stored = !self.is_durable;
        }
    }

    /// The floor, if it is still to be stored.
    pub(in crate::socketio) const fn floor_to_store(&self) -> Option<u64> {
        if self.is_floor_stored { None } else { Some(self.floor) }
    }

    /// The floor is stored.
    pub(in crate::socketio) const fn set_stored_floor(&mut self, floor: u64) {
        (self.floor, self.is_floor_stored) = (floor, true);
    }

    /// Whether every event behind a position is there.
    pub(in crate::socketio) fn has_all_behind(&self, cx: &Context<'_>, position: Position) -> bool {
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
    pub(in crate::socketio) fn room_mut(&mut self, name: Option<&str>) -> Option<&mut Room> {
        match name {
            Some(name) => self.rooms.get_mut(name),
            None => Some(&mut self.everyone),
        }
    }

    /// A room, or all of it.
    pub(in crate::socketio) fn room(&self, name: Option<&str>) -> Option<&Room> {
        match name {
            Some(name) => self.rooms.get(name),
            None => Some(&self.everyone),
        }
    }
}

/// A room, or all of a namespace. Its members on WebSockets are subscribed to its topic.
#[derive(Debug)]
pub(in crate::socketio) struct Room {
    /// `None` if the loop takes no further topic.
    pub(in crate::socketio) topic: Option<TopicId>,
    /// Members that get what is sent to the room one by one: those by polling, those that still
    /// recover, and those whose connections take no further subscription.
    pub(in crate::socketio) detached: BTreeSet<Key>,
    pub(in crate::socketio) members: usize,
}

impl Room {
    /// A room whose topic has that name.
    pub(in crate::socketio) fn new(cx: &mut Context<'_>, name: &str) -> Self {
        Self { topic: cx.topic(name).ok(), detached: BTreeSet::new(), members: 0 }
    }
}
