//! What is measured.

use serde::Serialize;

use super::session::Way;
use crate::service::Service;

/// Sessions of the full run where many are held or connect at once.
const MANY: usize = 5_000;

/// In a brief check, one of so many sessions takes part.
const QUICK_SHARE: usize = 25;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The memory of sessions that are idle.
    Idle,
    /// Acknowledged events, one of each session at a time.
    Acknowledged,
    /// Events to all sessions, one at a time.
    Deliveries,
    /// Sessions that connect at once.
    Storm,
}

/// How a Socket.IO session is transported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    WebSocket,
    Polling,
}

/// A figure of a server in one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// Bytes of the server's private memory for each session.
    Memory,
    /// The median round trip in nanoseconds.
    P50,
    P99,
    /// Nanoseconds of the server's CPU time for each event, delivery or session.
    Cpu,
    /// Events, deliveries or sessions per second.
    Rate,
    /// Sessions that have connected.
    Connected,
}

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// The name on the command line.
    pub(crate) id: &'static str,
    pub(crate) kind: Kind,
    pub(crate) transport: Transport,
    sessions: usize,
}

const fn scenario(id: &'static str, kind: Kind, sessions: usize) -> Scenario {
    Scenario { id, kind, transport: Transport::WebSocket, sessions }
}

const fn polling(id: &'static str, kind: Kind, sessions: usize) -> Scenario {
    Scenario { id, kind, transport: Transport::Polling, sessions }
}

/// All of them, in the order in which they run.
pub(crate) const SCENARIOS: [Scenario; 14] = [
    scenario("idle", Kind::Idle, MANY),
    polling("idle-polling", Kind::Idle, MANY),
    scenario("round-trip", Kind::Acknowledged, 1),
    polling("round-trip-polling", Kind::Acknowledged, 1),
    scenario("acknowledged-100", Kind::Acknowledged, 100),
    polling("acknowledged-100-polling", Kind::Acknowledged, 100),
    scenario("all-100", Kind::Deliveries, 100),
    polling("all-100-polling", Kind::Deliveries, 100),
    scenario("all-1000", Kind::Deliveries, 1_000),
    polling("all-1000-polling", Kind::Deliveries, 1_000),
    scenario("all-5000", Kind::Deliveries, MANY),
    polling("all-5000-polling", Kind::Deliveries, MANY),
    scenario("storm", Kind::Storm, MANY),
    polling("storm-polling", Kind::Storm, MANY),
];

impl Scenario {
    /// How many sessions take part.
    pub(crate) const fn sessions(&self, quick: bool) -> usize {
        if quick { self.sessions.div_ceil(QUICK_SHARE) } else { self.sessions }
    }

    /// The figures that it has.
    pub(crate) const fn figures(&self) -> &'static [Figure] {
        match self.kind {
            Kind::Idle => &[Figure::Memory],
            Kind::Acknowledged if self.sessions == 1 => &[Figure::P50, Figure::P99],
            Kind::Acknowledged | Kind::Deliveries => &[Figure::Cpu, Figure::Rate],
            Kind::Storm => &[Figure::Connected, Figure::Rate, Figure::Cpu],
        }
    }

    /// How the packets of its Socket.IO sessions travel.
    pub(super) const fn way(&self) -> Way {
        match self.transport {
            Transport::WebSocket => Way::WebSocket,
            Transport::Polling => Way::Polling,
        }
    }

    /// The service of a plain WebSocket server that does the same.
    pub(super) const fn plain_service(&self) -> Service {
        match self.kind {
            Kind::Deliveries => Service::Broadcast,
            Kind::Idle | Kind::Acknowledged | Kind::Storm => Service::Echo,
        }
    }
}

impl Figure {
    /// Whether a lower figure is better.
    pub(crate) const fn is_cost(self) -> bool {
        match self {
            Self::Memory | Self::P50 | Self::P99 | Self::Cpu => true,
            Self::Rate | Self::Connected => false,
        }
    }
}
