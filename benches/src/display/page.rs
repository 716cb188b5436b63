//! Results as one self-contained page, without a script, for light and for dark screens.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::document::{Block, Form, blocks};
use super::plot;
use super::table::{Cell, Table, by_role};
use crate::results::{Results, ScenarioResults};

const STYLE: &str = include_str!("style.css");
/// This ratio, and any that is larger, has a bar of full length.
const RATIO_MAX: f64 = 5.0;

/// By the entrants' names.
type Colors<'a> = BTreeMap<&'a str, u32>;

/// The tables and plots as HTML.
pub(crate) fn page(results: &Results) -> String {
    let form = Form { mark: "bold on green", has_matrix: true, has_all_tables: true };
    let colors = colors(results);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (results.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                @for block in blocks(results, form) {
                    @match block {
                        Block::Title(1, title) => h1 { (title) },
                        Block::Title(2, title) => h2 { (title) },
                        Block::Title(_, title) => h3 { (title) },
                        Block::List(lines) => ul { @for line in lines { li { (line) } } },
                        Block::Command(command) => pre { (command) },
                        Block::Table(table) => (rendered(&table, &colors)),
                        Block::Plot(scenario) => (curves(scenario, &colors)),
                    }
                }
            }
        }
    };
    page.into_string()
}

/// The entrants' colours: an entrant has the same one in all scenarios.
fn colors(results: &Results) -> Colors<'_> {
    let mut colors = Colors::new();
    for entrant in results.scenarios.iter().flat_map(by_role) {
        let next = plot::color(colors.len());
        colors.entry(&entrant.name).or_insert(next);
    }
    colors
}

fn rendered(table: &Table, colors: &Colors<'_>) -> Markup {
    html! {
        div.wide {
            table {
                tr { @for title in &table.head { th scope="col" { (title) } } }
                @for row in &table.rows {
                    @let color = colors.get(&*row[0].text);
                    tr {
                        @for cell in &row[..table.text_columns] {
                            th scope="row" {
                                @if let Some(color) = color { i style=(background(*color)) {} }
                                (cell.text)
                            }
                        }
                        @for (column, cell) in row[table.text_columns..].iter().enumerate() {
                            td class=[cell.is_first.then_some("best")] {
                                (cell.text) small { (cell.note) }
                                @if column == 0 { (bar(cell, color)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The ratio to the base, as a bar.
fn bar(cell: &Cell, color: Option<&u32>) -> Markup {
    html! {
        @if let Some((ratio, color)) = cell.ratio.zip(color) {
            @let width = 100.0 * ratio.min(RATIO_MAX) / RATIO_MAX;
            b style=(format!("width: {width:.1}%; {}", background(*color))) {}
        }
    }
}

fn background(color: u32) -> String {
    format!("background: #{color:06x}")
}

fn curves(scenario: &ScenarioResults, colors: &Colors<'_>) -> Markup {
    let curves: Vec<_> = by_role(scenario)
        .into_iter()
        .map(|entrant| (colors[&*entrant.name], entrant.latency.as_slice()))
        .filter(|(_, latency)| !latency.is_empty())
        .collect();
    html! {
        @if let Some(svg) = plot::curves(&curves) {
            figure role="img" aria-label="latency by percentile" {
                figcaption { "latency by percentile, all rounds together" }
                (PreEscaped(svg))
            }
        }
    }
}
