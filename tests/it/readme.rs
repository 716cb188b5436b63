//! The README is short, and its figures are those of the benchmark's results.

use std::fs;
use std::path::Path;

const README: &str = "README.md";
const RESULTS: &str = "benches/comparison.md";

/// A newcomer reads the whole page.
const MAX_LINES: usize = 200;

/// A row whose noise is above this says nothing.
const MAX_NOISE_PERCENT: f64 = 100.0;

/// The rows of the README's table, each with the scenario and the figure of the results.
const ROWS: [(&str, &str, &str); 5] = [
    ("round trip of 128 B, median", "1 connection, 128 B", "p50"),
    ("CPU time per echo, 100 connections", "100 connections, 64 B", "CPU/message"),
    ("CPU time per echo, 64 in flight on each", "100 connections × 64 × 20 B", "CPU/message"),
    ("CPU time per delivery, 16 broadcasts to 1,000", "broadcast to 1,000, K = 16", "CPU/delivery"),
    ("memory per idle connection", "10,000 idle connections", "memory/connection"),
];

/// The README's name of a column that the results call otherwise.
const FLOOR: (&str, &str) = ("bare TCP", "floor");

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// The head of a page's first table, and its rows.
fn first_table(page: &str) -> (Vec<&str>, Vec<Vec<&str>>) {
    let lines = page.lines().skip_while(|line| !line.starts_with('|'));
    let mut rows = lines.take_while(|line| line.starts_with('|')).map(cells);
    let head = rows.next().expect("a table");
    let rule = rows.next().expect("a rule below the head");
    assert!(rule.iter().all(|cell| cell.starts_with("---")), "{rule:?}");
    (head, rows.collect())
}

/// The figure in a cell of the results: `20.2 µs` in `**20.2 µs** (1.03)`.
fn figure(cell: &str) -> &str {
    let (figure, _) = cell.split_once(" (").unwrap_or((cell, ""));
    figure.trim_matches('*')
}

#[test]
fn the_readme_has_at_most_200_lines() {
    let lines = read(README).lines().count();
    assert!(lines <= MAX_LINES, "{README} has {lines} lines");
}

#[test]
fn the_figures_of_the_readme_are_those_of_the_results() {
    let (readme, results) = (read(README), read(RESULTS));
    let (head, rows) = first_table(&readme);
    let (result_head, results) = first_table(&results);
    let titles: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(titles, ROWS.map(|(title, _, _)| title));
    for (row, (title, scenario, metric)) in rows.iter().zip(ROWS) {
        assert_eq!(row.len(), head.len(), "{title}");
        let is_meant = |result: &&Vec<&str>| result[0] == scenario && result[1] == metric;
        let result = results.iter().find(is_meant);
        let result = result.unwrap_or_else(|| panic!("{RESULTS} has no {metric} of {scenario}"));
        for (&shown, &name) in row.iter().zip(&head).skip(1) {
            let name = if name == FLOOR.0 { FLOOR.1 } else { name };
            let column = result_head.iter().position(|&column| column == name);
            let column = column.unwrap_or_else(|| panic!("{RESULTS} has no column {name}"));
            assert_eq!(shown, figure(result[column]), "{title}, {name}");
        }
    }
}

#[test]
fn results_that_are_noise_are_left_out() {
    for line in read(RESULTS).lines().filter(|line| line.starts_with('|')) {
        for noise in cells(line).iter().filter_map(|cell| cell.strip_prefix("± ")) {
            let percent: f64 = noise.trim_end_matches(" %").parse().expect("a percentage");
            assert!(percent <= MAX_NOISE_PERCENT, "{line}");
        }
    }
}
