//! The measurements: clients that come back, the cost of a replay, and a storm of clients.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::args::ResumeArgs;
use super::crowd::Crowd;
use crate::error::Error;
use crate::load::no_latencies;
use crate::machine::{self, Process};
use crate::process::Server;
use crate::results::{Better, Figure, Unit};
use crate::scenario::Sample;

/// How long messages may be under way when nothing more is broadcast.
const GRACE: Duration = Duration::from_millis(300);
/// The messages of each replay.
const REPLAYED: u64 = 100;
/// The storm's history: 1 MiB in messages of 1 KiB with their headers.
const MESSAGES: u64 = 1024;
const MESSAGE_BYTES: u64 = 1020;
/// How long round trips are measured before the storm, and the pause between two of them.
const CALM: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_micros(500);

const fn less(id: &'static str, title: &'static str, unit: Unit) -> Figure {
    Figure::new(id, title, unit, Better::Less)
}

/// What the clients of both kinds have.
pub(super) static OF_CLIENTS: [Figure; 7] = [
    Figure::time("back_p50_ns", "until current, p50"),
    Figure::time("back_p99_ns", "until current, p99"),
    Figure::time("back_max_ns", "until current, max"),
    less("doubled", "delivered again", Unit::Count),
    less("lost", "reported as lost", Unit::Count),
    less("missing", "missing without a report", Unit::Count),
    less("failed", "failed connections", Unit::Count),
];
pub(super) static OF_DROPS: [Figure; 4] = [
    Figure::count("drops", "drops"),
    Figure::count("expected", "messages to all clients"),
    Figure::new("delivered", "delivered", Unit::Share, Better::More),
    Figure::time("settled_ns", "last drop until all are current, longest"),
];
pub(super) static OF_SERVER: [Figure; 3] = [
    less("memory_before", "memory per client before", Unit::Bytes),
    less("memory_after", "memory per client after", Unit::Bytes),
    less("server_cpu", "CPU of the server", Unit::Share),
];
pub(super) static OF_REPLAY: [Figure; 3] = [
    Figure::time("replay_ns", "CPU of 100 replayed messages"),
    Figure::time("none_ns", "CPU of a resumption that replays none"),
    Figure::time("hundred_ns", "CPU of one that replays 100 messages"),
];
pub(super) static OF_STORM: [Figure; 6] = [
    Figure::time("all_ns", "until all had everything"),
    Figure::new("bytes_per_second", "bytes", Unit::PerSecond, Better::More),
    less("outbound", "memory of all output, at most", Unit::Bytes),
    less("closed", "connections that were closed", Unit::Count),
    Figure::time("turn_p99_ns", "turn of the server, p99"),
    Figure::time("turn_max_ns", "longest turn of the server"),
];
/// Round trips of another connection.
pub(super) static OF_BYSTANDER: [Figure; 6] = [
    Figure::time("calm_p50_ns", "bystander before, p50"),
    Figure::time("calm_p99_ns", "bystander before, p99"),
    Figure::time("calm_max_ns", "bystander before, max"),
    Figure::time("storm_p50_ns", "bystander meanwhile, p50"),
    Figure::time("storm_p99_ns", "bystander meanwhile, p99"),
    Figure::time("storm_max_ns", "bystander meanwhile, max"),
];

/// Drops clients at random, lets them come back, and compares what they got with what the server
/// has broadcast.
pub(super) fn drops(args: &ResumeArgs, server: &Server) -> Result<Sample, Error> {
    let memory = || Some(server.process()?.memory()? as f64 / f64::from(args.clients));
    let empty = memory();
    let mut crowd = Crowd::connect(server.target(), args.clients, args.topics, "join")?;
    let connected = memory();
    crowd.say("start", &[args.topics.into(), args.rate as u64, args.size.into()]);
    let (begun, cpu_before) = (Instant::now(), cpu(server));
    let settled = drop_clients(args, &mut crowd)?;
    let cpu_share = (cpu(server) - cpu_before) / begun.elapsed().as_nanos() as f64;
    crowd.say("stop", &[]);
    let end = Instant::now() + GRACE;
    crowd.turn_until(|crowd| Instant::now() > end && crowd.is_current())?;
    crowd.conclude()?;
    let tally = &crowd.tally;
    let expected = (tally.received + tally.lost + tally.missing) as f64;
    let delivered = tally.received as f64 / expected.max(1.0);
    let values = [tally.drops as f64, expected, delivered, settled.as_nanos() as f64];
    let sample = with(of_clients(&crowd), &OF_DROPS, values);
    let Some(empty) = empty else { return Ok(sample) };
    let [before, after] = [connected, memory()].map(|memory| memory.unwrap_or(empty) - empty);
    Ok(with(sample, &OF_SERVER, [before, after, cpu_share]))
}

/// Drops clients and lets them come back, again and again. Returns how long it took at most until
/// all were current.
fn drop_clients(args: &ResumeArgs, crowd: &mut Crowd) -> Result<Duration, Error> {
    let (dropping, (round, away_max)) = (args.dropping(), args.round_and_away_max());
    let rounds = (args.time.as_secs_f64() / round.as_secs_f64()).round().max(1.0) as u64;
    let mut settled = Duration::ZERO;
    for _ in 0..rounds {
        let (begun, mut dropped) = (Instant::now(), 0);
        while begun.elapsed() < dropping {
            // Each client once, on average.
            let share = begun.elapsed().as_secs_f64() / dropping.as_secs_f64();
            let due = (share * f64::from(args.clients)) as u32;
            (dropped..due).for_each(|_| crowd.drop_one(away_max));
            dropped = due;
            crowd.turn()?;
        }
        settled = settled.max(crowd.turn_until(Crowd::is_current)?);
        crowd.turn_until(|_| begun.elapsed() >= round)?;
    }
    Ok(settled)
}

