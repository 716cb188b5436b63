//! All clients resume one long history at once, while another connection measures round trips.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::args::ResumeArgs;
use super::clients::Clients;
use super::control::Control;
use super::dialect::Dialect;
use crate::compare::process::Server;
use crate::error::Error;
use crate::load::{Latencies, no_latencies};
use crate::machine;

/// The history: 1 MiB in messages of 1 KiB with their headers.
const MESSAGES: u64 = 1024;
const MESSAGE_BYTES: u64 = 1020;

/// How long round trips are measured before the storm.
const CALM: Duration = Duration::from_secs(1);

/// The pause between two round trips.
const PAUSE: Duration = Duration::from_micros(500);

/// What came of the storm.
#[derive(Clone, Debug)]
pub(crate) struct Storm {
    /// Until all had everything.
    pub(crate) time: Duration,
    pub(crate) bytes: u64,
    pub(crate) doubled: u64,
    pub(crate) missing: u64,
    /// Until each client had everything, in nanoseconds.
    pub(crate) back: Latencies,
    /// Connections that the server closed, or that failed.
    pub(crate) closed: u64,
    /// Why the server closed the last one.
    pub(crate) reason: String,
    /// The most memory of all output, in bytes.
    pub(crate) outbound_max: u64,
    /// Round trips of another connection before and meanwhile, in nanoseconds.
    pub(crate) calm: Latencies,
    pub(crate) bystander: Latencies,
    /// The server's turns.
    pub(crate) turn_p99: Duration,
    pub(crate) turn_max: Duration,
}

/// Runs the storm.
pub(super) fn run(args: &ResumeArgs, server: &Server) -> Result<Storm, Error> {
    // The bystander does not wait until the clients have read.
    machine::yield_to_others()?;
    let mut clients =
        Clients::connect((args.clients as usize, 1), server.target(), Dialect::Eventwire, "where")?;
    let mut control = Control::connect(server)?;
    let messages = if args.quick { MESSAGES / 16 } else { MESSAGES };
    control.ask(&format!("fill 0 {messages} {MESSAGE_BYTES}"), "filled")?;
    let calm_until = Instant::now() + if args.quick { CALM / 10 } else { CALM };
    let calm = round_trips(server, || Instant::now() < calm_until)?;
    control.ask("reset", "reset")?;
    let is_over = AtomicBool::new(false);
    let (time, bystander) = thread::scope(|scope| {
        let bystander = scope.spawn(|| round_trips(server, || !is_over.load(Ordering::Relaxed)));
        let outcome = clients.resume_all();
        let outcome = outcome.and_then(|()| clients.turn_until(Clients::are_current));
        is_over.store(true, Ordering::Relaxed);
        let bystander = bystander.join().unwrap_or(Err(Error::Thread("bystander")));
        Ok::<_, Error>((outcome?, bystander?))
    })?;
    let stats = control.ask("stats", "stats")?;
    let mut words = stats.splitn(6, ' ').skip(1);
    let mut next = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    let (outbound_max, closed) = (next(), next());
    let (turn_p99, turn_max) = (Duration::from_nanos(next()), Duration::from_nanos(next()));
    let reason = words.next().unwrap_or_default().to_owned();
    let tally = &clients.tally;
    Ok(Storm {
        time,
        bytes: messages * (MESSAGE_BYTES + 4) * u64::from(args.clients),
        doubled: tally.doubled,
        missing: tally.missing + tally.lost,
        back: tally.back.clone(),
        closed: closed.max(tally.failed),
        reason,
        outbound_max,
        calm,
        bystander,
        turn_p99,
        turn_max,
    })
}

/// Measures round trips as long as that is wanted, and one at least.
fn round_trips(server: &Server, is_wanted: impl Fn() -> bool) -> Result<Latencies, Error> {
    let mut control = Control::connect(server)?;
    let mut latencies = no_latencies();
    loop {
        let start = Instant::now();
        control.ask("echo", "echo")?;
        latencies.saturating_record(start.elapsed().as_nanos() as u64);
        if !is_wanted() {
            return Ok(latencies);
        }
        thread::sleep(PAUSE);
    }
}
