//! Requests for a page: the engine beside other HTTP servers.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum as _};

use super::figures::{rate, sample, server_cpu};
use super::traffic::Setting;
use crate::arguments::{parse_connections, parse_depth};
use crate::contestants::{Contestant as _, Own};
use crate::error::Error;
use crate::load::{Measurement, Meter};
use crate::machine::{self, CpuPair, Process};
use crate::output::FileArgs;
use crate::results::{Bound, Figure, Role, To};
use crate::scenario::{Plan, Sample, Scenario, Timing};
use crate::servers::Implementation;
use crate::servers::page::PAGE;
use crate::service::Service;
use crate::target::Target;

/// Measure HTTP: requests for a page of 13 bytes, 16 in flight on each of 64 connections
///
/// Every server has a process of its own on one CPU, in turns with the others. With `--features
/// peers` hyper and `may_minihttp` take part. It takes half a minute.
#[derive(Args, Debug)]
pub(crate) struct HttpArgs {
    /// Connections
    #[arg(short = 'c', long, default_value = "64", value_name = "N")]
    #[arg(value_parser = parse_connections)]
    connections: usize,
    /// Requests that each connection has in flight
    #[arg(short = 'd', long, default_value = "16", value_parser = parse_depth)]
    depth: usize,
    /// Rounds of each server
    #[arg(long, default_value = "9", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=101))]
    rounds: u16,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    quick: bool,
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// A server that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// The engine's row without a handler.
const KEPT: &str = Implementation::EventwirePage.name();
const CPU: Figure = server_cpu("CPU/request");

impl HttpArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let (rounds, times) =
            if self.quick { (1, [20, 100]) } else { (self.rounds.into(), [150, 600]) };
        let [warm_up, duration] = times.map(Duration::from_millis);
        let setting = Setting::new(false);
        let at_most = Bound::AtMost(0.7);
        let mut scenario = Scenario::new("http", "requests for a page", [CPU, rate("requests/s")])
            .target(&CPU, To::BestPeer, at_most)
            .target_of(KEPT, &CPU, To::BestPeer, at_most);
        let all = Implementation::value_variants().iter();
        for &one in all.filter(|one| one.services().contains(&Service::Page)) {
            let server = Own::new(one);
            let role = if one.name() == KEPT { Role::Mode } else { server.role() };
            let cpus = setting.cpus;
            let measure = move |timing| self.measure(&server, timing, cpus);
            scenario = scenario.entrant(one.name(), role, measure);
        }
        Ok(Plan {
            title: "Requests for a page",
            conditions: vec![
                setting.place(),
                format!(
                    "GET of a page of {} B, {} in flight on each of {} connections; {rounds} \
                     rounds of {duration:?} after {warm_up:?} to warm up, in turns; the load \
                     sleeps until responses arrive; {KEPT}: no handler is called",
                    PAGE.len(),
                    self.depth,
                    self.connections
                ),
            ],
            timing: Timing { rounds, warm_up, duration },
            repetition_max: Duration::ZERO,
            scenarios: vec![scenario],
            notes: Vec::new(),
        })
    }

    fn measure(&self, to: &Own, timing: Timing, cpus: Option<CpuPair>) -> Result<Sample, Error> {
        let server = to.launch(Service::Page, cpus.map(|cpus| cpus.server))?.start()?;
        let clock = server.process().map(Process::cpu);
        let measured = machine::run_on(cpus.map(|cpus| cpus.load), || {
            let load = Load::start(server.target(), self.connections, self.depth);
            let meter = Meter::begin(timing.warm_up, timing.duration, clock);
            load.and_then(|load| load.run(meter)).map_err(Error::system("the load failed"))
        })?;
        let used = server.process().and_then(|process| process.cpu().time());
        server.stop()?;
        Ok(Sample { servers_cpu: used.unwrap_or_default(), ..sample(&measured) })
    }
}

/// Connections that each have the same number of requests in flight. It waits for one after the
/// other, and the server always has the requests of all others.
struct Load {
    /// With the times at which they sent their requests.
    streams: Vec<(TcpStream, Instant)>,
    /// The requests that a connection sends at a time.
    requests: Vec<u8>,
    /// The length of one response: only its date changes.
    response: usize,
    /// Receives the responses to a connection's requests.
    buffer: Vec<u8>,
}

impl Load {
    fn start(to: &Target, connections: usize, depth: usize) -> io::Result<Self> {
        let connect = || -> io::Result<TcpStream> {
            let stream = TcpStream::connect((to.host.as_str(), to.port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let response = response_len(&mut connect()?)?;
        let (requests, buffer) = (REQUEST.repeat(depth), vec![0; response * depth]);
        let send = |_| {
            let mut stream = connect()?;
            stream.write_all(&requests)?;
            Ok((stream, Instant::now()))
        };
        let streams = (0..connections).map(send).collect::<io::Result<_>>()?;
        Ok(Self { streams, requests, response, buffer })
    }

    fn run(mut self, mut meter: Meter) -> io::Result<Measurement> {
        while !meter.is_over(Instant::now()) {
            for (stream, sent) in &mut self.streams {
                stream.read_exact(&mut self.buffer)?;
                if !self.buffer.chunks(self.response).all(is_page) {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                let now = Instant::now();
                meter.arrived(*sent, now);
                stream.write_all(&self.requests)?;
                *sent = now;
            }
        }
        let measured = meter.finish();
        let depth = self.requests.len() / REQUEST.len();
        Ok(Measurement { count: measured.count * depth as u64, ..measured })
    }
}

fn is_page(response: &[u8]) -> bool {
    response.starts_with(b"HTTP/1.1 200 ") && response.ends_with(PAGE.as_bytes())
}

fn response_len(stream: &mut TcpStream) -> io::Result<usize> {
    stream.write_all(REQUEST)?;
    let (mut response, mut byte) = (Vec::new(), [0]);
    while !response.ends_with(PAGE.as_bytes()) {
        stream.read_exact(&mut byte)?;
        response.extend(byte);
    }
    Ok(response.len())
}
