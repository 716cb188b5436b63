//! The report on HTTP requests.

use serde::Serialize;

use super::stats::median;
use super::table::{align, push_blocks};
use super::target::{Bound, Doubts, Target, Unit};
use super::{Header, Printable, text};
use crate::http::{HttpArgs, HttpServer, Round};
use crate::machine::{CpuPair, Interference};

/// The most CPU time for a request that the engine may take, as a part of the best peer's.
const RATIO_MAX: f64 = 0.7;

/// The report on one run of `http`.
#[derive(Debug, Serialize)]
pub(crate) struct HttpReport {
    #[serde(flatten)]
    header: Header,
    servers: Vec<ServerReport>,
    targets: Vec<Target>,
    notes: Vec<String>,
    #[serde(skip)]
    doubts: Doubts,
}

/// One server over all rounds.
#[derive(Debug, Serialize)]
struct ServerReport {
    name: &'static str,
    #[serde(skip)]
    is_own: bool,
    /// The median over the rounds.
    requests_per_second: f64,
    /// The median over the rounds.
    cpu_ns_per_request: f64,
    /// That of each round.
    cpu_ns_of_rounds: Vec<f64>,
}

impl HttpReport {
    pub(crate) fn new(
        args: &HttpArgs,
        cpus: Option<CpuPair>,
        results: &[(HttpServer, Vec<Round>)],
        interference: Option<Interference>,
    ) -> Self {
        let place = match cpus {
            Some(cpus) => format!("servers on CPU {}, load on CPU {}", cpus.server, cpus.load),
            None => "everything on one CPU".to_owned(),
        };
        let settings = vec![
            place,
            format!(
                "GET of a page of 13 B, {} in flight on each of {} connections; servers in turns, \
                 medians over the rounds",
                args.depth, args.connections
            ),
        ];
        let noise = interference.and_then(Interference::doubts);
        let single_round = results.iter().all(|(_, rounds)| rounds.len() == 1);
        let doubts = Doubts { single_round, one_core: cpus.is_none(), noise: noise.clone() };
        let servers: Vec<_> = results.iter().map(ServerReport::new).collect();
        let targets = targets(&servers);
        let notes = noise.into_iter().collect();
        Self { header: Header::new(settings), servers, targets, notes, doubts }
    }
}

/// What the engine is to reach beside the best of the others, if there are any.
fn targets(servers: &[ServerReport]) -> Vec<Target> {
    let others = servers.iter().filter(|server| !server.is_own);
    let best = others.min_by(|a, b| a.cpu_ns_per_request.total_cmp(&b.cpu_ns_per_request));
    let Some(best) = best else {
        return Vec::new();
    };
    let own = servers.iter().filter(|server| server.is_own);
    let targets = own.filter_map(|server| {
        let pairs = server.cpu_ns_of_rounds.iter().zip(&best.cpu_ns_of_rounds);
        let ratios: Vec<f64> = pairs.map(|(own, other)| own / other).collect();
        let title = format!("CPU/request, {} to {}", server.name, best.name);
        Target::of_rounds(title, &ratios, Bound::AtMost(RATIO_MAX), Unit::Ratio)
    });
    targets.collect()
}

impl ServerReport {
    fn new((server, rounds): &(HttpServer, Vec<Round>)) -> Self {
        let figures = |figure: fn(&Round) -> f64| rounds.iter().map(figure).collect::<Vec<_>>();
        let cpu_ns_of_rounds = figures(|round| round.cpu_ns);
        Self {
            name: server.name(),
            is_own: server.is_own(),
            requests_per_second: median(figures(|round| round.requests_per_second)).unwrap_or(0.0),
            cpu_ns_per_request: median(cpu_ns_of_rounds.clone()).unwrap_or(0.0),
            cpu_ns_of_rounds,
        }
    }

    fn cells(&self) -> Vec<String> {
        let (least, most) = spread(&self.cpu_ns_of_rounds);
        vec![
            self.name.to_owned(),
            text::count(self.requests_per_second),
            text::time(self.cpu_ns_per_request as u64),
            format!("{} to {}", text::time(least as u64), text::time(most as u64)),
        ]
    }
}

/// The least and the most of some figures.
pub(super) fn spread(figures: &[f64]) -> (f64, f64) {
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    (least, figures.iter().copied().fold(0.0, f64::max))
}

impl Printable for HttpReport {
    fn table(&self) -> String {
        let head = ["", "requests/s", "CPU/request", "rounds"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.servers.iter().map(ServerReport::cells));
        let mut out = format!("{}\n{}", self.header.lines(), align(&rows));
        let targets: Vec<String> =
            self.targets.iter().map(|target| target.verdict(&self.doubts)).collect();
        push_blocks(&mut out, &[&targets, &self.notes]);
        out
    }
}
