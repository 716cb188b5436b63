//! Runs one round of any scenario with any entrant.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use super::args::Timing;
use super::entrant::{Entrant, Place};
use super::outcome::{Metric, Outcome};
use super::process::{Order, Server};
use super::scenario::{Kind, Scenario};
use super::system_calls::Counter;
use super::{events, loads};
use crate::contestants::Contestant;
use crate::error::Error;
use crate::idle::IdleMode;
use crate::machine::{self, CpuPair, CpuUse};
use crate::report::median;
use crate::service::Service;

/// State that all rounds share, including results that later rounds need.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) timing: Timing,
    /// With two CPUs, servers and load have one each. Otherwise they share the CPUs.
    pub(crate) cpus: Option<CpuPair>,
    /// Whether one more round of each entrant counts system calls.
    counts_system_calls: bool,
    /// By connections: messages per second at which the WebSocket floor is saturated.
    saturation: BTreeMap<usize, f64>,
    /// CPU time of all servers so far.
    servers: Duration,
}

/// How long system calls are counted at least, so that those of the server's start are negligible.
const COUNTING: Duration = Duration::from_secs(1);

/// How many rounds measure the rate of saturation, if no scenario has measured it.
const CALIBRATIONS: usize = 3;

impl Bench {
    pub(crate) fn new(timing: Timing, cpus: Option<CpuPair>, counts_system_calls: bool) -> Self {
        let (saturation, servers) = (BTreeMap::new(), Duration::ZERO);
        Self { timing, cpus, counts_system_calls, saturation, servers }
    }

    /// CPU time of all servers so far.
    pub(crate) fn servers_cpu(&self) -> Duration {
        self.servers
    }

    /// Stores the WebSocket floor's rate of saturation from a scenario.
    pub(crate) fn learn(&mut self, scenario: &Scenario, outcomes: &[Outcome]) {
        let Kind::Echo { connections, size, depth: 1, spin: true } = scenario.kind else {
            return;
        };
        let rates = outcomes.iter().filter_map(|outcome| Metric::Rate.of(outcome)).collect();
        if let Some(rate) = median(rates).filter(|_| size == SATURATING_SIZE) {
            self.saturation.insert(connections, rate);
        }
    }

    /// Messages per second of an open loop. `None` for other scenarios.
    pub(crate) fn rate(&mut self, scenario: &Scenario) -> Result<Option<f64>, Error> {
        let Kind::OpenLoop { connections, share, .. } = scenario.kind else {
            return Ok(None);
        };
        if !self.saturation.contains_key(&connections) {
            self.calibrate(connections)?;
        }
        Ok(self.saturation.get(&connections).map(|rate| rate * share))
    }

    fn calibrate(&mut self, connections: usize) -> Result<(), Error> {
        let kind =
            Kind::Echo { connections, size: SATURATING_SIZE, depth: 1, spin: self.spins(true) };
        let place = Place::Child { contestant: Contestant::WsFloor, idle: IdleMode::Block };
        let mut rates = Vec::new();
        for _ in 0..CALIBRATIONS {
            rates.extend(Metric::Rate.of(&self.with_server(kind, &place, None, None)?));
        }
        let rate = median(rates)
            .ok_or_else(|| Error::Settings("the WebSocket floor answers nothing".to_owned()))?;
        self.saturation.insert(connections, rate);
        Ok(())
    }

    /// Runs one round; `rate` is that of an open loop.
    pub(crate) fn round(
        &mut self,
        scenario: &Scenario,
        entrant: &Entrant,
        rate: Option<f64>,
    ) -> Result<Outcome, Error> {
        let before = CpuUse::now();
        let mut outcome = match scenario.kind.service() {
            Some(_) => self.with_server(scenario.kind, &entrant.place, rate, None)?,
            None => events::round(scenario.kind, entrant, self.timing, self.cpus)?,
        };
        let used = CpuUse::now().zip(before);
        if let Kind::Idle { .. } = scenario.kind {
            outcome.tables_per_connection = entrant.table_bytes().map(|bytes| bytes as f64);
        }
        outcome.stolen = used.map(|(now, before)| now.interference_since(before).stolen / 100.0);
        Ok(outcome)
    }

    /// Whether this entrant's system calls are counted: its server belongs to this program, and the
    /// scenario does more than hold connections.
    pub(crate) fn counts(&self, scenario: &Scenario, entrant: &Entrant) -> bool {
        let Scenario { kind, .. } = scenario;
        self.counts_system_calls
            && matches!(entrant.place, Place::Child { .. })
            && kind.service().is_some()
            && !matches!(kind, Kind::Idle { .. })
    }

