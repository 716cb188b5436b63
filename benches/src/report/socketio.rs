//! The report on Socket.IO.

use serde::Serialize;

use super::http::spread;
use super::stats::{Ratio, median};
use super::table::{align, push_blocks, ratio};
use super::target::{Bound, Doubts, Target, Unit};
use super::{Header, Printable, html, text};
use crate::machine::{CpuPair, Interference};
use crate::socketio::{
    Contestant, Figure, Kind, Measured, Results, STORM_MAX, Sample, Scenario, SocketIoArgs, TEXT,
    Transport,
};

/// The most that an acknowledged event may take, as a part of a plain echo's time.
const ROUND_TRIP_MAX: f64 = 1.1;

/// The most CPU time of a delivery, as a part of a plain topic's.
const DELIVERY_MAX: f64 = 1.15;

/// The most memory of an idle session over WebSocket.
const SESSION_BYTES_MAX: f64 = 1_024.0;

/// The report on one run of `socketio`.
#[derive(Debug, Serialize)]
pub(crate) struct SocketIoReport {
    #[serde(flatten)]
    header: Header,
    scenarios: Vec<ScenarioReport>,
    targets: Vec<Target>,
    notes: Vec<String>,
    #[serde(skip)]
    servers: Vec<&'static str>,
    #[serde(skip)]
    doubts: Doubts,
}

#[derive(Debug, Serialize)]
struct ScenarioReport {
    id: &'static str,
    title: String,
    transport: Transport,
    sessions: usize,
    figures: Vec<FigureReport>,
}

/// One figure of all servers.
#[derive(Debug, Serialize)]
struct FigureReport {
    figure: Figure,
    name: &'static str,
    servers: Vec<ServerReport>,
    /// The engine's to that of the best peer in this figure, round by round.
    to_best_peer: Option<Ratio>,
    /// The engine's to that of its plain WebSockets, round by round.
    to_plain: Option<Ratio>,
}

/// One figure of one server over all rounds.
#[derive(Debug, Serialize)]
struct ServerReport {
    name: &'static str,
    #[serde(skip)]
    contestant: Contestant,
    median: f64,
    rounds: Vec<f64>,
}

impl SocketIoReport {
    pub(crate) fn new(args: &SocketIoArgs, measured: &Measured) -> Self {
        let noise = measured.interference.and_then(Interference::doubts);
        let scenarios: Vec<_> = measured.results.iter().map(ScenarioReport::new).collect();
        Self {
            header: Header::new(settings(args, measured.cpus)),
            targets: measured.results.iter().zip(&scenarios).flat_map(targets).collect(),
            scenarios,
            notes: measured.results.iter().flat_map(remarks).chain(noise.clone()).collect(),
            servers: Contestant::all(args).into_iter().map(Contestant::name).collect(),
            doubts: Doubts {
                single_round: args.rounds() == 1,
                one_core: measured.cpus.is_none(),
                noise,
            },
        }
    }

    fn has_ratios(&self) -> bool {
        self.servers.contains(&Contestant::Eventwire.name())
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut head = vec![String::new()];
        head.extend(self.servers.iter().map(|&name| name.to_owned()));
        if self.has_ratios() {
            head.extend(["to best peer", "to plain"].map(str::to_owned));
        }
        let mut rows = vec![head];
        for scenario in &self.scenarios {
            for (index, figure) in scenario.figures.iter().enumerate() {
                let title = match index {
                    0 => format!("{}: {}", scenario.title, figure.name),
                    _ => format!("  {}", figure.name),
                };
                rows.push(self.cells(title, figure));
            }
        }
        rows
    }

    fn cells(&self, title: String, figure: &FigureReport) -> Vec<String> {
        let none = || "-".to_owned();
        let mut cells = vec![title];
        for name in &self.servers {
            let server = figure.servers.iter().find(|server| server.name == *name);
            cells.push(server.map_or_else(none, |server| server.cell(figure.figure)));
        }
        if self.has_ratios() {
            cells.push(figure.to_best_peer.map_or_else(none, ratio));
            cells.push(figure.to_plain.map_or_else(none, ratio));
        }
        cells
    }
}

