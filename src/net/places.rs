//! Where connections stand before they are open and after, and which of them makes room for a
//! newcomer: always the one that loses least.

mod line;

use std::time::Duration;

use self::line::{Line, Spots};
use crate::slots::Key;
use crate::time::Time;

/// What a peer has for its request, or for its end of a connection that was ended, before another
/// may take its place: enough for every peer that means it, and short for those who wait while
/// silent ones hold all places.
const FAIR: Duration = Duration::from_secs(1);

/// Of the idle ones, one in so many makes room at a time, so that a storm of newcomers is not let
/// in one by one.
const SHARE: usize = 32;

/// Idle ones that make room at a time, at most.
const MOST_AT_ONCE: usize = 32;

/// Where a connection stands.
///
/// ```text
/// accepted
///    │       upgraded               closed, all is written
///    ▼   ┌──────────────► Open ────────────────────────────┐
///  Asking┤                                                 │
///    ▲   └─────────────► Answering ────────────────────────┤
///    │    head is whole    │   ▲    refused, or last one   ▼
///    │                     ▼   │                        Leaving ──► Gone
///    └──────────────────── Idle ───────────────────────────┘
///      a request begins         timed out, or made room
/// ```
///
/// Any of them may fail, and is gone then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A request is under way: its head is not whole. The first one, with what comes before it, is
    /// an opening handshake under way.
    Asking,
    /// What it was answered is being written, or other requests of its wait behind that.
    Answering,
    /// It was answered, is kept alive, and asks for nothing.
    Idle,
    /// A WebSocket is open, or is being closed; or this program makes the connection.
    Open,
    /// It has ended and everything is written: only the peer's end is awaited.
    Leaving,
    /// The stream is of no more use.
    #[default]
    Gone,
}

/// Where a connection stands, and its spot in the line of those who stand there, if they make one.
#[derive(Debug, Default)]
pub(crate) struct Place {
    standing: Standing,
    spot: u32,
}

/// How many connections may stand where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaceLimits {
    /// Requests under way. One on a connection that is kept alive begins whatever the limit is, and
    /// the oldest goes once it has had its time.
    pub(crate) asking: usize,
    /// Connections that are kept alive.
    pub(crate) idle: usize,
}

/// The lines of those who may have to make room, each in the order in which they came there.
#[derive(Debug)]
pub(crate) struct Places {
    spots: Spots,
    asking: Line,
    idle: Line,
    leaving: Line,
    limits: PlaceLimits,
}

impl Places {
    pub(crate) fn new(limits: PlaceLimits) -> Self {
        Self {
            spots: Spots::default(),
            asking: Line::new(),
            idle: Line::new(),
            leaving: Line::new(),
            limits: PlaceLimits { asking: limits.asking.max(1), idle: limits.idle },
        }
    }

    /// The line of those who stand there, with all spots.
    const fn line_mut(&mut self, standing: Standing) -> Option<(&mut Line, &mut Spots)> {
        let line = match standing {
            Standing::Asking => &mut self.asking,
            Standing::Idle => &mut self.idle,
            Standing::Leaving => &mut self.leaving,
            Standing::Answering | Standing::Open | Standing::Gone => return None,
        };
        Some((line, &mut self.spots))
    }

    /// Moves a connection to where it stands from now on.
    pub(crate) fn change(&mut self, conn: Key, place: &mut Place, standing: Standing, now: Time) {
        if place.standing == standing {
            return;
        }
        if let Some((line, spots)) = self.line_mut(place.standing) {
            line.leave(spots, place.spot);
        }
        place.standing = standing;
        if let Some((line, spots)) = self.line_mut(standing) {
            place.spot = line.join(spots, conn, now);
        }
    }

    /// Whether one more may ask: there is a place, or the oldest has had its time.
    pub(crate) fn takes_another(&self, now: Time) -> bool {
        self.full_until().is_none_or(|until| until <= now)
    }

    /// If all places of those who ask are taken: when the oldest has had its time.
    pub(crate) fn full_until(&self) -> Option<Time> {
        if self.asking.len() < self.limits.asking {
            return None;
        }
        self.asking.front(&self.spots).map(|(_, since)| since + FAIR)
    }

    /// Who goes because more stand somewhere than may, and where that is.
    pub(crate) fn over_limit(&self, now: Time) -> Option<(Key, Standing)> {
        if self.idle.len() > self.limits.idle {
            return Some((self.idle.front(&self.spots)?.0, Standing::Idle));
        }
        if self.asking.len() <= self.limits.asking {
            return None;
        }
        let (conn, since) = self.asking.front(&self.spots)?;
        (since + FAIR <= now).then_some((conn, Standing::Asking))
    }

    /// Who is the next to make room where there is none for a newcomer, where that one stands, and
    /// from when on. Who leaves may do so in its time, and others stay meanwhile.
    fn next(&self) -> Option<(Key, Standing, Time)> {
        if let Some((conn, since)) = self.leaving.front(&self.spots) {
            return Some((conn, Standing::Leaving, since + FAIR));
        }
        let (conn, since) = self.idle.front(&self.spots)?;
        Some((conn, Standing::Idle, since))
    }

    /// When somebody makes room, if anybody does.
    pub(crate) fn yields_at(&self) -> Option<Time> {
        self.next().map(|(.., at)| at)
    }

