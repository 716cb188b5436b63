//! Changes of a socket's rooms, so that events are recovered by the rooms that it was in when they
//! were sent.

use std::collections::VecDeque;
use std::rc::Rc;

/// The most changes that are kept. Events before an older one cannot be recovered.
const KEPT_MAX: usize = 64;

/// The last changes of a socket's rooms.
#[derive(Clone, Debug, Default)]
pub(in crate::socketio) struct Changes {
    /// The oldest first.
    kept: VecDeque<Change>,
    /// Before this offset there are changes that are not kept.
    floor: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    room: Rc<str>,
    /// The newest event before the change.
    behind: u64,
    entered: bool,
}

impl Changes {
    /// The socket has entered or left a room, behind the event with that offset.
    pub(in crate::socketio) fn push(&mut self, room: Rc<str>, behind: u64, entered: bool) {
        if self.kept.len() == KEPT_MAX {
            let oldest = self.kept.pop_front();
            self.floor = oldest.map_or(self.floor, |oldest| oldest.behind);
        }
        self.kept.push_back(Change { room, behind, entered });
    }

    /// Whether all changes behind an offset are known.
    pub(in crate::socketio) const fn reach_back_to(&self, offset: u64) -> bool {
        offset >= self.floor
    }

    /// Whether the socket was in a room when the event with that offset was sent. `is_in`: whether
    /// it is in the room after all changes.
    pub(in crate::socketio) fn was_in(&self, room: &str, event: u64, is_in: bool) -> bool {
        let later = self.kept.iter().find(|it| it.behind >= event && *it.room == *room);
        later.map_or(is_in, |change| !change.entered)
    }

    /// The changes in order: the room, the newest event before, and whether the room was entered.
    pub(in crate::socketio) fn iter(&self) -> impl Iterator<Item = (&str, u64, bool)> {
        self.kept.iter().map(|change| (&*change.room, change.behind, change.entered))
    }

    /// Before this offset there are changes that are not kept.
    pub(in crate::socketio) const fn floor(&self) -> u64 {
        self.floor
    }

    /// Nothing before this offset is known.
    pub(in crate::socketio) fn set_floor(&mut self, floor: u64) {
        self.floor = floor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_those_of_the_time_of_an_event() {
        let mut changes = Changes::default();
        let room: Rc<str> = "a".into();
        changes.push(Rc::clone(&room), 3, true);
        changes.push(Rc::clone(&room), 5, false);
        changes.push(Rc::clone(&room), 5, true);
        changes.push("b".into(), 7, false);
        let was_in = |event| changes.was_in("a", event, true);
        assert_eq!([2, 3, 4, 5, 6, 9].map(was_in), [false, false, true, true, true, true]);
        assert!(changes.was_in("b", 7, false) && !changes.was_in("b", 8, false));
        assert!(changes.was_in("c", 1, true) && !changes.was_in("c", 1, false));
        assert!(changes.reach_back_to(0));
    }

    #[test]
    fn many_changes_are_known_from_one_on() {
        let mut changes = Changes::default();
        for behind in 1..=KEPT_MAX as u64 + 2 {
            changes.push("a".into(), behind, true);
        }
        assert_eq!([1, 2, 3].map(|offset| changes.reach_back_to(offset)), [false, true, true]);
        assert_eq!(changes.iter().count(), KEPT_MAX);
    }
}
