//! The scenarios that the program measures without a command.

use std::thread;
use std::time::Duration;

use indicatif::ProgressBar;

use crate::cli::RunArgs;
use crate::contestants::Contestant;
use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::{self, Load, Measurement, Pace, Shape, Target};
use crate::machine::{self, CpuPair, CpuUse, Interference, ThreadCpu};
use crate::progress_bar;
use crate::report::{Goal, Metric, Report, ScenarioReport};
use crate::service::{Server, Service, ServiceConfig};

/// One kind of traffic, measured against the engine and against the floor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// Its name in JSON.
    pub(crate) id: &'static str,
    /// Its title in reports.
    pub(crate) title: &'static str,
    pub(crate) shape: Shape,
    /// Payload bytes of each message.
    pub(crate) size: usize,
    /// How many messages each sender leaves unanswered.
    pub(crate) depth: usize,
    /// The engine's target.
    pub(crate) goal: Option<Goal>,
}

/// In the order in which they run.
const SCENARIOS: [Scenario; 5] = [
    Scenario {
        id: "round-trip",
        title: "round trip, 1 connection, 128 B",
        shape: Shape::Echo { connections: 1 },
        size: 128,
        depth: 1,
        goal: Some(Goal { metric: Metric::Median, limit: 1.05 }),
    },
    Scenario {
        id: "connections-100",
        title: "100 connections, 64 B",
        shape: Shape::Echo { connections: 100 },
        size: 64,
        depth: 1,
        goal: Some(Goal { metric: Metric::Throughput, limit: 0.93 }),
    },
    Scenario {
        id: "pipelined",
        title: "10 connections, 64 deep, 20 B",
        shape: Shape::Echo { connections: 10 },
        size: 20,
        depth: 64,
        goal: None,
    },
    Scenario {
        id: "broadcast-100",
        title: "broadcast to 100, 128 B",
        shape: Shape::Broadcast { receivers: 100, publishers: 1 },
        size: 128,
        depth: 1,
        goal: None,
    },
    Scenario {
        id: "broadcast-1000",
        title: "broadcast to 1,000, 128 B",
        shape: Shape::Broadcast { receivers: 1000, publishers: 1 },
        size: 128,
        depth: 1,
        goal: None,
    },
];

/// The number and length of the rounds. Engine and floor alternate in short rounds, so that
/// interference on the machine affects both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

const FULL: Timing =
    Timing { rounds: 5, warm_up: Duration::from_millis(150), duration: Duration::from_millis(600) };
const QUICK: Timing =
    Timing { rounds: 1, warm_up: Duration::from_millis(10), duration: Duration::from_millis(50) };

/// The setting of the scenarios.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) timing: Timing,
    pub(crate) idle: IdleMode,
    /// With two CPUs, server and load have one each. Otherwise they share the CPUs.
    pub(crate) cpus: Option<CpuPair>,
    pub(crate) with_floor: bool,
}

impl Setting {
    /// Whether the load spins. With a CPU of its own it does, so that latencies exclude its
    /// wake-up.
    pub(crate) fn spin(&self) -> bool {
        self.cpus.is_some()
    }
}

/// The measured server.
#[derive(Clone, Copy, Debug)]
enum Side {
    Engine,
    Floor,
}

/// Runs all scenarios.
pub(crate) fn run(args: &RunArgs) -> Result<Report, Error> {
    let setting = Setting {
        timing: if args.quick { QUICK } else { FULL },
        idle: args.idle,
        cpus: CpuPair::pick(),
        with_floor: args.with_floor(),
    };
    let mut report = Report::of_scenarios(&setting);
    let sides = if setting.with_floor { 2 } else { 1 };
    let bar = progress_bar((SCENARIOS.len() * setting.timing.rounds * sides) as u64);
    let before = CpuUse::now();
    for scenario in &SCENARIOS {
        bar.set_message(scenario.title);
        if let Some(reason) = lacks_files(scenario) {
            report.note(format!("{}: left out, {reason}", scenario.title));
            bar.inc((setting.timing.rounds * sides) as u64);
            continue;
        }
        report.add(run_scenario(scenario, &setting, &bar)?);
    }
    bar.finish_and_clear();
    let interference = CpuUse::now().zip(before).map(|(now, then)| now.interference_since(then));
    if let Some(note) = interference.and_then(Interference::doubts) {
        report.note(note);
    }
    Ok(report)
}

/// The reason if the limit on open files is too low for both ends of the scenario's connections.
fn lacks_files(scenario: &Scenario) -> Option<String> {
    const OTHER_FILES: usize = 192;
    let wanted = (scenario.shape.connections() * 2 + OTHER_FILES) as u64;
    let limit = machine::raise_file_limit(wanted);
    (limit < wanted).then(|| format!("it needs {wanted} open files, the limit is {limit}"))
}

fn run_scenario(
    scenario: &Scenario,
    setting: &Setting,
    bar: &ProgressBar,
) -> Result<ScenarioReport, Error> {
    let (mut engine, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..setting.timing.rounds {
        engine.push(run_round(scenario, setting, Side::Engine)?);
        bar.inc(1);
        if setting.with_floor {
            floor.push(run_round(scenario, setting, Side::Floor)?);
            bar.inc(1);
        }
    }
    Ok(ScenarioReport::of_rounds(scenario, &engine, &floor))
}

/// Starts a server, loads it, and stops it, so that no state remains for the next round, and no
/// idle server spins beside the measured one.
fn run_round(scenario: &Scenario, setting: &Setting, side: Side) -> Result<Measurement, Error> {
    let service = match scenario.shape {
        Shape::Echo { .. } => Service::Echo,
        Shape::Broadcast { .. } => Service::Broadcast,
    };
    let cpu = setting.cpus.map(|cpus| cpus.server);
    let config = ServiceConfig::embedded(service, setting.idle, cpu);
    let contestant = match side {
        Side::Engine => Contestant::Eventwire,
        Side::Floor => Contestant::Floor,
    };
    let server = Server::start(config, None, contestant.run())?;
    let load = Load {
        target: Target::embedded(contestant.wire(), server.address()),
        shape: scenario.shape,
        size: bytes_on_wire(scenario, side),
        pace: Pace::Closed { depth: scenario.depth },
        warm_up: setting.timing.warm_up,
        duration: setting.timing.duration,
        spin: setting.spin(),
    };
    let measurement = run_load(&load, setting.cpus.map(|cpus| cpus.load), server.cpu());
    // If both failed, the server's error is the cause.
    server.stop()?;
    measurement
}

/// The payload size for the floor, so that it carries as many bytes as the WebSocket frames: for
/// echoes as the client's frames, for broadcasts as the more numerous frames of the server.
fn bytes_on_wire(scenario: &Scenario, side: Side) -> usize {
    const MASK: usize = 4;
    let header = if scenario.size < 126 { 2 } else { 4 };
    match (side, scenario.shape) {
        (Side::Engine, _) => scenario.size,
        (Side::Floor, Shape::Echo { .. }) => scenario.size + header + MASK,
        (Side::Floor, Shape::Broadcast { .. }) => scenario.size + header,
    }
}

/// Runs the load on a thread of its own, so that only this thread is bound to a CPU.
fn run_load(load: &Load, cpu: Option<usize>, server: &ThreadCpu) -> Result<Measurement, Error> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            cpu.map_or(Ok(()), machine::pin)?;
            load::run(load, Some(server))
        });
        thread.join().unwrap_or(Err(Error::Thread("load")))
    })
}
