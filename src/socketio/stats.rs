//! What a Socket.IO server counts.

use std::fmt::Write as _;

/// What a Socket.IO server has and has counted ([`SocketIo::stats`](super::SocketIo::stats)). The
/// connections themselves count in the loop's [`Stats`](crate::Stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketIoStats {
    /// Sessions that are open: clients.
    pub sessions: usize,
    /// Sockets that are connected: clients in namespaces.
    pub sockets: usize,
    /// Sessions that were opened.
    pub opened: u64,
    /// Sessions that have moved from polling to a WebSocket.
    pub upgraded: u64,
    /// Sockets that were connected, those that recovered included.
    pub connected: u64,
    /// Sockets that recovered what they had missed.
    pub recovered: u64,
    /// Clients that wanted to recover, and began anew.
    pub not_recovered: u64,
    /// Clients that were not let into a namespace.
    pub refused: u64,
    /// Events that clients have sent.
    pub events: u64,
    /// Sessions that broke the protocol.
    pub violations: u64,
}

impl SocketIoStats {
    /// The statistics in the text format of Prometheus, to be appended to those of
    /// [`Stats::to_prometheus`](crate::Stats::to_prometheus).
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut out = String::new();
        for (name, kind, help, value) in [
            ("sessions", "gauge", "Open sessions.", self.sessions as u64),
            ("sockets", "gauge", "Connected sockets.", self.sockets as u64),
            ("opened_total", "counter", "Opened sessions.", self.opened),
            ("upgraded_total", "counter", "Sessions that moved to a WebSocket.", self.upgraded),
            ("connected_total", "counter", "Connected sockets.", self.connected),
            ("recovered_total", "counter", "Recovered sockets.", self.recovered),
            ("not_recovered_total", "counter", "Recoveries refused.", self.not_recovered),
            ("refused_total", "counter", "Clients refused by namespaces.", self.refused),
            ("events_total", "counter", "Events of clients.", self.events),
            ("violations_total", "counter", "Sessions that broke the protocol.", self.violations),
        ] {
            // Writing to a string never fails.
            let _ = write!(
                out,
                "# HELP eventwire_socketio_{name} {help}\n# TYPE eventwire_socketio_{name} {kind}\n\
                 eventwire_socketio_{name} {value}\n"
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_gets_every_value_with_its_type() {
        let text =
            SocketIoStats { sessions: 3, events: 7, ..SocketIoStats::default() }.to_prometheus();
        assert!(
            text.contains(
                "# TYPE eventwire_socketio_sessions gauge\neventwire_socketio_sessions 3\n"
            )
        );
        assert!(text.contains("\neventwire_socketio_events_total 7\n"));
        assert_eq!(text.matches("# TYPE").count(), 10);
    }
}
