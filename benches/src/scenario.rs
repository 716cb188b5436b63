//! How a scenario is declared: its entrants and what each of them measures, its figures, its
//! targets. A command is a plan of such scenarios.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::Error;
use crate::load::Latencies;
use crate::results::{Bound, Figure, Role, Target, To};

/// The name of the engine in all results.
pub(crate) const ENGINE: &str = "eventwire";
/// The name of its second entry, which shows the noise.
pub(crate) const AGAIN: &str = "eventwire (again)";

/// What one command measures.
pub(crate) struct Plan<'a> {
    pub(crate) title: &'static str,
    /// The conditions of the measurement, in sentences.
    pub(crate) conditions: Vec<String>,
    pub(crate) timing: Timing,
    /// How long scenarios may be repeated for in all, if their noise is too high.
    pub(crate) repetition_max: Duration,
    pub(crate) scenarios: Vec<Scenario<'a>>,
    /// What the reader should know, in sentences.
    pub(crate) notes: Vec<String>,
}

/// The number and length of the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Timing {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// One kind of work, measured with each entrant in turn.
pub(crate) struct Scenario<'a> {
    /// Its name on the command line and in JSON.
    pub(crate) id: Cow<'static, str>,
    pub(crate) title: Cow<'static, str>,
    /// The heading that it stands under, if there are several.
    pub(crate) group: Option<&'static str>,
    /// Its figures. Entrants are ranked by the first one.
    pub(crate) figures: Vec<Figure>,
    /// The entrant to whose figures all others are put in relation.
    pub(crate) base: Option<&'static str>,
    /// In the order of the first round.
    pub(crate) entrants: Vec<Entrant<'a>>,
    pub(crate) targets: Vec<Target>,
    /// How many rounds it has, if not as many as the plan says.
    pub(crate) rounds: Option<usize>,
}

/// One row of a scenario.
pub(crate) struct Entrant<'a> {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) measure: Measure<'a>,
}

/// Measures one round.
pub(crate) type Measure<'a> = Box<dyn FnMut(Timing) -> Result<Sample, Error> + 'a>;

/// What one entrant measured in one round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) figures: BTreeMap<Cow<'static, str>, f64>,
    /// Latencies in nanoseconds, for plots.
    pub(crate) latency: Option<Latencies>,
    /// CPU time of servers in other processes, which is not interference.
    pub(crate) servers_cpu: Duration,
    /// What the reader should know, in sentences.
    pub(crate) notes: Vec<String>,
}

impl<'a> Scenario<'a> {
    /// A scenario without entrants and targets.
    pub(crate) fn new(
        id: impl Into<Cow<'static, str>>,
        title: impl Into<Cow<'static, str>>,
        figures: impl Into<Vec<Figure>>,
    ) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            group: None,
            figures: figures.into(),
            base: None,
            entrants: Vec::new(),
            targets: Vec::new(),
            rounds: None,
        }
    }

    pub(crate) fn group(self, group: &'static str) -> Self {
        Self { group: Some(group), ..self }
    }

    /// Names the entrant to whose figures all others are put in relation.
    pub(crate) fn base(self, base: &'static str) -> Self {
        Self { base: Some(base), ..self }
    }

    pub(crate) fn rounds(self, rounds: usize) -> Self {
        Self { rounds: Some(rounds), ..self }
    }

    /// Adds an entrant.
    pub(crate) fn entrant(
        mut self,
        name: impl Into<String>,
        role: Role,
        measure: impl FnMut(Timing) -> Result<Sample, Error> + 'a,
    ) -> Self {
        self.entrants.push(Entrant { name: name.into(), role, measure: Box::new(measure) });
        self
    }

    /// Adds a target of the engine.
    pub(crate) fn target(self, figure: &Figure, to: To, bound: Bound) -> Self {
        self.target_of(ENGINE, figure, to, bound)
    }

    /// Adds a target of any entrant.
    pub(crate) fn target_of(
        mut self,
        entrant: &str,
        figure: &Figure,
        to: To,
        bound: Bound,
    ) -> Self {
        self.targets.push(Target::new(entrant, figure, to, bound));
        self
    }
}

impl Sample {
    /// With a value of a figure.
    pub(crate) fn with(mut self, figure: &Figure, value: f64) -> Self {
        self.figures.insert(figure.id.clone(), value);
        self
    }

    /// With a value of a figure, if it is known.
    pub(crate) fn maybe(self, figure: &Figure, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.with(figure, value),
            None => self,
        }
    }

    /// With the values of percentiles, such as 0.99 for p99.
    pub(crate) fn percentiles(self, latencies: &Latencies, figures: &[(&Figure, f64)]) -> Self {
        if latencies.is_empty() {
            return self;
        }
        figures.iter().fold(self, |sample, (figure, quantile)| {
            sample.with(figure, latencies.value_at_quantile(*quantile) as f64)
        })
    }

    /// With latencies for the plot.
    pub(crate) fn plot(self, latencies: Latencies) -> Self {
        Self { latency: Some(latencies), ..self }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

impl Timing {
    /// The same number of rounds, `factor` times as long.
    pub(crate) fn longer(self, factor: u32) -> Self {
        Self { warm_up: self.warm_up, duration: self.duration * factor, ..self }
    }
}
