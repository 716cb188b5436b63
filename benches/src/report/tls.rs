//! The report on the cost of TLS.

use serde::Serialize;

use super::stats::{Ratio, Summary, median};
use super::table::{align, ratio};
use super::{Header, Printable, text};
use crate::cli::TlsArgs;
use crate::idle::IdleMode;
use crate::load::Latencies;
use crate::machine::CpuPair;
use crate::tls::{Figures, Held, Lap, OPENINGS, Opening, Round, SIZES, Timing};

/// The report on one run of `tls`.
#[derive(Debug, Serialize)]
pub(crate) struct TlsReport {
    #[serde(flatten)]
    header: Header,
    round_trips: Vec<RoundTrip>,
    openings: Vec<Opened>,
    idle: Option<Idle>,
    notes: Vec<String>,
}

/// Messages of one size, one in flight at a time.
#[derive(Debug, Serialize)]
struct RoundTrip {
    size: usize,
    plain: Side,
    tls: Side,
    /// What TLS adds to the median, in nanoseconds: the median over the rounds.
    added_ns: f64,
    /// The ratio of the median round trips, with TLS to without.
    median_ratio: Option<Ratio>,
}

/// One way to open a connection, and to close it again.
#[derive(Debug, Serialize)]
struct Opened {
    how: &'static str,
    #[serde(flatten)]
    side: Side,
}

#[derive(Debug, Serialize)]
struct Side {
    latency_ns: Summary,
    /// The server's CPU time for each: the median over the rounds.
    server_cpu_ns: Option<f64>,
}

/// The server's memory per idle connection, in bytes.
#[derive(Debug, Serialize)]
struct Idle {
    connections: usize,
    plain_bytes: f64,
    tls_bytes: f64,
}

impl TlsReport {
    pub(crate) fn new(
        args: &TlsArgs,
        cpus: Option<CpuPair>,
        timing: Timing,
        figures: &Figures,
    ) -> Self {
        let Figures { plain, secure, held, .. } = figures;
        let round_trips = SIZES.iter().enumerate().map(|(index, &size)| {
            let laps = |rounds: &[Round]| -> Vec<Lap> {
                rounds.iter().map(|round| round.round_trips[index].clone()).collect()
            };
            RoundTrip::new(size, &laps(plain), &laps(secure))
        });
        let openings = OPENINGS.iter().enumerate().map(|(index, &opening)| {
            let (rounds, index) = match index.checked_sub(1) {
                None => (plain, 0),
                Some(index) => (secure, index),
            };
            let laps: Vec<Lap> = rounds.iter().map(|round| round.openings[index].clone()).collect();
            Opened { how: name(opening), side: Side::of(&laps) }
        });
        let mut report = Self {
            round_trips: round_trips.collect(),
            openings: openings.collect(),
            header: Header::new(settings(args.idle, cpus, timing)),
            idle: None,
            notes: Vec::new(),
        };
        report.set_held(*held, args.connections);
        report
    }

    /// Adds the memory of idle connections. `wanted` of them were requested.
    fn set_held(&mut self, held: Option<Held>, wanted: usize) {
        let Some(Held { connections, plain, secure }) = held else {
            return;
        };
        self.idle = Some(Idle { connections, plain_bytes: plain, tls_bytes: secure });
        if connections < wanted {
            self.note(format!(
                "{} connections were asked for: {} are what the limit of open files (ulimit -Hn) \
                 allows",
                text::count(wanted as f64),
                text::count(connections as f64)
            ));
        }
    }

