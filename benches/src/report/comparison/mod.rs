//! The report on a comparison, in four forms.

mod bars;
mod entry;
mod markdown;
mod page;
mod spread;
mod standing;
mod terminal;
mod verdict;
mod words;

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Header, Printable};
use crate::compare::{AGAIN, ENGINE, Entrant, FLOOR, Kind, Metric, Outcome, Role, Scenario};
use crate::compare::{Place, TARGETS, WS_FLOOR};
use crate::machine::Interference;

use entry::Entry;
use spread::Spread;
use verdict::Verdict;

/// The report on one run of `compare`.
#[derive(Debug, Serialize)]
pub(crate) struct ComparisonReport {
    #[serde(flatten)]
    header: Header,
    entrants: Vec<Described>,
    scenarios: Vec<ScenarioReport>,
    targets: Vec<Verdict>,
    /// Shares of all CPU time that the hypervisor took away and other programs used, in percent.
    stolen_percent: Option<f64>,
    others_percent: Option<f64>,
    notes: Vec<String>,
}

/// One entrant of the comparison.
#[derive(Debug, Serialize)]
struct Described {
    name: String,
    /// Its version, or its address.
    what: String,
    #[serde(skip)]
    role: Role,
    #[serde(skip)]
    class: String,
}

/// The results of one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct ScenarioReport {
    id: &'static str,
    title: &'static str,
    group: &'static str,
    #[serde(skip)]
    kind: Kind,
    /// The figure by which entrants are compared.
    key: Metric,
    /// Messages per second over all connections, in an open loop.
    rate: Option<f64>,
    /// The ratios of the engine's second run to its first, round by round: the noise.
    noise: BTreeMap<Metric, Spread>,
    entries: Vec<Entry>,
    /// The entrants that failed, with the reasons.
    failures: BTreeMap<String, String>,
}

/// All rounds of an entrant, or the reason for its failure.
pub(crate) type Rounds = Result<Vec<Outcome>, String>;

impl ComparisonReport {
    /// An empty report. `settings` describes the measurement, in sentences.
    pub(crate) fn new(settings: Vec<String>, entrants: &[Entrant]) -> Self {
        let mut peers = 0;
        let described = entrants.iter().map(|entrant| {
            peers += usize::from(entrant.role == Role::Peer);
            Described {
                name: entrant.name.clone(),
                what: describe(entrant),
                role: entrant.role,
                class: class(entrant, peers),
            }
        });
        let mut described: Vec<Described> = described.collect();
        described.sort_by_key(|one| place(one.role));
        Self {
            header: Header::new(settings),
            entrants: described,
            scenarios: Vec::new(),
            targets: Vec::new(),
            stolen_percent: None,
            others_percent: None,
            notes: Vec::new(),
        }
    }

    /// Adds the results of one scenario, for every entrant.
    pub(crate) fn add(
        &mut self,
        scenario: &Scenario,
        rate: Option<f64>,
        rounds: Vec<(&Entrant, Rounds)>,
    ) {
        let (mut entries, mut failures) = (Vec::new(), BTreeMap::new());
        for (entrant, rounds) in rounds {
            let name = entrant.name.clone();
            match rounds {
                Ok(outcomes) => {
                    let class = self.class_of(&name);
                    entries.push(Entry::new(name, entrant.role, class, &outcomes));
                }
                Err(reason) => {
                    self.notes.push(format!("{}: {name} failed: {reason}", scenario.title));
                    failures.insert(name, reason);
                }
            }
        }
        entries.sort_by_key(|entry| place(entry.role));
        let mut report = ScenarioReport {
            id: scenario.id,
            title: scenario.title,
            group: scenario.kind.group().title(),
            kind: scenario.kind,
            key: scenario.key,
            rate,
            noise: BTreeMap::new(),
            entries,
            failures,
        };
        report.compare();
        let is_measured = |metric| metric != Metric::SystemCalls || report.has(metric);
        for target in TARGETS.iter().filter(|target| target.scenario == scenario.id) {
            if !is_measured(target.metric) {
                continue;
            }
            match Verdict::of(target, &report) {
                Some(verdict) => self.targets.push(verdict),
                None => self.notes.push(format!(
                    "{}: a target in {} is not evaluated, because an entrant did not take part",
                    scenario.title,
                    words::name(target.metric, scenario.kind)
                )),
            }
        }
        self.scenarios.push(report);
    }

