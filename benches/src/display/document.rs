//! What is shown, in order. The forms differ in how they show it, and in which tables they have.
//!
//! A scenario with at least three competitors, the engine among them, is a comparison. Several
//! comparisons of one group are the rows of one table, the matrix, which has their first figures.
//! The engine's figures in its further modes follow. Every other scenario has a table of its own,
//! with all figures of all entrants.
//!
//! A terminal is too narrow for a matrix: there, all scenarios have tables of their own. A page has
//! room for both.

use super::table::Table;
use super::words;
use crate::results::{Results, Role, ScenarioResults};

const COMPETITORS_MIN: usize = 3;

/// What a form has.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// How it marks the best figure.
    pub(super) mark: &'static str,
    pub(super) has_matrix: bool,
    /// Whether scenarios in the matrix have tables of their own, too.
    pub(super) has_all_tables: bool,
}

/// A part of what is shown.
pub(super) enum Block<'a> {
    /// With its level, from 1.
    Title(u8, &'a str),
    List(Vec<String>),
    /// The command that repeats the run.
    Command(&'a str),
    Table(Table),
    Plot(&'a ScenarioResults),
}

pub(super) fn blocks(results: &Results, form: Form) -> Vec<Block<'_>> {
    let mut blocks = vec![
        Block::Title(1, &results.title),
        Block::List(words::conditions(results)),
        Block::Command(&results.command),
        Block::List(words::legend(form.mark)),
    ];
    for group in results.scenarios.chunk_by(|one, next| one.group == next.group) {
        push_group(&mut blocks, group, form);
    }
    let verdicts = results.verdicts().iter().map(words::verdict).collect();
    for (title, lines) in [("Targets", verdicts), ("Notes", results.notes.clone())] {
        if !lines.is_empty() {
            blocks.extend([Block::Title(2, title), Block::List(lines)]);
        }
    }
    blocks
}

fn push_group<'a>(blocks: &mut Vec<Block<'a>>, group: &'a [ScenarioResults], form: Form) {
    let heading = group.first().and_then(|first| first.group.as_deref());
    blocks.extend(heading.map(|heading| Block::Title(2, heading)));
    let mut compared: Vec<_> = group.iter().filter(|scenario| is_comparison(scenario)).collect();
    if compared.len() == 1 || !form.has_matrix {
        compared.clear();
    }
    if !compared.is_empty() {
        blocks.push(Block::List(words::bases(&compared)));
        blocks.push(Block::Table(Table::matrix(&compared)));
        let doubts = compared.iter().flat_map(|one| words::doubts(one, &one.title));
        blocks.push(Block::List(doubts.collect()));
    }
    let with_modes: Vec<_> =
        compared.iter().copied().filter(|one| one.with_role(Role::Mode).is_some()).collect();
    if !form.has_all_tables && !with_modes.is_empty() {
        let is_engine = |role| matches!(role, Role::Engine | Role::Mode);
        blocks.push(Block::Table(Table::full(&with_modes, is_engine)));
    }
    for scenario in group {
        if form.has_all_tables || compared.iter().all(|one| one.id != scenario.id) {
            blocks.push(Block::Title(if heading.is_some() { 3 } else { 2 }, &scenario.title));
            blocks.push(Block::List(words::remarks(scenario)));
            blocks.push(Block::Table(Table::full(&[scenario], |_| true)));
            blocks.push(Block::Plot(scenario));
        }
    }
}

/// A competitor that failed counts, so that the others are shown in the same way without it.
fn is_comparison(scenario: &ScenarioResults) -> bool {
    let roles = scenario.entrants.iter().map(|entrant| entrant.role);
    roles.filter(|role| matches!(role, Role::Engine | Role::Peer)).count() >= COMPETITORS_MIN
}