    /// Adds a note.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    fn round_trip_rows(&self) -> Vec<Vec<String>> {
        let head = ["round trip", "p50", "with TLS", "added", "ratio", "p99", "with TLS"];
        let mut head = head.map(str::to_owned).to_vec();
        head.extend(["CPU/message", "with TLS"].map(str::to_owned));
        let mut rows = vec![head];
        for RoundTrip { size, plain, tls, added_ns, median_ratio } in &self.round_trips {
            let (p50, p99) = (
                [plain, tls].map(|side| text::time(side.latency_ns.p50)),
                [plain, tls].map(|side| text::time(side.latency_ns.p99)),
            );
            let mut row = vec![format!("{} B", text::count(*size as f64))];
            row.extend(p50);
            row.push(signed(*added_ns));
            row.push(median_ratio.map_or_else(|| "-".to_owned(), ratio));
            row.extend(p99);
            row.extend([plain, tls].map(Side::cpu));
            rows.push(row);
        }
        rows
    }

    fn opening_rows(&self) -> Vec<Vec<String>> {
        let head = ["opening and closing", "p50 until open", "p99", "CPU of the server"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for Opened { how, side } in &self.openings {
            let Summary { p50, p99, .. } = side.latency_ns;
            rows.push(vec![(*how).to_owned(), text::time(p50), text::time(p99), side.cpu()]);
        }
        rows
    }
}

impl RoundTrip {
    fn new(size: usize, plain: &[Lap], secure: &[Lap]) -> Self {
        let medians = |laps: &[Lap]| -> Vec<f64> {
            laps.iter().map(|lap| lap.latencies.value_at_quantile(0.5) as f64).collect()
        };
        let (without, with) = (medians(plain), medians(secure));
        let added = with.iter().zip(&without).map(|(with, without)| with - without);
        Self {
            size,
            plain: Side::of(plain),
            tls: Side::of(secure),
            added_ns: median(added.collect()).unwrap_or_default(),
            median_ratio: Ratio::of_rounds(&with, &without),
        }
    }
}

impl Side {
    fn of(laps: &[Lap]) -> Self {
        let latencies: Vec<&Latencies> = laps.iter().map(|lap| &lap.latencies).collect();
        let cpu = laps.iter().filter_map(|lap| lap.server_cpu).map(|cpu| cpu.as_nanos() as f64);
        Self { latency_ns: Summary::of_rounds(&latencies), server_cpu_ns: median(cpu.collect()) }
    }

    fn cpu(&self) -> String {
        self.server_cpu_ns.map_or_else(|| "-".to_owned(), |time| text::time(time as u64))
    }
}

impl Printable for TlsReport {
    fn table(&self) -> String {
        let mut out = format!(
            "{}\n{}\n{}",
            self.header.lines(),
            align(&self.round_trip_rows()),
            align(&self.opening_rows())
        );
        if let Some(Idle { connections, plain_bytes, tls_bytes }) = &self.idle {
            out.push_str(&format!(
                "\nan idle connection, of {}: {} B of the server's memory, with TLS {} B\n",
                text::count(*connections as f64),
                text::count(*plain_bytes),
                text::count(*tls_bytes)
            ));
        }
        if !self.notes.is_empty() {
            out.push_str(&format!("\n{}\n", self.notes.join("\n")));
        }
        out
    }
}

/// The settings, in sentences.
fn settings(idle: IdleMode, cpus: Option<CpuPair>, timing: Timing) -> Vec<String> {
    let idle = idle.name();
    let place = match cpus {
        Some(cpus) => format!(
            "server (idle: {idle}) on CPU {}, client, which never sleeps, on CPU {}",
            cpus.server, cpus.load
        ),
        None => format!("server (idle: {idle}) and client on the same CPU"),
    };
    let plural = if timing.rounds == 1 { "" } else { "s" };
    vec![
        place,
        "the engine is at both ends, which both encrypt and decrypt".to_owned(),
        format!(
            "{} round{plural}, without TLS and with it in turns: {:?} for each size, {} \
             connections one after the other; medians over the rounds",
            timing.rounds, timing.time, timing.openings
        ),
    ]
}

const fn name(opening: Opening) -> &'static str {
    match opening {
        Opening::Plain => "without TLS",
        Opening::Full => "with TLS, full handshake",
        Opening::Resumed => "with TLS, resumed",
    }
}

/// A difference in nanoseconds, with a sign.
fn signed(nanoseconds: f64) -> String {
    let sign = if nanoseconds < 0.0 { "-" } else { "+" };
    format!("{sign}{}", text::time(nanoseconds.abs() as u64))
}
