//! The scenarios: kinds of traffic, and which entrants each one runs with.

use super::entrant::{Entrant, Role};
use super::loads::HANDSHAKES;
use super::outcome::Metric;
use crate::bus::Way;
use crate::load::Wire;
use crate::service::Service;

/// One kind of traffic, measured with every entrant that supports it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// Its name on the command line and in JSON.
    pub(crate) id: &'static str,
    /// Its title in reports.
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    /// The figure by which entrants are compared.
    pub(crate) key: Metric,
    /// Whether the engine's other idle modes are shown.
    pub(crate) with_modes: bool,
    pub(crate) scope: Scope,
}

/// The traffic of a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Echoes in a closed loop. The client spins, or sleeps until input arrives.
    Echo { connections: usize, size: usize, depth: usize, spin: bool },
    /// Echoes at a share of the rate at which the WebSocket floor is saturated.
    OpenLoop { connections: usize, size: usize, share: f64 },
    /// Each burst has `batch` messages, and the next one follows when all have been delivered.
    /// `slow` of the receivers never read. Meanwhile a bystander measures round trips.
    Broadcast { receivers: usize, slow: usize, size: usize, batch: usize },
    /// One connection sends as much as it can, and the quiet ones are measured.
    Flood { quiet: usize },
    /// A few handshakes at the same time, repeatedly.
    Handshakes,
    /// Many handshakes at once.
    Storm { connections: usize },
    /// Connections that do nothing.
    Idle { connections: usize },
    /// Events from threads, at a fixed rate and as fast as they are accepted.
    Publish { way: Way, threads: usize },
    /// The time that publishing an event takes while the loop is awake.
    PublishCost,
}

/// The runs that a scenario belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Only the full matrix.
    Full,
    /// Also the quick run, if only the engine and the floors take part.
    Quick,
    /// Every run.
    Always,
}

/// The groups of scenarios on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    RoundTrip,
    Connections,
    Pipelined,
    Broadcast,
    Fairness,
    Handshakes,
    Memory,
    Events,
}

impl Group {
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::RoundTrip => "Round trip",
            Self::Connections => "Many connections",
            Self::Pipelined => "Pipelined and long messages",
            Self::Broadcast => "Broadcast",
            Self::Fairness => "Bad neighbours",
            Self::Handshakes => "Handshakes",
            Self::Memory => "Memory of idle connections",
            Self::Events => "Events from threads",
        }
    }
}

impl Kind {
    /// The service that it needs. `None` if it needs no server.
    pub(crate) const fn service(self) -> Option<Service> {
        match self {
            Self::Broadcast { .. } => Some(Service::Broadcast),
            Self::Publish { .. } | Self::PublishCost => None,
            _ => Some(Service::Echo),
        }
    }

    /// All connections to the server.
    pub(crate) const fn connections(self) -> usize {
        match self {
            Self::Echo { connections, .. }
            | Self::OpenLoop { connections, .. }
            | Self::Storm { connections }
            | Self::Idle { connections } => connections,
            // And the publisher and the bystander.
            Self::Broadcast { receivers, .. } => receivers + 2,
            Self::Flood { quiet } => quiet + 1,
            Self::Handshakes => HANDSHAKES,
            Self::Publish { .. } | Self::PublishCost => 1,
        }
    }

    /// By which factor it is measured longer: broadcasts to many connections take long.
    pub(crate) const fn patience(self) -> u32 {
        match self {
            // Their duration is the result.
            Self::Storm { .. } | Self::Idle { .. } => 0,
            Self::Broadcast { receivers: 5000.., .. } => 2,
            _ => 1,
        }
    }

    pub(crate) const fn group(self) -> Group {
        match self {
            Self::Echo { connections: 1, .. } => Group::RoundTrip,
            Self::Echo { connections: 100.., depth: 1, .. } | Self::OpenLoop { .. } => {
                Group::Connections
            }
            Self::Echo { .. } => Group::Pipelined,
            Self::Broadcast { slow: 0, .. } => Group::Broadcast,
            Self::Broadcast { .. } => Group::Fairness,
            Self::Flood { .. } => Group::Fairness,
            Self::Handshakes | Self::Storm { .. } => Group::Handshakes,
            Self::Idle { .. } => Group::Memory,
            Self::Publish { .. } | Self::PublishCost => Group::Events,
        }
    }

    /// The name of one counted unit.
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Broadcast { .. } => "delivery",
            Self::Handshakes | Self::Storm { .. } => "handshake",
            Self::Publish { .. } | Self::PublishCost => "event",
            _ => "message",
        }
    }
}

impl Scenario {
    pub(super) const fn new(
        id: &'static str,
        title: &'static str,
        kind: Kind,
        key: Metric,
    ) -> Self {
        Self { id, title, kind, key, with_modes: false, scope: Scope::Full }
    }

    pub(super) const fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    pub(super) const fn with_modes(self) -> Self {
        Self { with_modes: true, ..self }
    }

    /// Whether the entrant supports it.
    pub(crate) fn admits(&self, entrant: &Entrant) -> bool {
        if matches!(entrant.role, Role::Mode(_)) && !self.with_modes {
            return false;
        }
        let Some(service) = self.kind.service() else {
            // Threads publish within one program; the floor is the standard library's channel.
            return entrant.is_engine() || entrant.role == Role::Floor;
        };
        let shakes_hands = matches!(self.kind, Kind::Handshakes | Kind::Storm { .. });
        entrant.serves(service) && !(shakes_hands && entrant.wire() == Wire::Tcp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::entrant::{ADAPTIVE, AGAIN, ENGINE, FLOOR, WS_FLOOR};
    use crate::compare::table;
    use crate::contestants::Contestant;

    fn admitted(id: &str) -> Vec<String> {
        let chosen = [Contestant::Eventwire, Contestant::Floor, Contestant::WsFloor];
        let entrants = Entrant::all(&chosen, &["peer=ws://h:1".parse().unwrap()]);
        let scenario = table::find(id).unwrap();
        let admitted = entrants.iter().filter(|entrant| scenario.admits(entrant));
        admitted.map(|entrant| entrant.name.clone()).collect()
    }

    #[test]
    fn everybody_echoes() {
        assert_eq!(admitted("depth-64"), [ENGINE, FLOOR, AGAIN, WS_FLOOR, "peer"]);
        assert!(admitted("round-trip-128").contains(&ADAPTIVE.to_owned()));
    }

    #[test]
    fn a_server_elsewhere_broadcasts_only_if_it_says_so() {
        assert_eq!(admitted("broadcast-100"), [ENGINE, FLOOR, AGAIN, WS_FLOOR]);
    }

    #[test]
    fn raw_tcp_has_no_handshake() {
        assert_eq!(admitted("handshakes"), [ENGINE, AGAIN, WS_FLOOR, "peer"]);
    }

    #[test]
    fn events_are_the_engines_own() {
        assert_eq!(admitted("publish-cost"), [ENGINE, FLOOR, AGAIN]);
    }
}
