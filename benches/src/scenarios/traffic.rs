//! A scenario of traffic on contestants: in each round each one is started, loaded and ended.

use std::rc::Rc;
use std::time::Duration;

use super::figures::{SYSTEM_CALLS, sample};
use super::loaded::load_and_stop;
use super::saturation::Saturation;
use super::system_calls::Counter;
use crate::contestants::Contestant;
use crate::error::Error;
use crate::load::{Measurement, Pace, Traffic};
use crate::machine::{self, CpuPair};
use crate::process::Launch;
use crate::results::{Bound, Figure, Role, Target, To};
use crate::scenario::{ENGINE, Sample, Scenario, Timing};
use crate::service::Service;
use crate::target::Wire;

/// Traffic, and what is to be seen of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) id: &'static str,
    pub(crate) title: String,
    pub(crate) traffic: Traffic,
    service: Service,
    group: Option<&'static str>,
    /// The first one ranks.
    figures: Vec<Figure>,
    base: &'static str,
    /// Whether the engine's other idle modes take part.
    with_modes: bool,
    /// An open loop's share of the rate at which the WebSocket floor is saturated.
    share: Option<f64>,
    /// Whether the load sleeps until input arrives, so that its wake-up is part of every latency.
    sleeps: bool,
    /// How many times longer it is measured than other cases.
    longer: u32,
    targets: Vec<Target>,
}

/// What all cases of a run share.
#[derive(Debug)]
pub(crate) struct Setting {
    /// With two CPUs, servers and load have one each. Otherwise they share the CPUs.
    pub(crate) cpus: Option<CpuPair>,
    /// Whether one more run of each contestant counts system calls.
    pub(crate) counts_system_calls: bool,
    pub(crate) saturation: Saturation,
}

impl Setting {
    pub(crate) fn new(counts_system_calls: bool) -> Self {
        let cpus = CpuPair::pick();
        Self { cpus, counts_system_calls, saturation: Saturation::default() }
    }

    /// Where servers and load run, in a sentence.
    pub(crate) fn place(&self) -> String {
        match self.cpus {
            Some(cpus) => format!(
                "each server in a process of its own on CPU {}, load on CPU {}, which never \
                 sleeps unless said otherwise",
                cpus.server, cpus.load
            ),
            None => "each server in a process of its own, on the CPU of the load".to_owned(),
        }
    }
}

impl Case {
    pub(crate) fn new(
        id: &'static str,
        title: impl Into<String>,
        traffic: Traffic,
        figures: impl Into<Vec<Figure>>,
    ) -> Self {
        let service = match traffic {
            Traffic::Broadcast { .. } => Service::Broadcast,
            _ => Service::Echo,
        };
        Self {
            id,
            title: title.into(),
            traffic,
            service,
            group: None,
            figures: figures.into(),
            base: crate::contestants::WS_FLOOR,
            with_modes: false,
            share: None,
            sleeps: false,
            longer: 1,
            targets: Vec::new(),
        }
    }

    pub(crate) fn group(self, group: &'static str) -> Self {
        Self { group: Some(group), ..self }
    }

    pub(crate) fn base(self, base: &'static str) -> Self {
        Self { base, ..self }
    }

    pub(crate) fn with_modes(self) -> Self {
        Self { with_modes: true, ..self }
    }

    pub(crate) fn share(self, share: f64) -> Self {
        Self { share: Some(share), ..self }
    }

    pub(crate) fn sleeping(self) -> Self {
        Self { sleeps: true, ..self }
    }

    pub(crate) fn longer(self, longer: u32) -> Self {
        Self { longer, ..self }
    }

    /// Adds a target of the engine.
    pub(crate) fn target(self, figure: &Figure, to: To, bound: Bound) -> Self {
        self.target_of(ENGINE, figure, to, bound)
    }

    pub(crate) fn target_of(mut self, name: &str, figure: &Figure, to: To, bound: Bound) -> Self {
        self.targets.push(Target::new(name, figure, to, bound));
        self
    }

