//! Medians, spreads, ratios, noise, and who is first.

use super::{Better, EntrantResults, Figure, Role, ScenarioResults};

/// A figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Spread {
    /// `None` without rounds.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        Some(Self {
            median: median(values.to_vec())?,
            lowest: values.iter().copied().reduce(f64::min)?,
            highest: values.iter().copied().reduce(f64::max)?,
        })
    }
}

/// The median: the middle value, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 })
}

impl EntrantResults {
    /// The values of a figure, in the rounds that have one.
    pub(crate) fn values(&self, figure: &str) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| round.get(figure).copied()).collect()
    }

    pub(crate) fn spread(&self, figure: &str) -> Option<Spread> {
        Spread::of(&self.values(figure))
    }
}

impl ScenarioResults {
    pub(crate) fn entrant(&self, name: &str) -> Option<&EntrantResults> {
        self.entrants.iter().find(|entrant| entrant.name == name)
    }

    pub(crate) fn with_role(&self, role: Role) -> Option<&EntrantResults> {
        self.entrants.iter().find(|entrant| entrant.role == role)
    }

    pub(crate) fn figure(&self, id: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.id == id)
    }

    /// An entrant's median in relation to the base's: both as they are shown, so a better ratio
    /// always belongs to a better figure.
    pub(crate) fn ratio_to_base(&self, entrant: &EntrantResults, figure: &str) -> Option<f64> {
        let base = self.entrant(self.base.as_deref()?)?.medians.get(figure)?;
        let value = entrant.medians.get(figure)?;
        (*base > 0.0).then(|| value / base)
    }

    /// How much the engine differs from itself within a round: the median over the rounds, as a
    /// share. `None` unless it took part twice.
    pub(crate) fn noise(&self, figure: &str) -> Option<f64> {
        let ratios = ratios(
            &self.with_role(Role::Again)?.values(figure),
            &self.with_role(Role::Engine)?.values(figure),
        );
        median(ratios.into_iter().map(|ratio| (ratio - 1.0).abs()).collect())
    }

    /// The peer with the best median.
    pub(crate) fn best_peer(&self, figure: &Figure) -> Option<&EntrantResults> {
        self.ranked(figure).into_iter().find(|entrant| entrant.role == Role::Peer)
    }

    /// The engine or the peer whose median is the best, if that is beyond the noise.
    pub(crate) fn first(&self, figure: &Figure) -> Option<&EntrantResults> {
        let ranked = self.ranked(figure);
        let (&first, second) = (ranked.first()?, ranked.get(1)?);
        let (one, other) = (first.medians.get(&*figure.id)?, second.medians.get(&*figure.id)?);
        let ahead = (one / other).max(other / one) - 1.0;
        let beyond = ahead > self.noise(&figure.id).unwrap_or(0.0);
        (self.doubt.is_none() && beyond).then_some(first)
    }

    /// The engine and the peers that have the figure, the best first. Empty for figures of which
    /// none is better.
    pub(crate) fn ranked(&self, figure: &Figure) -> Vec<&EntrantResults> {
        let value = |entrant: &EntrantResults| entrant.medians.get(&*figure.id).copied();
        let competes = |entrant: &&EntrantResults| {
            matches!(entrant.role, Role::Engine | Role::Peer) && value(entrant).is_some()
        };
        let mut ranked: Vec<_> = self.entrants.iter().filter(competes).collect();
        let order = |entrant: &&EntrantResults| value(entrant).unwrap_or_default();
        ranked.sort_by(|a, b| order(a).total_cmp(&order(b)));
        match figure.better {
            Better::Neither => ranked.clear(),
            Better::Less => {}
            Better::More => ranked.reverse(),
        }
        ranked
    }
}

/// Round by round. Empty unless both have as many rounds, and `base` has no zero.
pub(super) fn ratios(values: &[f64], base: &[f64]) -> Vec<f64> {
    if values.len() != base.len() || base.iter().any(|&base| base <= 0.0) {
        return Vec::new();
    }
    values.iter().zip(base).map(|(value, base)| value / base).collect()
}
