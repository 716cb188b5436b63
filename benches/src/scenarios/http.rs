//! Requests for a page: the engine beside other HTTP servers.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum as _};

use super::figures::{rate, server_cpu};
use crate::arguments::{parse_connections, parse_depth};
use crate::contestants::{Contestant as _, Own};
use crate::error::Error;
use crate::machine::{self, CpuPair};
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
const RATE: Figure = rate("requests/s");

impl HttpArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let (rounds, times) =
            if self.quick { (1, [20, 100]) } else { (self.rounds.into(), [150, 600]) };
        let [warm_up, duration] = times.map(Duration::from_millis);
        let cpus = CpuPair::pick();
        let at_most = Bound::AtMost(0.7);
        let mut scenario = Scenario::new("http", "requests for a page", [CPU, RATE])
            .target(&CPU, To::BestPeer, at_most)
            .target_of(KEPT, &CPU, To::BestPeer, at_most);
        let all = Implementation::value_variants().iter();
        for &one in all.filter(|one| one.services().contains(&Service::Page)) {
            let server = Own::new(one);
            let role = if one.name() == KEPT { Role::Mode } else { server.role() };
            let measure = move |timing| self.measure(&server, timing, cpus);
            scenario = scenario.entrant(one.name(), role, measure);
        }
        Ok(Plan {
            title: "Requests for a page",
            conditions: vec![format!(
                "GET of a page of {} B, {} in flight on each of {} connections; each server in a \
                 process of its own; {rounds} rounds of {duration:?} after {warm_up:?} to warm up, \
                 in turns; {KEPT}: no handler is called",
                PAGE.len(),
                self.depth,
                self.connections
            )],
            timing: Timing { rounds, warm_up, duration },
            repetition_max: Duration::ZERO,
            scenarios: vec![scenario],
            notes: Vec::new(),
        })
    }

    fn measure(&self, to: &Own, timing: Timing, cpus: Option<CpuPair>) -> Result<Sample, Error> {
        let server = to.launch(Service::Page, cpus.map(|cpus| cpus.server))?.start()?;
        let cpu = || server.process()?.cpu().time();
        let failed = Error::system("the load failed");
        let load = || -> io::Result<Sample> {
            let mut load = Load::start(server.target(), self.connections, self.depth)?;
            load.run_for(timing.warm_up)?;
            let (before, start) = (cpu(), Instant::now());
            let count = load.run_for(timing.duration)? as f64;
            let (after, seconds) = (cpu(), start.elapsed().as_secs_f64());
            let used = after.zip(before).map(|(after, before)| (after - before).as_nanos());
            let sample = Sample { servers_cpu: after.unwrap_or_default(), ..Sample::default() };
            let sample = sample.with(&RATE, count / seconds);
            Ok(sample.maybe(&CPU, used.map(|used| used as f64 / count)))
        };
        let sample = machine::run_on(cpus.map(|cpus| cpus.load), || load().map_err(failed))?;
        server.stop()?;
        Ok(sample)
    }
}

/// Connections that each have the same number of requests in flight. It waits for one after the
/// other, and the server always has the requests of all others.
struct Load {
    streams: Vec<TcpStream>,
    /// The requests that a connection sends at a time.
    requests: Vec<u8>,
    /// The length of one response: only its date changes.
    response: usize,
    /// Receives the responses to a connection's requests.
    buffer: Vec<u8>,
}

impl Load {
    fn start(to: &Target, connections: usize, depth: usize) -> io::Result<Self> {
        let connect = || {
            let stream = TcpStream::connect((to.host.as_str(), to.port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let response = response_len(&mut connect()?)?;
        let streams = (0..connections).map(|_| connect()).collect::<io::Result<_>>()?;
        let (requests, buffer) = (REQUEST.repeat(depth), vec![0; response * depth]);
        let mut load = Self { streams, requests, response, buffer };
        load.streams.iter_mut().try_for_each(|stream| stream.write_all(&load.requests))?;
        Ok(load)
    }

    /// Returns how many requests were answered.
    fn run_for(&mut self, time: Duration) -> io::Result<usize> {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < time {
            for stream in &mut self.streams {
                stream.read_exact(&mut self.buffer)?;
                if !self.buffer.chunks(self.response).all(is_page) {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                stream.write_all(&self.requests)?;
                count += self.requests.len() / REQUEST.len();
            }
        }
        Ok(count)
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