    /// The timing of a round in which system calls are counted.
    pub(crate) fn counting(&self) -> Timing {
        let duration = self.timing.duration.max(COUNTING);
        Timing { warm_up: Duration::ZERO, duration, ..self.timing }
    }

    /// The server's system calls per counted unit of the scenario, in a round of its own, because
    /// counting slows the server down. Includes the calls of the server's start and of accepting.
    /// `None` if they are not counted.
    pub(crate) fn system_calls(
        &mut self,
        scenario: &Scenario,
        entrant: &Entrant,
        rate: Option<f64>,
    ) -> Result<Option<f64>, Error> {
        if !self.counts(scenario, entrant) {
            return Ok(None);
        }
        let counter = Counter::new();
        let outcome = self.with_server(scenario.kind, &entrant.place, rate, Some(&counter))?;
        let calls = counter.sum()? as f64;
        Ok((outcome.count > 0).then(|| calls / outcome.count as f64))
    }

    /// Starts a server if it belongs to this program, loads it, and stops it, so that no state
    /// remains for the next round. If its system calls are counted, the whole load counts.
    fn with_server(
        &mut self,
        kind: Kind,
        place: &Place,
        rate: Option<f64>,
        counter: Option<&Counter>,
    ) -> Result<Outcome, Error> {
        let service = kind.service().unwrap_or(Service::Echo);
        let server = self.server(place, service, counter)?;
        let before = server.cpu().and_then(|cpu| cpu.time()).unwrap_or_default();
        let timing = counter.map_or(self.timing, |_| self.counting());
        let load = loads::Order {
            kind,
            rate,
            warm_up: timing.warm_up,
            duration: timing.duration * kind.patience(),
            spins: self.spins(true),
        };
        let outcome = self.on_load_cpu(|| loads::run(&load, &server));
        let after = server.cpu().and_then(|cpu| cpu.time()).unwrap_or(before);
        self.servers += after.saturating_sub(before);
        // If both failed, the server's error is the cause.
        server.stop()?;
        outcome
    }

    fn server(
        &self,
        place: &Place,
        service: Service,
        counter: Option<&Counter>,
    ) -> Result<Server, Error> {
        let cpu = self.cpus.map(|cpus| cpus.server);
        match place {
            &Place::Child { contestant, idle } => {
                Server::start(Order { contestant, service, idle, cpu, tls: false }, counter)
            }
            Place::Elsewhere { echo, broadcast } => {
                let url = match service {
                    Service::Echo => echo,
                    Service::Broadcast => broadcast,
                };
                let url = url.as_ref().ok_or_else(|| {
                    Error::Settings("there is no server of this service".to_owned())
                })?;
                Ok(Server::elsewhere(url))
            }
        }
    }

    /// Runs on a thread of its own, so that only this thread is bound to a CPU.
    fn on_load_cpu<F>(&self, body: F) -> Result<Outcome, Error>
    where
        F: FnOnce() -> Result<Outcome, Error> + Send,
    {
        let cpu = self.cpus.map(|cpus| cpus.load);
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                cpu.map_or(Ok(()), machine::pin)?;
                body()
            });
            thread.join().unwrap_or(Err(Error::Thread("load")))
        })
    }

    /// Whether the client may spin. It needs a CPU of its own for that.
    fn spins(&self, wanted: bool) -> bool {
        wanted && self.cpus.is_some()
    }
}

/// Payload bytes of the messages with which saturation is measured.
const SATURATING_SIZE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::table::find;

    fn bench() -> Bench {
        let moment = Duration::from_millis(1);
        Bench::new(Timing { rounds: 5, warm_up: moment, duration: moment }, None, false)
    }

    fn outcome(count: u64) -> Outcome {
        Outcome { count, time: Duration::from_secs(1), ..Outcome::default() }
    }

    #[test]
    fn an_open_loop_has_a_share_of_the_rate_at_saturation() {
        let mut bench = bench();
        let closed = find("connections-100").unwrap();
        bench.learn(closed, &[outcome(900), outcome(1000), outcome(2000)]);
        let rate = bench.rate(find("open-100-70").unwrap()).unwrap().unwrap();
        assert!((rate - 700.0).abs() < 1e-9);
        assert_eq!(bench.rate(closed).unwrap(), None);
    }

    #[test]
    fn other_sizes_say_nothing_of_saturation() {
        let mut bench = bench();
        bench.learn(find("depth-1").unwrap(), &[outcome(5)]);
        assert!(bench.saturation.is_empty());
    }
}
