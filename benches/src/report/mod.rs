//! Reports: computed here, and written as a table, as JSON and as a page.

pub(crate) mod bus;
pub(crate) mod bystander;
pub(crate) mod comparison;
mod curve;
pub(crate) mod events_stream;
pub(crate) mod freshness;
mod html;
pub(crate) mod http;
pub(crate) mod jobs;
#[cfg(feature = "sqlite")]
pub(crate) mod journal;
pub(crate) mod keyed;
mod plot;
pub(crate) mod reconnect;
pub(crate) mod resume;
pub(crate) mod socketio;
mod stats;
mod table;
mod target;
mod text;
#[cfg(feature = "tls")]
pub(crate) mod tls;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::FileArgs;
use crate::error::Error;
use crate::load::{Load, Measurement, Pace, Shape};
use crate::machine::Machine;
use crate::scenarios::{Scenario, Setting};

pub(crate) use stats::median;
use stats::{Ratio, Side};
pub(crate) use target::Bound;

/// A report that can be printed, and written to a file.
pub(crate) trait Printable: Serialize {
    /// The report as lines of text.
    fn table(&self) -> String;

    /// The report as an HTML page, if it has one.
    fn page(&self) -> Option<String> {
        None
    }

    /// The report as Markdown, if it has one.
    fn markdown(&self) -> Option<String> {
        None
    }
}

/// The header of every report.
#[derive(Debug, Serialize)]
struct Header {
    program: &'static str,
    version: &'static str,
    /// The command that repeats the run.
    command: String,
    machine: Machine,
    /// The settings, in sentences.
    settings: Vec<String>,
}

/// The report on one run of loads.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    header: Header,
    scenarios: Vec<ScenarioReport>,
    /// Notes for the reader.
    notes: Vec<String>,
}

/// The results of one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct ScenarioReport {
    id: &'static str,
    title: String,
    connections: usize,
    /// The receiving connections of a broadcast.
    receivers: Option<usize>,
    /// Payload bytes of each message.
    size: usize,
    /// The limit on unanswered messages of one sender.
    depth: usize,
    /// Messages per second of all senders, in an open loop.
    rate: Option<f64>,
    server: Side,
    floor: Option<Side>,
    /// Server to floor: the median round trip, or for a broadcast that of the last receiver.
    median_ratio: Option<Ratio>,
    /// Server to floor: messages per second.
    throughput_ratio: Option<Ratio>,
    goal: Option<Goal>,
    /// Whether the ratio's median reaches the goal.
    goal_reached: Option<bool>,
}

/// A target of the engine, as a ratio to the floor.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) metric: Metric,
    pub(crate) limit: f64,
}

/// The figure that a goal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Metric {
    /// The median latency: at most the limit.
    Median,
    /// Messages per second: at least the limit.
    Throughput,
}

impl Header {
    fn new(settings: Vec<String>) -> Self {
        Self {
            program: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            command: text::command(std::env::args()),
            machine: Machine::describe(),
            settings,
        }
    }

    /// The machine and the settings, one per line.
    fn lines(&self) -> String {
        format!("{}\n{}\n", self.machine.summary(), self.settings.join("\n"))
    }
}

impl Report {
    /// An empty report on the scenarios that are about to run.
    pub(crate) fn of_scenarios(setting: &Setting) -> Self {
        let timing = setting.timing;
        let place = match setting.cpus {
            Some(cpus) => format!(
                "server (idle: {}) on CPU {}, load on CPU {}, which never sleeps",
                setting.idle.name(),
                cpus.server,
                cpus.load
            ),
            None => format!("server (idle: {}) and load on the same CPU", setting.idle.name()),
        };
        let floor = if setting.with_floor { ", alternating with the floor" } else { "" };
        let plural = if timing.rounds == 1 { "" } else { "s" };
        let rounds = format!(
            "{} round{plural} of {:?} after {:?} to warm up{floor}; medians over the rounds",
            timing.rounds, timing.duration, timing.warm_up
        );
        let mut report = Self::new(vec![place, rounds]);
        if setting.with_floor {
            report.header.settings.push(
                "floor: the same bytes over raw TCP, same loop, same idle mode, no WebSocket"
                    .to_owned(),
            );
        }
        report
    }

    /// The report on one load against another server.
    pub(crate) fn of_one_run(load: &Load, cpu: Option<usize>, measurement: Measurement) -> Self {
        let pace = match load.pace {
            Pace::Closed { depth } => format!("closed loop, {depth} deep"),
            Pace::Open { per_second, in_flight_max } => format!(
                "open loop, {per_second} messages/s, at most {in_flight_max} unanswered each"
            ),
        };
        let sleep = if load.spin { ", never sleeps" } else { "" };
        let place = cpu.map(|cpu| format!(", on CPU {cpu}")).unwrap_or_default();
        let time = format!("{:?} after {:?} to warm up", load.duration, load.warm_up);
        let target = load.target.to_string();
        let mut report = Self::new(vec![target, format!("{pace}{sleep}{place}, {time}")]);
        if measurement.unanswered > 0 {
            report.note(format!(
                "{} messages were not answered in time: the server does not keep up with the \
                 rate, and the latencies say how long they had waited by then",
                measurement.unanswered
            ));
        }
        if !measurement.late.is_empty() {
            report.note(format!(
                "messages left later than intended by {} (p50), {} (p99), {} (max)",
                text::time(measurement.late.value_at_quantile(0.5)),
                text::time(measurement.late.value_at_quantile(0.99)),
                text::time(measurement.late.max()),
            ));
        }
        report.add(ScenarioReport::of_one_run(load, measurement));
        report
    }

