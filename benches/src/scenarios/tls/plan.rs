//! The scenarios, each without TLS and with it. Every measurement has a server of its own.

use std::time::Duration;

use super::client::{Client, Opening};
use crate::contestants::{Contestant as _, Own};
use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::Latencies;
use crate::machine::{self, CpuPair, Process};
use crate::process::Server;
use crate::results::{Better, Figure, Role, Unit};
use crate::scenario::{Plan, Sample, Scenario, Timing};
use crate::servers::Implementation;
use crate::service::Service;

const P50: Figure = Figure::time("p50_ns", "p50");
const P99: Figure = Figure::time("p99_ns", "p99");
const CPU: Figure = Figure::time("server_cpu_ns", "CPU of the server");
const MEMORY: Figure =
    Figure::new("server_bytes", "memory of the server", Unit::Bytes, Better::Less);

/// Payload bytes of the messages whose round trips are measured.
const SIZES: [usize; 5] = [16, 128, 1024, 16 * 1024, 64 * 1024];

/// Open files besides the connections.
const OTHER_FILES: u64 = 192;

const WITHOUT: (&str, Role, Opening) = ("without TLS", Role::Floor, Opening::Plain);
const FULL: (&str, Role, Opening) = ("with TLS, full handshake", Role::Mode, Opening::Full);
const RESUMED: (&str, Role, Opening) = ("with TLS, resumed", Role::Mode, Opening::Resumed);
const WITH: (&str, Role, Opening) = ("with TLS", Role::Mode, Opening::Resumed);

pub(super) fn plan(wanted: usize, idle: IdleMode, quick: bool) -> Result<Plan<'static>, Error> {
    let (rounds, milliseconds, openings) = if quick { (1, 20, 5) } else { (5, 400, 200) };
    let duration = Duration::from_millis(milliseconds);
    let setting = Setting { idle, cpus: CpuPair::pick() };
    // As many as the limit on open files allows.
    let files = machine::raise_file_limit(wanted as u64 + OTHER_FILES);
    let connections = wanted.min(files.saturating_sub(OTHER_FILES) as usize).max(1);
    let mut scenarios: Vec<Scenario<'_>> =
        SIZES.iter().map(|&size| setting.round_trips(size)).collect();
    scenarios.push(setting.openings(openings));
    scenarios.push(setting.held(connections));
    Ok(Plan {
        title: "TLS",
        conditions: vec![
            setting.place(),
            "the engine is at both ends, which both encrypt and decrypt".to_owned(),
            format!(
                "{duration:?} for each size, {openings} connections one after the other, \
                 without TLS and with it in turns"
            ),
        ],
        timing: Timing { rounds, warm_up: duration / 10, duration },
        repetition_max: Duration::ZERO,
        scenarios,
        notes: Vec::new(),
    })
}

/// Where the server and the client run.
#[derive(Clone, Copy, Debug)]
struct Setting {
    idle: IdleMode,
    cpus: Option<CpuPair>,
}

impl Setting {
    fn place(self) -> String {
        let idle = self.idle.name();
        match self.cpus {
            Some(CpuPair { server, load }) => format!(
                "server (idle: {idle}) on CPU {server}, client, which never sleeps, on CPU {load}"
            ),
            None => format!("server (idle: {idle}) and client on the same CPU"),
        }
    }

    fn round_trips(self, size: usize) -> Scenario<'static> {
        let id = format!("round_trip_{size}");
        let scenario = Scenario::new(id, format!("round trip of {size} B"), [P50, P99, CPU]);
        self.entrants(scenario, size, [WITHOUT, WITH], |client, server, timing| {
            costs(server, || client.round_trips(timing))
        })
    }

    fn openings(self, count: usize) -> Scenario<'static> {
        let title = "opening and closing a connection";
        let scenario = Scenario::new("opening", title, [P50, P99, CPU]);
        self.entrants(scenario, 0, [WITHOUT, FULL, RESUMED], move |client, server, _| {
            // Without an earlier session there is none to resume.
            client.openings(1)?;
            costs(server, || client.openings(count))
        })
    }

    /// The memory of each of `count` connections, after a message and its echo.
    fn held(self, count: usize) -> Scenario<'static> {
        let title = format!("an idle connection, of {count}");
        let scenario = Scenario::new("idle", title, [MEMORY]).rounds(1);
        self.entrants(scenario, SIZES[0], [WITHOUT, WITH], move |client, server, _| {
            let memory = || server.process().and_then(Process::memory);
            // Memory that is independent of the number of connections is then already allocated.
            client.hold(1)?;
            let before = memory();
            client.hold(count)?;
            let grown = memory().zip(before).map(|(now, before)| now.saturating_sub(before));
            Ok(Sample::default().maybe(&MEMORY, grown.map(|bytes| bytes as f64 / count as f64)))
        })
    }

    /// Adds the entrants, which all measure the same on a new server.
    fn entrants<const N: usize, M>(
        self,
        scenario: Scenario<'static>,
        size: usize,
        entrants: [(&'static str, Role, Opening); N],
        measure: M,
    ) -> Scenario<'static>
    where
        M: Fn(&mut Client, &Server, Timing) -> Result<Sample, Error> + Copy + Sync + 'static,
    {
        entrants.into_iter().fold(scenario.base(WITHOUT.0), |scenario, (name, role, opening)| {
            scenario.entrant(name, role, move |timing| {
                let own = Own::new(Implementation::Eventwire).idle(self.idle);
                let own = if opening == Opening::Plain { own } else { own.tls() };
                let server = own.start(Service::Echo, self.cpus.map(|cpus| cpus.server))?;
                let sample = machine::run_on(self.cpus.map(|cpus| cpus.load), || {
                    let spin = self.cpus.is_some();
                    let client = Client::new(server.target(), opening, size, spin);
                    measure(&mut client?, &server, timing)
                })?;
                let servers_cpu = cpu_time(&server).unwrap_or_default();
                server.stop()?;
                Ok(Sample { servers_cpu, ..sample })
            })
        })
    }
}

/// Does something a number of times, which it returns, and measures what each costs.
fn costs(
    server: &Server,
    act: impl FnOnce() -> Result<(Latencies, usize), Error>,
) -> Result<Sample, Error> {
    let before = cpu_time(server);
    let (latencies, count) = act()?;
    let spent = cpu_time(server).zip(before).map(|(now, before)| now.saturating_sub(before));
    let sample = Sample::default()
        .percentiles(&latencies, &[(&P50, 0.5), (&P99, 0.99)])
        .maybe(&CPU, spent.map(|spent| spent.as_nanos() as f64 / count.max(1) as f64));
    Ok(sample.plot(latencies))
}

fn cpu_time(server: &Server) -> Option<Duration> {
    server.process()?.cpu().time()
}
