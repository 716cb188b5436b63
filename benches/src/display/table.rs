//! The tables, whatever shows them.

use super::units;
use crate::results::{Better, EntrantResults, Figure, Role, ScenarioResults};

/// A table. Its first columns have text, the others figures.
pub(super) struct Table {
    pub(super) text_columns: usize,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// One cell.
pub(super) struct Cell {
    pub(super) text: String,
    /// What follows the text.
    pub(super) note: String,
    /// Whether the text is to be marked as the best.
    pub(super) is_first: bool,
    /// The figure's ratio to the base.
    pub(super) ratio: Option<f64>,
}

impl Table {
    /// A row for each entrant whose role is shown, a column for each figure. With the scenarios'
    /// titles if there are several, and with marks if all that are ranked are shown.
    pub(super) fn full(scenarios: &[&ScenarioResults], is_shown: fn(Role) -> bool) -> Self {
        let figures = known_figures(scenarios);
        let titles: &[&str] = if scenarios.len() > 1 { &["scenario", "entrant"] } else { &[""] };
        let head = titles.iter().copied().chain(figures.iter().map(|figure| &*figure.title));
        let mut table = Self::new(head, titles.len());
        for scenario in scenarios {
            for entrant in by_role(scenario).into_iter().filter(|one| is_shown(one.role)) {
                let mut row = vec![Cell::text(&scenario.title), Cell::text(&entrant.name)];
                row.drain(..2 - titles.len());
                let is_key = |figure| scenario.figures.first() == Some(figure);
                row.extend(figures.iter().map(|figure| {
                    let has_range = is_key(figure) && entrant.rounds.len() > 1;
                    let cell = Cell::of(scenario, entrant, figure, has_range);
                    Cell { is_first: cell.is_first && is_shown(Role::Peer), ..cell }
                }));
                table.rows.push(row);
            }
        }
        table
    }

    /// A row for each figure of a scenario's only entrant.
    pub(super) fn alone(scenario: &ScenarioResults, entrant: &EntrantResults) -> Self {
        let mut table = Self::new(["", entrant.name.as_str()].into_iter(), 1);
        let has_range = entrant.rounds.len() > 1;
        table.rows.extend(known_figures(&[scenario]).into_iter().map(|figure| {
            vec![Cell::text(&figure.title), Cell::of(scenario, entrant, figure, has_range)]
        }));
        table
    }

    /// A row for each scenario, with its first figure: a column for each entrant.
    pub(super) fn matrix(scenarios: &[&ScenarioResults]) -> Self {
        let mut columns: Vec<&EntrantResults> = Vec::new();
        for entrant in scenarios.iter().flat_map(|scenario| &scenario.entrants) {
            let is_column = !matches!(entrant.role, Role::Again | Role::Mode);
            if is_column && columns.iter().all(|column| column.name != entrant.name) {
                columns.push(entrant);
            }
        }
        columns.sort_by_key(|column| order(column.role));
        let names = columns.iter().map(|column| column.name.as_str());
        let mut table =
            Self::new(["scenario", "figure"].into_iter().chain(names).chain(["A/A"]), 2);
        for scenario in scenarios {
            let Some(key) = scenario.figures.first() else {
                continue;
            };
            let mut row = vec![Cell::text(&scenario.title), Cell::text(&key.title)];
            row.extend(columns.iter().map(|column| match scenario.entrant(&column.name) {
                Some(entrant) => Cell::of(scenario, entrant, key, false),
                None => Cell::none(),
            }));
            let noise = scenario.noise(&key.id).map(|noise| format!("± {}", units::percent(noise)));
            row.push(noise.map_or_else(Cell::none, |noise| Cell::text(&noise)));
            table.rows.push(row);
        }
        table
    }

    fn new<'a>(head: impl Iterator<Item = &'a str>, text_columns: usize) -> Self {
        Self { text_columns, head: head.map(str::to_owned).collect(), rows: Vec::new() }
    }
}

impl Cell {
    fn text(text: &str) -> Self {
        Self { text: text.to_owned(), note: String::new(), is_first: false, ratio: None }
    }

    fn none() -> Self {
        Self::text("–")
    }

    /// A median; in parentheses its lowest and highest round, if wanted, and its ratio to the base.
    fn of(
        scenario: &ScenarioResults,
        entrant: &EntrantResults,
        figure: &Figure,
        has_range: bool,
    ) -> Self {
        let Some(&median) = entrant.medians.get(&*figure.id) else {
            return Self::none();
        };
        let value = |value| units::value(figure.unit, value);
        let spread = entrant.spread(&figure.id).filter(|_| has_range);
        let range = spread.map(|one| format!("{}–{}", value(one.lowest), value(one.highest)));
        let ratio = scenario.ratio_to_base(entrant, &figure.id);
        let is_compared =
            scenario.base.as_ref() != Some(&entrant.name) && figure.better != Better::Neither;
        let times =
            ratio.filter(|_| is_compared).map(|one| format!("×{}", units::three_digits(one)));
        let notes: Vec<String> = range.into_iter().chain(times).collect();
        let note = format!(" ({})", notes.join(", "));
        let note = if notes.is_empty() { String::new() } else { note };
        let is_first = scenario.first(figure).is_some_and(|first| first.name == entrant.name);
        Self { text: value(median), note, is_first, ratio }
    }
}

/// The figures that any entrant has.
fn known_figures<'a>(scenarios: &[&'a ScenarioResults]) -> Vec<&'a Figure> {
    let mut figures: Vec<&Figure> = Vec::new();
    for scenario in scenarios {
        for figure in &scenario.figures {
            let mut medians = scenario.entrants.iter().map(|entrant| &entrant.medians);
            let is_known = medians.any(|medians| medians.contains_key(&*figure.id));
            if is_known && figures.iter().all(|known| known.id != figure.id) {
                figures.push(figure);
            }
        }
    }
    figures
}

/// The entrants: the engine's stand together, and floors are the last.
pub(super) fn by_role(scenario: &ScenarioResults) -> Vec<&EntrantResults> {
    let mut entrants: Vec<&EntrantResults> = scenario.entrants.iter().collect();
    entrants.sort_by_key(|entrant| order(entrant.role));
    entrants
}

fn order(role: Role) -> impl Ord {
    (role == Role::Floor, role as u8)
}