/// Resumes again and again on one connection, to measure what a replay costs the server.
pub(super) fn replay(args: &ResumeArgs, server: &Server) -> Result<Sample, Error> {
    let times = if args.quick { 20 } else { 5_000 };
    let mut crowd = Crowd::connect(server.target(), 1, 1, "where")?;
    crowd.ask("fill", &[0, 2 * REPLAYED, args.size.into()])?;
    crowd.conclude()?;
    let mut cost = |replayed| {
        let before = cpu(server);
        (0..times).try_for_each(|_| crowd.resume(replayed).map(drop))?;
        Ok::<_, Error>((cpu(server) - before) / f64::from(times))
    };
    let (none, hundred) = (cost(0)?, cost(REPLAYED)?);
    Ok(with(Sample::default(), &OF_REPLAY, [(hundred - none).max(0.0), none, hundred]))
}

/// All clients resume one long history at once, while another connection measures round trips.
pub(super) fn storm(args: &ResumeArgs, server: &Server) -> Result<Sample, Error> {
    let mut crowd = Crowd::connect(server.target(), args.clients, 1, "where")?;
    let (messages, calm) = if args.quick { (MESSAGES / 16, CALM / 10) } else { (MESSAGES, CALM) };
    crowd.ask("fill", &[0, messages, MESSAGE_BYTES])?;
    let end = Instant::now() + calm;
    let calm = round_trips(server, || Instant::now() < end)?;
    crowd.ask("stats", &[])?;
    let is_over = AtomicBool::new(false);
    let (time, meanwhile) = thread::scope(|scope| {
        let bystander = scope.spawn(|| round_trips(server, || !is_over.load(Ordering::Relaxed)));
        // The bystander does not wait until the clients have read.
        let time = machine::yield_to_others().and_then(|()| crowd.resume(0));
        is_over.store(true, Ordering::Relaxed);
        let meanwhile = bystander.join().unwrap_or(Err(Error::Thread("bystander")));
        Ok::<_, Error>((time?, meanwhile?))
    })?;
    let stats = crowd.ask("stats", &[])?;
    let mut words = stats.splitn(6, ' ').skip(1);
    let [outbound, closed, turn_p99, turn_max] =
        [(); 4].map(|()| words.next().and_then(|word| word.parse().ok()).unwrap_or(0.0));
    let bytes = (messages * (MESSAGE_BYTES + 4) * u64::from(args.clients)) as f64;
    let (all, rate) = (time.as_nanos() as f64, bytes / time.as_secs_f64());
    let sample =
        with(of_clients(&crowd), &OF_STORM, [all, rate, outbound, closed, turn_p99, turn_max]);
    let ([before @ .., _, _, _], [_, _, _, after @ ..]) = (&OF_BYSTANDER, &OF_BYSTANDER);
    let sample = times(times(sample, before, &calm), after, &meanwhile);
    Ok(match words.next() {
        Some(reason) if closed > 0.0 => sample.note(format!("the last closed one: {reason}")),
        _ => sample,
    })
}

/// Measures round trips as long as `is_wanted`, and one at least. Returns nanoseconds.
fn round_trips(server: &Server, is_wanted: impl Fn() -> bool) -> Result<Vec<u64>, Error> {
    let mut connection = Crowd::connect(server.target(), 1, 1, "where")?;
    let mut trips = Vec::new();
    while trips.is_empty() || is_wanted() {
        let start = Instant::now();
        connection.ask("echo", &[])?;
        trips.push(start.elapsed().as_nanos() as u64);
        thread::sleep(PAUSE);
    }
    Ok(trips)
}

/// The CPU time of the server in nanoseconds. 0 if it is unknown.
fn cpu(server: &Server) -> f64 {
    let time = server.process().map(Process::cpu).and_then(|cpu| cpu.time());
    time.unwrap_or_default().as_nanos() as f64
}

fn of_clients(crowd: &Crowd) -> Sample {
    let tally = &crowd.tally;
    let [back @ .., _, _, _, _] = &OF_CLIENTS;
    let [_, _, _, counts @ ..] = &OF_CLIENTS;
    let values = [tally.doubled, tally.lost, tally.missing, tally.failed].map(|it| it as f64);
    times(with(Sample::default(), counts, values), back, &tally.back)
}

fn with<const N: usize>(sample: Sample, figures: &[Figure; N], values: [f64; N]) -> Sample {
    figures.iter().zip(values).fold(sample, |sample, (figure, value)| sample.with(figure, value))
}

/// Adds the median, p99 and the maximum.
fn times(sample: Sample, figures: &[Figure; 3], nanoseconds: &[u64]) -> Sample {
    let mut latencies = no_latencies();
    nanoseconds.iter().for_each(|time| latencies.saturating_record(*time));
    let [p50, p99, max] = figures;
    sample.percentiles(&latencies, &[(p50, 0.5), (p99, 0.99), (max, 1.0)])
}
