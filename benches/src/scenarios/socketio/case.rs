//! What is measured: the scenarios, their figures and their targets.

use super::session::Transport;
use crate::results::{Better, Bound, Figure, To, Unit};
use crate::scenario::Scenario;
use crate::scenarios::figures::{P50, P99, rate, server_cpu};

/// The engine's server without Socket.IO. It takes part over WebSocket only.
pub(super) const PLAIN: &str = "plain WebSocket";
pub(super) const CONNECTED: Figure =
    Figure::new("connected", "connected", Unit::Count, Better::More);
pub(super) const MEMORY: Figure =
    Figure::new("bytes_per_session", "memory/session", Unit::Bytes, Better::Less);
/// In a brief check, one of so many sessions takes part.
const QUICK_SHARE: usize = 25;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The memory of sessions that are idle.
    Idle,
    /// Acknowledged events, one at a time.
    RoundTrip,
    /// Acknowledged events, one of each session at a time.
    Acknowledged,
    /// Events to all sessions, one at a time.
    ToAll,
    /// Sessions that connect at once.
    Storm,
}

/// One scenario.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) transport: Transport,
    pub(super) sessions: usize,
}

/// All of them, in the order in which they run.
pub(super) fn all() -> Vec<Case> {
    let kinds = [
        ("idle", Kind::Idle, 5_000),
        ("round-trip", Kind::RoundTrip, 1),
        ("acknowledged-100", Kind::Acknowledged, 100),
        ("all-100", Kind::ToAll, 100),
        ("all-1000", Kind::ToAll, 1_000),
        ("all-5000", Kind::ToAll, 5_000),
        ("storm", Kind::Storm, 5_000),
    ];
    let over_both = |(id, kind, sessions): (&str, Kind, usize)| {
        let over = |id, transport| Case { id, kind, transport, sessions };
        let polling = over(format!("{id}-polling"), Transport::Polling);
        [over(id.to_owned(), Transport::WebSocket), polling]
    };
    kinds.into_iter().flat_map(over_both).collect()
}

impl Case {
    /// With few sessions.
    pub(super) fn quick(self) -> Self {
        Self { sessions: self.sessions.div_ceil(QUICK_SHARE), ..self }
    }

    /// The scenario without its entrants.
    pub(super) fn scenario<'a>(&self) -> Scenario<'a> {
        let sessions = self.sessions;
        let to_plain = To::Entrant(PLAIN.to_owned());
        let (what, figures, target) = match self.kind {
            Kind::Idle => {
                let target = (MEMORY, To::Itself, Bound::AtMost(1_024.0));
                ("Idle sessions", vec![MEMORY], Some(target))
            }
            Kind::RoundTrip => {
                let target = (P50, to_plain, Bound::AtMost(1.1));
                ("Round trips", vec![P50, P99], Some(target))
            }
            Kind::Acknowledged => {
                ("Acknowledged events", vec![server_cpu("CPU/event"), rate("events/s")], None)
            }
            Kind::ToAll => {
                let figures = vec![server_cpu("CPU/delivery"), rate("deliveries/s")];
                let target = (server_cpu(""), to_plain, Bound::AtMost(1.15));
                ("Events to all", figures, Some(target))
            }
            Kind::Storm => {
                let figures = vec![server_cpu("CPU/connect"), rate("connects/s"), CONNECTED];
                let target = (CONNECTED, To::Itself, Bound::AtLeast(sessions as f64));
                ("Storm", figures, Some(target))
            }
        };
        let is_polling = self.transport == Transport::Polling;
        let transport = if is_polling { "polling" } else { "WebSocket" };
        let title = format!("{what}, {sessions} × {transport}");
        let scenario = Scenario::new(self.id.clone(), title, figures);
        let scenario = if is_polling { scenario } else { scenario.base(PLAIN) };
        match target {
            Some((figure, to, bound)) if !is_polling || self.kind == Kind::Storm => {
                scenario.target(&figure, to, bound)
            }
            _ => scenario,
        }
    }
}
