//! The report on streams of events.

use serde::Serialize;

use super::http::spread;
use super::stats::median;
use super::table::{align, push_blocks};
use super::target::{Bound, Doubts, Target, Unit};
use super::{Header, Printable, text};
use crate::events_stream::{EventsStreamArgs, Kind, MESSAGE_BYTES, Round};
use crate::machine::{CpuPair, Interference};

/// The most CPU time for a delivery to a stream of events, as a part of a WebSocket's.
const RATIO_MAX: f64 = 1.1;

/// The report on one run of `events-stream`.
#[derive(Debug, Serialize)]
pub(crate) struct EventsStreamReport {
    #[serde(flatten)]
    header: Header,
    kinds: Vec<KindReport>,
    target: Option<Target>,
    notes: Vec<String>,
    #[serde(skip)]
    doubts: Doubts,
}

/// One kind of connection over all rounds.
#[derive(Debug, Serialize)]
struct KindReport {
    name: &'static str,
    /// The median over the rounds.
    cpu_ns_per_delivery: f64,
    /// That of each round.
    cpu_ns_of_rounds: Vec<f64>,
}

impl EventsStreamReport {
    pub(crate) fn new(
        args: &EventsStreamArgs,
        cpus: Option<CpuPair>,
        rounds: &[Round],
        interference: Option<Interference>,
    ) -> Self {
        let place = match cpus {
            Some(cpus) => format!("loop on CPU {}, receivers on CPU {}", cpus.server, cpus.load),
            None => "everything on one CPU".to_owned(),
        };
        let settings = vec![
            place,
            format!(
                "broadcasts of {MESSAGE_BYTES} B to {} connections of each kind in turns, all of \
                 one loop",
                args.connections
            ),
        ];
        let noise = interference.and_then(Interference::doubts);
        let single_round = rounds.len() == 1;
        let doubts = Doubts { single_round, one_core: cpus.is_none(), noise: noise.clone() };
        let ratios: Vec<f64> =
            rounds.iter().map(|round| round.event_stream_ns / round.web_socket_ns).collect();
        let title = "CPU/delivery, event stream to WebSocket".to_owned();
        Self {
            header: Header::new(settings),
            kinds: vec![
                KindReport::new(Kind::WebSocket, rounds, |round| round.web_socket_ns),
                KindReport::new(Kind::EventStream, rounds, |round| round.event_stream_ns),
            ],
            target: Target::of_rounds(title, &ratios, Bound::AtMost(RATIO_MAX), Unit::Ratio),
            notes: noise.into_iter().collect(),
            doubts,
        }
    }
}

impl KindReport {
    fn new(kind: Kind, rounds: &[Round], figure: fn(&Round) -> f64) -> Self {
        let cpu_ns_of_rounds: Vec<f64> = rounds.iter().map(figure).collect();
        let cpu_ns_per_delivery = median(cpu_ns_of_rounds.clone()).unwrap_or(0.0);
        Self { name: kind.name(), cpu_ns_per_delivery, cpu_ns_of_rounds }
    }

    fn cells(&self) -> Vec<String> {
        let (least, most) = spread(&self.cpu_ns_of_rounds);
        vec![
            self.name.to_owned(),
            text::time(self.cpu_ns_per_delivery as u64),
            format!("{} to {}", text::time(least as u64), text::time(most as u64)),
        ]
    }
}

impl Printable for EventsStreamReport {
    fn table(&self) -> String {
        let head = ["", "CPU/delivery", "rounds"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.kinds.iter().map(KindReport::cells));
        let mut out = format!("{}\n{}", self.header.lines(), align(&rows));
        let verdict: Vec<String> =
            self.target.iter().map(|target| target.verdict(&self.doubts)).collect();
        push_blocks(&mut out, &[&verdict, &self.notes]);
        out
    }
}