    fn new(settings: Vec<String>) -> Self {
        Self { header: Header::new(settings), scenarios: Vec::new(), notes: Vec::new() }
    }

    /// Adds the results of one scenario.
    pub(crate) fn add(&mut self, scenario: ScenarioReport) {
        self.scenarios.push(scenario);
    }

    /// Adds a note.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

impl Printable for Report {
    fn table(&self) -> String {
        table::render(self)
    }

    fn page(&self) -> Option<String> {
        Some(html::render(self))
    }
}

impl ScenarioReport {
    /// Each round of the server is paired with one of the floor. Without a floor, `floor` is empty.
    pub(crate) fn of_rounds(
        scenario: &Scenario,
        server: &[Measurement],
        floor: &[Measurement],
    ) -> Self {
        let server = Side::of_rounds(server, scenario.shape);
        let floor = (!floor.is_empty()).then(|| Side::of_rounds(floor, scenario.shape));
        let ratio =
            |metric| floor.as_ref().and_then(|floor| Ratio::between(&server, floor, metric));
        let (median_ratio, throughput_ratio) = (ratio(Metric::Median), ratio(Metric::Throughput));
        let goal_reached = scenario.goal.and_then(|goal| match goal.metric {
            Metric::Median => Some(median_ratio?.median <= goal.limit),
            Metric::Throughput => Some(throughput_ratio?.median >= goal.limit),
        });
        Self {
            id: scenario.id,
            title: scenario.title.to_owned(),
            connections: scenario.shape.connections(),
            receivers: receivers(scenario.shape),
            size: scenario.size,
            depth: scenario.depth,
            rate: None,
            server,
            floor,
            median_ratio,
            throughput_ratio,
            goal: scenario.goal,
            goal_reached,
        }
    }

    fn of_one_run(load: &Load, measurement: Measurement) -> Self {
        let (id, title) = match load.shape {
            Shape::Echo { connections } => {
                ("echo", format!("echo, {connections} connections, {} B", load.size))
            }
            Shape::Broadcast { receivers, .. } => {
                ("broadcast", format!("broadcast to {receivers}, {} B", load.size))
            }
        };
        let (depth, rate) = match load.pace {
            Pace::Closed { depth } => (depth, None),
            Pace::Open { per_second, in_flight_max } => (in_flight_max, Some(per_second)),
        };
        Self {
            id,
            title,
            connections: load.shape.connections(),
            receivers: receivers(load.shape),
            size: load.size,
            depth,
            rate,
            server: Side::of_rounds(&[measurement], load.shape),
            floor: None,
            median_ratio: None,
            throughput_ratio: None,
            goal: None,
            goal_reached: None,
        }
    }
}

fn receivers(shape: Shape) -> Option<usize> {
    match shape {
        Shape::Echo { .. } => None,
        Shape::Broadcast { receivers, .. } => Some(receivers),
    }
}

/// The output files, created before the measurement, so that errors are noticed early.
#[derive(Debug)]
pub(crate) struct Files {
    json: Option<(PathBuf, File)>,
    html: Option<(PathBuf, File)>,
    markdown: Option<(PathBuf, File)>,
}

impl Files {
    pub(crate) fn create(args: &FileArgs) -> Result<Self, Error> {
        Self::with_markdown(args, None)
    }

    pub(crate) fn with_markdown(
        args: &FileArgs,
        markdown: Option<&PathBuf>,
    ) -> Result<Self, Error> {
        let create = |path: Option<&PathBuf>| {
            let Some(path) = path.cloned() else {
                return Ok(None);
            };
            match File::create(&path) {
                Ok(file) => Ok(Some((path, file))),
                Err(error) => Err(Error::system(cannot_write(&path))(error)),
            }
        };
        let (json, html) = (create(args.json.as_ref())?, create(args.html.as_ref())?);
        Ok(Self { json, html, markdown: create(markdown)? })
    }

    /// Prints the table, and writes the requested files.
    pub(crate) fn publish(self, report: &impl Printable) -> Result<(), Error> {
        let table = report.table();
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(table.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(Error::system("cannot write to standard output"))?;
        if let Some((path, mut file)) = self.json {
            serde_json::to_writer_pretty(&mut file, report)
                .map_err(io::Error::from)
                .and_then(|()| file.write_all(b"\n"))
                .map_err(Error::system(cannot_write(&path)))?;
        }
        let texts = [self.html.zip(report.page()), self.markdown.zip(report.markdown())];
        for ((path, mut file), text) in texts.into_iter().flatten() {
            file.write_all(text.as_bytes()).map_err(Error::system(cannot_write(&path)))?;
        }
        Ok(())
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
