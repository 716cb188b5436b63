//! The report on reconnection.

use std::time::Duration;

use eventwire::Backoff;
use serde::Serialize;

use super::stats::Summary;
use super::table::align;
use super::target::{Bound, Doubts, Target, Unit};
use super::{Header, Printable, text};
use crate::reconnect::Outcome;

/// How long a turn of the clients' loop may take.
const TURN_MAX: Duration = Duration::from_millis(10);

/// The report on one run of `reconnect`.
#[derive(Debug, Serialize)]
pub(crate) struct ReconnectReport {
    #[serde(flatten)]
    header: Header,
    clients: usize,
    rounds: Vec<RoundReport>,
    targets: Vec<Target>,
    #[serde(skip)]
    doubts: Doubts,
}

/// One kill of the server.
#[derive(Clone, Copy, Debug, Serialize)]
struct RoundReport {
    /// From the kill until each client was back.
    back_ns: Summary,
    attempts: u64,
    failed: u64,
    longest_turn_ns: u64,
}

impl ReconnectReport {
    pub(crate) fn new(clients: usize, rounds: u32, backoff: Backoff) -> Self {
        let settings = vec![
            format!(
                "{clients} clients in one loop, whose server is killed and started again at once"
            ),
            format!("{backoff:?}"),
        ];
        Self {
            header: Header::new(settings),
            clients,
            rounds: Vec::new(),
            targets: Vec::new(),
            doubts: Doubts { single_round: rounds == 1, one_core: false, noise: None },
        }
    }

    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.rounds.push(RoundReport {
            back_ns: Summary::of_rounds(&[&outcome.back]),
            attempts: outcome.attempts,
            failed: outcome.failed,
            longest_turn_ns: outcome.longest_turn.as_nanos() as u64,
        });
        let turns: Vec<f64> =
            self.rounds.iter().map(|round| round.longest_turn_ns as f64).collect();
        let bound = Bound::AtMost(TURN_MAX.as_nanos() as f64);
        let title = "longest turn of the clients' loop".to_owned();
        self.targets =
            Target::of_rounds(title, &turns, bound, Unit::Nanoseconds).into_iter().collect();
    }
}

impl Printable for ReconnectReport {
    fn table(&self) -> String {
        let head =
            ["kill", "back p50", "p99", "all back", "attempts/client", "failed", "longest turn"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for (number, round) in self.rounds.iter().enumerate() {
            rows.push(vec![
                (number + 1).to_string(),
                text::time(round.back_ns.p50),
                text::time(round.back_ns.p99),
                text::time(round.back_ns.max),
                format!("{:.2}", round.attempts as f64 / self.clients as f64),
                text::count(round.failed as f64),
                text::time(round.longest_turn_ns),
            ]);
        }
        let mut out = format!("{}\n{}", self.header.lines(), align(&rows));
        for target in &self.targets {
            out.push_str(&format!("\n{}\n", target.verdict(&self.doubts)));
        }
        out
    }
}