    /// Adds a note.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Adds the CPU time of other programs on the machine.
    pub(crate) fn set_interference(&mut self, interference: Interference) {
        self.stolen_percent = Some(interference.stolen);
        self.others_percent = Some(interference.others);
        let Interference { stolen, others } = interference;
        self.notes.push(interference.doubts().unwrap_or_else(|| {
            format!(
                "other programs used {others:.1} % of the CPU time, the hypervisor took \
                 {stolen:.1} % away"
            )
        }));
    }

    /// The scenarios in which a peer is ahead of the engine, in sentences.
    fn not_first(&self) -> Vec<String> {
        self.scenarios.iter().filter_map(standing::not_first).collect()
    }

    fn class_of(&self, name: &str) -> String {
        let entrant = self.entrants.iter().find(|entrant| entrant.name == name);
        entrant.map_or_else(String::new, |entrant| entrant.class.clone())
    }
}

impl ScenarioReport {
    /// Fills in the ratios.
    fn compare(&mut self) {
        let ratios = |name: &str| -> Vec<BTreeMap<Metric, Spread>> {
            let base = self.entry(name);
            let to = |entry: &Entry| base.map(|base| entry.ratios_to(base)).unwrap_or_default();
            self.entries.iter().map(to).collect()
        };
        let (to_floor, to_ws_floor) = (ratios(FLOOR), ratios(WS_FLOOR));
        let pair = self.entry(AGAIN).zip(self.entry(ENGINE));
        self.noise = pair.map(|(again, first)| again.ratios_to(first)).unwrap_or_default();
        for (entry, (floor, ws_floor)) in
            self.entries.iter_mut().zip(to_floor.into_iter().zip(to_ws_floor))
        {
            (entry.to_floor, entry.to_ws_floor) = (floor, ws_floor);
        }
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The reference: the WebSocket floor, or else the floor.
    fn base(&self) -> Option<&Entry> {
        self.entry(WS_FLOOR).or_else(|| self.entry(FLOOR))
    }

    /// The reference, if it has this figure.
    fn base_in(&self, metric: Metric) -> Option<&Entry> {
        self.base().filter(|base| base.median(metric).is_some())
    }

    /// An entrant's ratios to the reference.
    fn to_base<'a>(&self, entry: &'a Entry) -> &'a BTreeMap<Metric, Spread> {
        if self.entry(WS_FLOOR).is_some() { &entry.to_ws_floor } else { &entry.to_floor }
    }

    /// The value by which entrants are ranked: the ratio to the reference in the same rounds,
    /// because the machine's speed differs from round to round. Without a reference, the figure
    /// itself.
    fn standing(&self, entry: &Entry, metric: Metric) -> Option<f64> {
        match self.base_in(metric) {
            Some(_) => self.to_base(entry).get(&metric).map(|ratio| ratio.median),
            None => entry.median(metric),
        }
    }

    /// Whether any entrant has this figure.
    fn has(&self, metric: Metric) -> bool {
        self.entries.iter().any(|entry| entry.figures.contains_key(&metric))
    }
}

impl Printable for ComparisonReport {
    fn table(&self) -> String {
        terminal::render(self)
    }

    fn page(&self) -> Option<String> {
        Some(page::render(self))
    }

    fn markdown(&self) -> Option<String> {
        Some(markdown::render(self))
    }
}

/// The sort key: the engine first, the floors last.
const fn place(role: Role) -> usize {
    match role {
        Role::Engine => 0,
        Role::Again => 1,
        Role::Mode(_) => 2,
        Role::Peer => 3,
        Role::WsFloor => 4,
        Role::Floor => 5,
    }
}

/// The version and idle mode of an entrant, or its address.
fn describe(entrant: &Entrant) -> String {
    match &entrant.place {
        Place::Child { contestant, idle } => {
            let version = contestant.version();
            format!("{version}, idle: {}", idle.name())
        }
        Place::Elsewhere { echo, broadcast } => {
            let urls = [echo, broadcast].into_iter().flatten().map(ToString::to_string);
            urls.collect::<Vec<String>>().join(", ")
        }
    }
}

/// The CSS class that colours an entrant. `peers` is the number of peers up to this one.
fn class(entrant: &Entrant, peers: usize) -> String {
    const PEERS: usize = 8;
    match entrant.role {
        Role::Engine => "engine".to_owned(),
        Role::Again => "again".to_owned(),
        Role::Mode(idle) => idle.name().to_owned(),
        Role::Floor => "floor".to_owned(),
        Role::WsFloor => "ws-floor".to_owned(),
        Role::Peer => format!("peer-{}", (peers - 1) % PEERS + 1),
    }
}

#[cfg(test)]
mod tests;
