//! Lines of connections. Each connection stands in one at most; joining and leaving take the same
//! time however long the line is.

use slab::Slab;

use crate::slots::Key;
use crate::time::Time;

/// No spot.
const NONE: u32 = u32::MAX;

/// The spots of all lines, linked to their neighbours.
#[derive(Debug, Default)]
pub(super) struct Spots(Slab<Spot>);

#[derive(Debug)]
struct Spot {
    conn: Key,
    since: Time,
    before: u32,
    behind: u32,
}

/// One line. The connection that joined first is at its front.
#[derive(Debug)]
pub(super) struct Line {
    front: u32,
    back: u32,
    len: usize,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self { front: NONE, back: NONE, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The first in the line, and since when it stands there.
    pub(super) fn front(&self, spots: &Spots) -> Option<(Key, Time)> {
        spots.0.get(self.front as usize).map(|spot| (spot.conn, spot.since))
    }

    /// The connections in the line, from its front on.
    pub(super) fn iter<'a>(&self, spots: &'a Spots) -> impl Iterator<Item = Key> + 'a {
        let spot = |at: u32| spots.0.get(at as usize);
        let first = spot(self.front);
        let next = move |one: &&Spot| spot(one.behind);
        std::iter::successors(first, next).map(|spot| spot.conn)
    }

    /// Joins the line at its back. Returns the spot, from which it is removed later.
    pub(super) fn join(&mut self, spots: &mut Spots, conn: Key, since: Time) -> u32 {
        let spot = spots.0.insert(Spot { conn, since, before: self.back, behind: NONE });
        let spot = u32::try_from(spot).expect("fewer than 2^32 connections fit in memory");
        match spots.0.get_mut(self.back as usize) {
            Some(last) => last.behind = spot,
            None => self.front = spot,
        }
        self.back = spot;
        self.len += 1;
        spot
    }

    /// Removes the connection at that spot of this line.
    pub(super) fn leave(&mut self, spots: &mut Spots, spot: u32) {
        let Some(Spot { before, behind, .. }) = spots.0.try_remove(spot as usize) else {
            return;
        };
        match spots.0.get_mut(before as usize) {
            Some(neighbour) => neighbour.behind = behind,
            None => self.front = behind,
        }
        match spots.0.get_mut(behind as usize) {
            Some(neighbour) => neighbour.before = before,
            None => self.back = before,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_keep_their_order_when_any_leaves(
            steps in prop::collection::vec((any::<bool>(), 0..20_usize), 0..200),
        ) {
            let mut spots = Spots::default();
            let mut lines = [Line::new(), Line::new()];
            let mut models = [VecDeque::new(), VecDeque::new()];
            for (number, (which, at)) in (1..).zip(steps) {
                let which = usize::from(which);
                let (line, model) = (&mut lines[which], &mut models[which]);
                let conn = Key::from_bits(number);
                if at < model.len() {
                    let (_, spot) = model.remove(at).expect("one that stands there");
                    line.leave(&mut spots, spot);
                } else {
                    model.push_back((conn, line.join(&mut spots, conn, Time::from_nanos(number))));
                }
                for (line, model) in lines.iter().zip(&models) {
                    prop_assert_eq!(line.len(), model.len());
                    prop_assert_eq!(
                        line.front(&spots).map(|(conn, _)| conn),
                        model.front().map(|(conn, _)| *conn)
                    );
                }
            }
            prop_assert_eq!(spots.0.len(), models.iter().map(VecDeque::len).sum::<usize>());
        }
    }
}
