//! Where connections stand before and after they are open, and which of them makes room for a
//! newcomer: always the one that loses least.

mod line;

use std::time::Duration;

use self::line::{Line, Spots};
use crate::slots::Key;
use crate::time::Time;

/// The time that a peer has to send its request, or to end a connection that we have ended, before
/// another may take its place: enough for every honest peer, and short for those that wait while
/// silent ones hold all places.
const FAIR_DURATION: Duration = Duration::from_secs(1);

/// One idle connection in this many makes room at a time, so that a storm of newcomers is not let
/// in one by one.
const IDLE_PER_YIELDING: usize = 32;

/// The most idle connections that make room at a time.
const YIELDING_MAX: usize = 32;

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
/// In every state the connection may fail, and is gone then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A request is under way: its head is not whole. For the first one, that includes what comes
    /// before it, such as the handshake of TLS.
    Asking,
    /// A response is being written, or further requests wait behind it.
    Answering,
    /// The responses are written, it is kept alive, and asks for nothing.
    Idle,
    /// A WebSocket is open, or is being closed; or this program is making the connection.
    Open,
    /// It has ended and everything is written: only the peer's end is awaited.
    Leaving,
    /// The stream is of no more use.
    #[default]
    Gone,
}

/// Where a connection stands, and its spot in the line of those that stand there, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Place {
    standing: Standing,
    /// The bytes of an integer, because an integer would be followed by padding.
    spot: [u8; 4],
}

/// How many connections may stand in some of the places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaceLimits {
    /// Requests under way. On a connection that is kept alive, a request may begin beyond the
    /// limit; the oldest one ends once it has had its time.
    pub(crate) asking: usize,
    /// Connections that are kept alive.
    pub(crate) idle: usize,
}

/// The lines of connections that may have to make room, each in the order of their arrival.
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

    /// The line of those that stand there, with all spots.
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
            line.leave(spots, u32::from_ne_bytes(place.spot));
        }
        place.standing = standing;
        if let Some((line, spots)) = self.line_mut(standing) {
            place.spot = line.join(spots, conn, now).to_ne_bytes();
        }
    }

    /// Whether one more may send a request: there is a place, or the oldest has had its time.
    pub(crate) fn takes_another(&self, now: Time) -> bool {
        self.full_until().is_none_or(|until| until <= now)
    }

    /// If all places for requests are taken: when the oldest has had its time.
    pub(crate) fn full_until(&self) -> Option<Time> {
        if self.asking.len() < self.limits.asking {
            return None;
        }
        self.asking.front(&self.spots).map(|(_, since)| since + FAIR_DURATION)
    }

    /// Who goes because more stand somewhere than may, and where that is.
    pub(crate) fn surplus(&self, now: Time) -> Option<Candidate> {
        if self.idle.len() > self.limits.idle {
            let (conn, since) = self.idle.front(&self.spots)?;
            return Some(Candidate { conn, standing: Standing::Idle, at: since });
        }
        if self.asking.len() <= self.limits.asking {
            return None;
        }
        let (conn, since) = self.asking.front(&self.spots)?;
        let at = since + FAIR_DURATION;
        (at <= now).then_some(Candidate { conn, standing: Standing::Asking, at })
    }

    /// The next connection to make room where there is none for a newcomer. One that is leaving
    /// has its time for that, and the others stay meanwhile.
    fn next(&self) -> Option<Candidate> {
        if let Some((conn, since)) = self.leaving.front(&self.spots) {
            let at = since + FAIR_DURATION;
            return Some(Candidate { conn, standing: Standing::Leaving, at });
        }
        let (conn, since) = self.idle.front(&self.spots)?;
        Some(Candidate { conn, standing: Standing::Idle, at: since })
    }

    /// When the next connection makes room, if one does.
    pub(crate) fn yields_at(&self) -> Option<Time> {
        self.next().map(|candidate| candidate.at)
    }

    /// The connections that make room now.
    pub(crate) fn yielding(&self, now: Time) -> Option<Yielding> {
        let Candidate { conn, standing, .. } = self.next().filter(|next| next.at <= now)?;
        if standing != Standing::Idle {
            return Some(Yielding { conns: vec![conn], standing });
        }
        let count = (self.idle.len() / IDLE_PER_YIELDING).clamp(1, YIELDING_MAX);
        Some(Yielding { conns: self.idle.iter(&self.spots).take(count).collect(), standing })
    }
}

/// A connection that has to end for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) conn: Key,
    pub(crate) standing: Standing,
    /// From when on.
    at: Time,
}