    /// The scenario with the contestants that can take part.
    pub(crate) fn scenario<'a>(
        &self,
        contestants: &[Rc<dyn Contestant + 'a>],
        setting: &Rc<Setting>,
    ) -> Scenario<'a> {
        let mut scenario =
            Scenario::new(self.id, self.title.clone(), self.figures.clone()).base(self.base);
        scenario.group = self.group;
        scenario.targets.clone_from(&self.targets);
        for contestant in contestants.iter().filter(|contestant| self.admits(&***contestant)) {
            let (name, role) = (contestant.name().to_owned(), contestant.role());
            let mut entrant = Loaded {
                case: self.clone(),
                contestant: Rc::clone(contestant),
                setting: Rc::clone(setting),
                system_calls: None,
            };
            scenario = scenario.entrant(name, role, move |timing| entrant.measure(timing));
        }
        scenario
    }

    fn admits(&self, contestant: &dyn Contestant) -> bool {
        let has_handshake = contestant.wire() != Wire::Tcp;
        let needs_handshake =
            matches!(self.traffic, Traffic::Handshakes { .. } | Traffic::Storm { .. });
        contestant.serves(self.service)
            && (contestant.role() != Role::Mode || self.with_modes)
            && (has_handshake || !needs_handshake)
    }

    /// The reason if the limit on open files is too low.
    pub(crate) fn lacks_files(&self) -> Option<String> {
        const OTHER_FILES: usize = 192;
        let wanted = (self.traffic.connections() + OTHER_FILES) as u64;
        let limit = machine::raise_file_limit(wanted);
        (limit < wanted).then(|| format!("it needs {wanted} open files, the limit is {limit}"))
    }
}

/// One contestant of a case.
struct Loaded<'a> {
    case: Case,
    contestant: Rc<dyn Contestant + 'a>,
    setting: Rc<Setting>,
    /// The server's system calls for a counted unit, once they are counted.
    system_calls: Option<f64>,
}

/// How long system calls are counted at least, so that those of the server's start are negligible.
const COUNTING: Duration = Duration::from_secs(1);

impl Loaded<'_> {
    fn measure(&mut self, timing: Timing) -> Result<Sample, Error> {
        let traffic = self.traffic()?;
        let measured = sample(&self.run(&traffic, timing, None)?);
        if self.setting.counts_system_calls && self.system_calls.is_none() {
            self.system_calls = self.count_system_calls(&traffic, timing)?;
        }
        Ok(measured.maybe(&SYSTEM_CALLS, self.system_calls))
    }

    /// The traffic, at the rate that saturation allows now.
    fn traffic(&self) -> Result<Traffic, Error> {
        let mut traffic = self.case.traffic;
        if let (
            Some(share),
            Traffic::Echo { connections, pace: Pace::Open { per_second, .. }, .. },
        ) = (self.case.share, &mut traffic)
        {
            *per_second = share * self.setting.saturation.rate(*connections, self.setting.cpus)?;
        }
        Ok(traffic)
    }

    /// In a run of its own, because counting slows the server down.
    fn count_system_calls(&self, traffic: &Traffic, timing: Timing) -> Result<Option<f64>, Error> {
        if matches!(traffic, Traffic::Idle { .. }) || !self.launch()?.is_own() {
            return Ok(None);
        }
        let duration = timing.duration.max(COUNTING);
        let timing = Timing { warm_up: Duration::ZERO, duration, ..timing };
        let counter = Counter::new();
        let measured = self.run(traffic, timing, Some(&counter))?;
        Ok((measured.count > 0).then_some(counter.sum()? as f64 / measured.count as f64))
    }

    fn launch(&self) -> Result<Launch, Error> {
        self.contestant.launch(self.case.service, self.setting.cpus.map(|cpus| cpus.server))
    }

    fn run(
        &self,
        traffic: &Traffic,
        timing: Timing,
        counter: Option<&Counter>,
    ) -> Result<Measurement, Error> {
        let server = self.launch()?.start_with(counter.map(Counter::command))?;
        let timing = timing.longer(self.case.longer);
        load_and_stop(server, *traffic, timing, self.setting.cpus, self.case.sleeps)
    }
}
