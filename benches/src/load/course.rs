use super::format::bytes_on_wire;
use super::ledger::{Rhythm, Route};
use super::links::Links;
use super::stamp::Stamp;
use super::traffic::{Load, Pace, Traffic};
use crate::error::Error;
use crate::target::{Target, Wire};

/// A load's messages: who sends them when, and who receives them.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) rhythms: Vec<Rhythm>,
    pub(super) route: Route,
    /// The rate of the senders that follow a schedule. Any, if there are none.
    pub(super) per_second: f64,
    /// The bytes of a message, besides its frame.
    size: usize,
}

/// How many messages of a quiet connection may be unanswered beside a flood.
const QUIET_IN_FLIGHT_MAX: u64 = 1024;
/// Payload bytes of the bystander's messages.
const BYSTANDER_SIZE: usize = 128;

impl Course {
    /// `None` if the load sends no messages. Refuses messages that the load cannot have.
    pub(super) fn of(load: &Load) -> Result<Option<Self>, Error> {
        let wire = load.target.wire;
        let refuse = |reason: &str| Err(Error::Settings(reason.to_owned()));
        let (rhythms, route, per_second, size) = match load.traffic {
            Traffic::Echo { size: 0, .. } | Traffic::Flood { size: 0, .. } if wire == Wire::Tcp => {
                return refuse("raw TCP has no empty messages: the size must be at least 1 byte");
            }
            Traffic::Echo { connections, size, pace } => {
                let (rhythm, per_second) = rhythm(pace, Rhythm::Depth);
                (vec![rhythm; connections], Route::Back, per_second, size)
            }
            Traffic::Flood { quiet, per_second, depth, size } => {
                let mut rhythms = vec![Rhythm::Schedule(QUIET_IN_FLIGHT_MAX); quiet];
                rhythms.push(Rhythm::Flood(depth as u64));
                (rhythms, Route::Back, per_second, size)
            }
            Traffic::Broadcast { size, .. } if size < Stamp::LEN => {
                return refuse("a broadcast message needs at least 8 bytes");
            }
            Traffic::Broadcast { publishers: 2.., .. } if wire == Wire::Tcp => {
                return refuse("raw TCP has no message boundaries: it allows only one publisher");
            }
            Traffic::Broadcast { receivers, slow, publishers, size, pace, .. } => {
                let (rhythm, per_second) = rhythm(pace, Rhythm::Burst);
                let reading = receivers.saturating_sub(slow);
                if reading == 0 {
                    return refuse("a broadcast needs a reading receiver");
                }
                (vec![rhythm; publishers], Route::Spread { receivers, reading }, per_second, size)
            }
            Traffic::Handshakes { .. } | Traffic::Storm { .. } | Traffic::Idle { .. } => {
                return Ok(None);
            }
        };
        let size = bytes_on_wire(wire, size, route == Route::Back);
        Ok(Some(Self { rhythms, route, per_second, size }))
    }

    /// A connection that measures round trips beside broadcasts, each on demand.
    pub(super) fn beside(&self, wire: Wire) -> Self {
        // Over raw TCP, a broadcast before the first echo could not be distinguished from it.
        let size = if wire == Wire::Tcp { self.size } else { BYSTANDER_SIZE };
        let rhythms = vec![Rhythm::Depth(0)];
        Self { rhythms, route: Route::Back, per_second: 1.0, size }
    }

    pub(super) fn open(&self, target: &Target) -> Result<Links, Error> {
        let at_once = |&rhythm: &Rhythm| match rhythm {
            Rhythm::Depth(most)
            | Rhythm::Flood(most)
            | Rhythm::Burst(most)
            | Rhythm::Schedule(most) => most as usize,
        };
        let batch = self.rhythms.iter().map(at_once).max().unwrap_or(1);
        let connections = self.route.first_sender() + self.rhythms.len();
        let mut links = Links::open(target, connections, self.size, batch)?;
        for index in self.route.unread() {
            links.narrow(index)?;
        }
        Ok(links)
    }
}

/// The rhythm of a sender, and the rate of the schedule.
fn rhythm(pace: Pace, closed: impl FnOnce(u64) -> Rhythm) -> (Rhythm, f64) {
    match pace {
        Pace::Closed { depth } => (closed(depth as u64), 1.0),
        Pace::Open { per_second, in_flight_max } => {
            (Rhythm::Schedule(in_flight_max as u64), per_second)
        }
    }
}