    /// Who makes room now, and where they stand.
    pub(crate) fn yielding(&self, now: Time) -> Option<(Vec<Key>, Standing)> {
        let (conn, standing, _) = self.next().filter(|(.., at)| *at <= now)?;
        if standing != Standing::Idle {
            return Some((vec![conn], standing));
        }
        let count = (self.idle.len() / SHARE).clamp(1, MOST_AT_ONCE);
        Some((self.idle.iter(&self.spots).take(count).collect(), standing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    const START: Time = Time::BEGINNING;
    const MOMENT: Duration = Duration::from_millis(1);

    struct Crowd {
        places: Places,
        slots: Slots<Place>,
    }

    impl Crowd {
        fn new(asking: usize, idle: usize) -> Self {
            let places = Places::new(PlaceLimits { asking, idle });
            Self { places, slots: Slots::with_capacity(0) }
        }

        /// One who stands there from that moment on.
        fn one(&mut self, standing: Standing, now: Time) -> Key {
            let conn = self.slots.insert(Place::default());
            self.change(conn, standing, now);
            conn
        }

        fn change(&mut self, conn: Key, standing: Standing, now: Time) {
            let place = self.slots.get_mut(conn).expect("it is there");
            self.places.change(conn, place, standing, now);
        }

        /// Who makes room one after the other at that moment.
        fn go(&mut self, now: Time) -> Vec<Key> {
            let mut gone = Vec::new();
            while let Some((conns, _)) = self.places.yielding(now) {
                for conn in conns {
                    self.change(conn, Standing::Gone, now);
                    gone.push(conn);
                }
            }
            gone
        }
    }

    #[test]
    fn one_more_asks_when_there_is_a_place_or_the_oldest_has_had_its_time() {
        let mut crowd = Crowd::new(2, 9);
        let first = crowd.one(Standing::Asking, START);
        assert!(crowd.places.takes_another(START));
        let second = crowd.one(Standing::Asking, START + MOMENT);
        assert!(!crowd.places.takes_another(START + MOMENT));
        assert_eq!(crowd.places.full_until(), Some(START + FAIR));

        // The first has opened.
        crowd.change(first, Standing::Open, START + MOMENT);
        assert_eq!(crowd.places.full_until(), None);
        let third = crowd.one(Standing::Asking, START + MOMENT);
        assert!(!crowd.places.takes_another(START + FAIR));

        // The second has not, and goes for another.
        let later = START + MOMENT + FAIR;
        assert!(crowd.places.takes_another(later));
        assert_eq!(crowd.places.over_limit(later), None);
        crowd.one(Standing::Asking, later);
        assert_eq!(crowd.places.over_limit(later), Some((second, Standing::Asking)));
        crowd.change(second, Standing::Gone, later);
        assert_eq!(crowd.places.over_limit(later), None);
        assert_eq!(crowd.places.full_until(), Some(later));
        crowd.change(third, Standing::Answering, later);
        assert!(crowd.places.takes_another(later));
    }

    #[test]
    fn requests_on_kept_connections_may_be_too_many_until_the_oldest_has_had_its_time() {
        let mut crowd = Crowd::new(1, 9);
        let first = crowd.one(Standing::Asking, START);
        let kept = crowd.one(Standing::Idle, START);
        crowd.change(kept, Standing::Asking, START + MOMENT);
        assert_eq!(crowd.places.over_limit(START + MOMENT), None);
        assert_eq!(crowd.places.over_limit(START + FAIR), Some((first, Standing::Asking)));
    }

    #[test]
    fn of_too_many_idle_ones_the_longest_idle_goes() {
        let mut crowd = Crowd::new(9, 2);
        let conns: Vec<_> = (0..3).map(|_| crowd.one(Standing::Idle, START)).collect();
        // The first has asked for something since.
        crowd.change(conns[0], Standing::Answering, START);
        assert_eq!(crowd.places.over_limit(START), None);
        crowd.change(conns[0], Standing::Idle, START);
        assert_eq!(crowd.places.over_limit(START), Some((conns[1], Standing::Idle)));
        crowd.change(conns[1], Standing::Leaving, START);
        assert_eq!(crowd.places.over_limit(START), None);
    }

    #[test]
    fn whoever_loses_least_makes_room_and_whoever_is_served_does_not() {
        let mut crowd = Crowd::new(9, 9);
        crowd.one(Standing::Answering, START);
        crowd.one(Standing::Open, START);
        crowd.one(Standing::Asking, START);
        assert_eq!(crowd.places.yields_at(), None);
        let idle = [(); 2].map(|()| crowd.one(Standing::Idle, START));
        assert_eq!(crowd.places.yields_at(), Some(START));
        let leaving = crowd.one(Standing::Leaving, START);
        assert_eq!(crowd.places.yields_at(), Some(START + FAIR));
        assert_eq!(crowd.go(START), []);
        assert_eq!(crowd.go(START + FAIR), [leaving, idle[0], idle[1]]);
        assert_eq!(crowd.places.yields_at(), None);
    }

    #[test]
    fn of_many_idle_ones_some_make_room_at_once() {
        let mut crowd = Crowd::new(9, 999);
        let idle: Vec<_> = (0..200).map(|_| crowd.one(Standing::Idle, START)).collect();
        let yielding = crowd.places.yielding(START);
        assert_eq!(yielding, Some((idle[..6].to_vec(), Standing::Idle)));
        for conn in &idle[..6] {
            crowd.change(*conn, Standing::Leaving, START);
        }
        // The others stay while these leave.
        assert_eq!(crowd.places.yielding(START), None);
    }
}
