//! Changes of a socket's rooms, so that events are recovered by the rooms that it was in when they
//! were sent.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::Position;

/// The most changes that are kept. Events before an older one cannot be recovered.
const KEPT_MAX: usize = 64;

/// The last changes of a socket's rooms.
#[derive(Clone, Debug)]
pub(in crate::socketio) struct Changes {
    /// The oldest first.
    kept: VecDeque<Change>,
    /// Before this position there are changes that are not kept.
    floor: Position,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    room: Rc<str>,
    /// The newest event before the change.
    behind: Position,
    entered: bool,
}

impl Changes {
    /// All changes from a position on, of which there are none.
    pub(in crate::socketio) const fn from(floor: Position) -> Self {
        Self { kept: VecDeque::new(), floor }
    }

    /// The socket has entered or left a room, behind the event at that position.
    pub(in crate::socketio) fn push(&mut self, room: Rc<str>, behind: Position, entered: bool) {
        if self.kept.len() == KEPT_MAX {
            let oldest = self.kept.pop_front();
            self.floor = oldest.map_or(self.floor, |oldest| oldest.behind);
        }
        self.kept.push_back(Change { room, behind, entered });
    }

    /// Whether all changes behind a position are known. What belongs to an earlier epoch was before
    /// all of this one.
    pub(in crate::socketio) const fn reach_back_to(&self, position: Position) -> bool {
        position.epoch() != self.floor.epoch() || position.offset() >= self.floor.offset()
    }

    /// Whether the socket was in a room when the event at that position was sent. `is_in`: whether
    /// it is in the room after all changes.
    pub(in crate::socketio) fn was_in(&self, room: &str, event: Position, is_in: bool) -> bool {
        let is_later =
            |behind: Position| behind.epoch() == event.epoch() && behind.offset() >= event.offset();
        let later = self.kept.iter().find(|it| is_later(it.behind) && *it.room == *room);
        later.map_or(is_in, |change| !change.entered)
    }

    /// The changes of an epoch in order: the room, the offset of the newest event before, and
    /// whether the room was entered.
    pub(in crate::socketio) fn iter(&self, epoch: u64) -> impl Iterator<Item = (&str, u64, bool)> {
        let kept = self.kept.iter().filter(move |change| change.behind.epoch() == epoch);
        kept.map(|change| (&*change.room, change.behind.offset(), change.entered))
    }

    /// Before this position there are changes that are not kept.
    pub(in crate::socketio) const fn floor(&self) -> Position {
        self.floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(offset: u64) -> Position {
        Position::new(7, offset)
    }

    #[test]
    fn rooms_are_those_of_the_time_of_an_event() {
        let mut changes = Changes::from(at(0));
        let room: Rc<str> = "a".into();
        changes.push(Rc::clone(&room), Position::new(6, 99), false);
        changes.push(Rc::clone(&room), at(3), true);
        changes.push(Rc::clone(&room), at(5), false);
        changes.push(Rc::clone(&room), at(5), true);
        changes.push("b".into(), at(7), false);
        let was_in = |event| changes.was_in("a", at(event), true);
        assert_eq!([2, 3, 4, 5, 6, 9].map(was_in), [false, false, true, true, true, true]);
        assert!(changes.was_in("b", at(7), false) && !changes.was_in("b", at(8), false));
        assert!(changes.was_in("c", at(1), true) && !changes.was_in("c", at(1), false));
        assert!(changes.reach_back_to(at(0)));
        assert_eq!(changes.iter(7).count(), 4);
    }

    #[test]
    fn many_changes_are_known_from_one_on() {
        let mut changes = Changes::from(at(0));
        for behind in 1..=KEPT_MAX as u64 + 2 {
            changes.push("a".into(), at(behind), true);
        }
        assert_eq!([1, 2, 3].map(|it| changes.reach_back_to(at(it))), [false, true, true]);
        assert_eq!((changes.iter(7).count(), changes.floor()), (KEPT_MAX, at(2)));
    }
}