/// Connections that make room for newcomers, and where all of them stand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Yielding {
    pub(crate) conns: Vec<Key>,
    pub(crate) standing: Standing,
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

        /// A connection that stands there from that moment on.
        fn one(&mut self, standing: Standing, now: Time) -> Key {
            let conn = self.slots.insert(Place::default());
            self.change(conn, standing, now);
            conn
        }

        fn change(&mut self, conn: Key, standing: Standing, now: Time) {
            let place = self.slots.get_mut(conn).expect("it is there");
            self.places.change(conn, place, standing, now);
        }

        /// The connections that make room one after the other at that moment.
        fn go(&mut self, now: Time) -> Vec<Key> {
            let mut gone = Vec::new();
            while let Some(Yielding { conns, .. }) = self.places.yielding(now) {
                for conn in conns {
                    self.change(conn, Standing::Gone, now);
                    gone.push(conn);
                }
            }
            gone
        }

        fn surplus(&self, now: Time) -> Option<(Key, Standing)> {
            self.places.surplus(now).map(|candidate| (candidate.conn, candidate.standing))
        }
    }

    #[test]
    fn one_more_asks_when_there_is_a_place_or_the_oldest_has_had_its_time() {
        let mut crowd = Crowd::new(2, 9);
        let first = crowd.one(Standing::Asking, START);
        assert!(crowd.places.takes_another(START));
        let second = crowd.one(Standing::Asking, START + MOMENT);
        assert!(!crowd.places.takes_another(START + MOMENT));
        assert_eq!(crowd.places.full_until(), Some(START + FAIR_DURATION));

        // The first has opened.
        crowd.change(first, Standing::Open, START + MOMENT);
        assert_eq!(crowd.places.full_until(), None);
        let third = crowd.one(Standing::Asking, START + MOMENT);
        assert!(!crowd.places.takes_another(START + FAIR_DURATION));

        // The second has not, and goes for another.
        let later = START + MOMENT + FAIR_DURATION;
        assert!(crowd.places.takes_another(later));
        assert_eq!(crowd.surplus(later), None);
        crowd.one(Standing::Asking, later);
        assert_eq!(crowd.surplus(later), Some((second, Standing::Asking)));
        crowd.change(second, Standing::Gone, later);
        assert_eq!(crowd.surplus(later), None);
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
        assert_eq!(crowd.surplus(START + MOMENT), None);
        assert_eq!(crowd.surplus(START + FAIR_DURATION), Some((first, Standing::Asking)));
    }

    #[test]
    fn of_too_many_idle_ones_the_longest_idle_goes() {
        let mut crowd = Crowd::new(9, 2);
        let conns: Vec<_> = (0..3).map(|_| crowd.one(Standing::Idle, START)).collect();
        // The first has asked for something since.
        crowd.change(conns[0], Standing::Answering, START);
        assert_eq!(crowd.surplus(START), None);
        crowd.change(conns[0], Standing::Idle, START);
        assert_eq!(crowd.surplus(START), Some((conns[1], Standing::Idle)));
        crowd.change(conns[1], Standing::Leaving, START);
        assert_eq!(crowd.surplus(START), None);
    }

    #[test]
    fn the_one_that_loses_least_makes_room_and_the_one_that_is_served_does_not() {
        let mut crowd = Crowd::new(9, 9);
        crowd.one(Standing::Answering, START);
        crowd.one(Standing::Open, START);
        crowd.one(Standing::Asking, START);
        assert_eq!(crowd.places.yields_at(), None);
        let idle = [(); 2].map(|()| crowd.one(Standing::Idle, START));
        assert_eq!(crowd.places.yields_at(), Some(START));
        let leaving = crowd.one(Standing::Leaving, START);
        assert_eq!(crowd.places.yields_at(), Some(START + FAIR_DURATION));
        assert_eq!(crowd.go(START), []);
        assert_eq!(crowd.go(START + FAIR_DURATION), [leaving, idle[0], idle[1]]);
        assert_eq!(crowd.places.yields_at(), None);
    }

    #[test]
    fn of_many_idle_ones_some_make_room_at_once() {
        let mut crowd = Crowd::new(9, 999);
        let idle: Vec<_> = (0..200).map(|_| crowd.one(Standing::Idle, START)).collect();
        let yielding = crowd.places.yielding(START);
        let conns = idle[..6].to_vec();
        assert_eq!(yielding, Some(Yielding { conns, standing: Standing::Idle }));
        for conn in &idle[..6] {
            crowd.change(*conn, Standing::Leaving, START);
        }
        // The others stay while these leave.
        assert_eq!(crowd.places.yielding(START), None);
    }
}