fn settings(args: &SocketIoArgs, cpus: Option<CpuPair>) -> Vec<String> {
    let place = match cpus {
        Some(cpus) => {
            format!("servers on CPU {}, load on CPU {}, which never sleeps", cpus.server, cpus.load)
        }
        None => "everything on one CPU".to_owned(),
    };
    let (timing, rounds) = (args.timing(), args.rounds());
    let plural = if rounds == 1 { "" } else { "s" };
    vec![
        place,
        format!(
            "{rounds} round{plural} of {:?} after {:?} to warm up, servers in turns, the engine's \
             with idle: {}; medians over the rounds",
            timing.measured,
            timing.warm_up,
            args.idle.name()
        ),
        format!(
            "events carry a text of {TEXT} B; a storm has {} s; plain WebSocket: the engine \
             without Socket.IO, with the same text messages",
            STORM_MAX.as_secs()
        ),
    ]
}

impl ScenarioReport {
    fn new(results: &Results) -> Self {
        let Results { scenario, sessions, .. } = results;
        let figures = scenario.figures().iter();
        Self {
            id: scenario.id,
            title: title(scenario, *sessions),
            transport: scenario.transport,
            sessions: *sessions,
            figures: figures.map(|&figure| FigureReport::new(results, figure)).collect(),
        }
    }

    fn figure(&self, figure: Figure) -> Option<&FigureReport> {
        self.figures.iter().find(|report| report.figure == figure)
    }
}

/// What was remarkable in storms.
fn remarks(results: &Results) -> Vec<String> {
    let mut remarks = Vec::new();
    for (contestant, samples) in &results.servers {
        let (id, name) = (results.scenario.id, contestant.name());
        for remark in samples.iter().flat_map(|sample| &sample.remarks) {
            remarks.push(format!("{id}, {name}: {remark}"));
        }
    }
    remarks
}

fn title(scenario: &Scenario, sessions: usize) -> String {
    let count = text::count(sessions as f64);
    let transport = match scenario.transport {
        Transport::WebSocket => "WebSocket",
        Transport::Polling => "polling",
    };
    match scenario.kind {
        Kind::Idle => format!("{count} idle, {transport}"),
        Kind::Acknowledged if sessions == 1 => format!("acknowledged, {transport}"),
        Kind::Acknowledged => format!("acknowledged to {count}, {transport}"),
        Kind::Deliveries => format!("all to {count}, {transport}"),
        Kind::Storm => format!("storm of {count}, {transport}"),
    }
}

const fn name(kind: Kind, figure: Figure) -> &'static str {
    match (figure, kind) {
        (Figure::Memory, _) => "memory/session",
        (Figure::P50, _) => "p50",
        (Figure::P99, _) => "p99",
        (Figure::Connected, _) => "connected",
        (Figure::Cpu, Kind::Deliveries) => "CPU/delivery",
        (Figure::Cpu, Kind::Storm) => "CPU/connect",
        (Figure::Cpu, _) => "CPU/event",
        (Figure::Rate, Kind::Deliveries) => "deliveries/s",
        (Figure::Rate, Kind::Storm) => "connects/s",
        (Figure::Rate, _) => "events/s",
    }
}

impl FigureReport {
    fn new(results: &Results, figure: Figure) -> Self {
        let reports = results.servers.iter().map(|(contestant, samples)| {
            let of_sample = |sample: &Sample| {
                sample.figures.iter().find(|(found, _)| *found == figure).map(|(_, value)| *value)
            };
            let rounds: Vec<f64> = samples.iter().filter_map(of_sample).collect();
            let median = median(rounds.clone()).unwrap_or(0.0);
            ServerReport { name: contestant.name(), contestant: *contestant, median, rounds }
        });
        let servers: Vec<_> = reports.collect();
        let find = |contestant| servers.iter().find(|server| server.contestant == contestant);
        let own = find(Contestant::Eventwire);
        let ratio_to = |base: Option<&ServerReport>| Ratio::of_rounds(&own?.rounds, &base?.rounds);
        let (to_best_peer, to_plain) =
            (ratio_to(best_peer(&servers, figure)), ratio_to(find(Contestant::Plain)));
        let name = name(results.scenario.kind, figure);
        Self { figure, name, servers, to_best_peer, to_plain }
    }

    /// The engine's rounds, each divided by that of its plain WebSockets.
    fn rounds_to_plain(&self) -> Vec<f64> {
        let rounds = |contestant| {
            let server = self.servers.iter().find(|server| server.contestant == contestant);
            server.map_or(&[][..], |server| &server.rounds)
        };
        let pairs = rounds(Contestant::Eventwire).iter().zip(rounds(Contestant::Plain));
        pairs.map(|(own, plain)| own / plain).collect()
    }

    fn own_rounds(&self) -> &[f64] {
        let is_own = |server: &&ServerReport| server.contestant == Contestant::Eventwire;
        self.servers.iter().find(is_own).map_or(&[], |server| &server.rounds)
    }
}

fn best_peer(servers: &[ServerReport], figure: Figure) -> Option<&ServerReport> {
    let peers = servers.iter().filter(|server| server.contestant.is_peer());
    let by_median = |a: &&ServerReport, b: &&ServerReport| a.median.total_cmp(&b.median);
    if figure.is_cost() { peers.min_by(by_median) } else { peers.max_by(by_median) }
}

impl ServerReport {
    /// The median, and the spread over the rounds if they differ.
    fn cell(&self, figure: Figure) -> String {
        let text = |value: f64| match figure {
            Figure::P50 | Figure::P99 | Figure::Cpu => text::time(value as u64),
            Figure::Memory => format!("{} B", text::count(value)),
            Figure::Rate | Figure::Connected => text::count(value),
        };
        let (least, most) = spread(&self.rounds);
        if least.total_cmp(&most).is_eq() {
            return text(self.median);
        }
        format!("{} ({}-{})", text(self.median), text(least), text(most))
    }
}

/// What the engine is to reach in a scenario.
fn targets((results, report): (&Results, &ScenarioReport)) -> Option<Target> {
    let Results { scenario, sessions, .. } = results;
    let of = |figure, rounds: fn(&FigureReport) -> Vec<f64>| {
        report.figure(figure).map(rounds).unwrap_or_default()
    };
    let own = |figure: &FigureReport| figure.own_rounds().to_vec();
    let is_websocket = scenario.transport == Transport::WebSocket;
    let (what, rounds, bound, unit) = match scenario.kind {
        Kind::Idle if is_websocket => {
            let bound = Bound::AtMost(SESSION_BYTES_MAX);
            ("memory/session", of(Figure::Memory, own), bound, Unit::Bytes)
        }
        Kind::Acknowledged if is_websocket && report.figure(Figure::P50).is_some() => {
            let rounds = of(Figure::P50, FigureReport::rounds_to_plain);
            ("p50 to a plain echo's", rounds, Bound::AtMost(ROUND_TRIP_MAX), Unit::Ratio)
        }
        Kind::Deliveries if is_websocket => {
            let rounds = of(Figure::Cpu, FigureReport::rounds_to_plain);
            ("CPU/delivery to a plain topic's", rounds, Bound::AtMost(DELIVERY_MAX), Unit::Ratio)
        }
        Kind::Storm => {
            let bound = Bound::AtLeast(*sessions as f64);
            ("connected", of(Figure::Connected, own), bound, Unit::Sessions)
        }
        Kind::Idle | Kind::Acknowledged | Kind::Deliveries => return None,
    };
    Target::of_rounds(format!("{}, {what}", report.title), &rounds, bound, unit)
}

impl Printable for SocketIoReport {
    fn table(&self) -> String {
        let mut out = format!("{}\n{}", self.header.lines(), align(&self.rows()));
        let verdicts: Vec<_> =
            self.targets.iter().map(|target| target.verdict(&self.doubts)).collect();
        push_blocks(&mut out, &[&verdicts, &self.notes]);
        out
    }

    fn page(&self) -> Option<String> {
        let Header { program, version, command, machine, settings } = &self.header;
        let verdicts = self.targets.iter().map(|target| {
            let class = if target.is_reached() { "met" } else { "missed" };
            let text = html::escape(&target.verdict(&self.doubts));
            format!("<li class=\"{class}\">{text}</li>\n")
        });
        let body = format!(
            "<header>\n<h1>Socket.IO <small>{program} {version}</small></h1>\n<p>{}</p>\n{}\
             </header>\n<ul class=\"verdicts\">\n{}</ul>\n{}{}\
             <footer>\n<p>To repeat:</p>\n<pre>{}</pre>\n</footer>\n",
            html::escape(&machine.summary()),
            html::list(settings, "settings"),
            verdicts.collect::<String>(),
            html::table_of(&self.rows()),
            html::list(&self.notes, "notes"),
            html::escape(command),
        );
        Some(html::document("Socket.IO", "", &body))
    }
}
