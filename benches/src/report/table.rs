use super::stats::{Ratio, Side, Summary};
use super::{Goal, Metric, Report, ScenarioReport, text};

/// The report as lines of text.
pub(crate) fn render(report: &Report) -> String {
    let mut out = report.header.lines();
    out.push('\n');
    out.push_str(&align(&rows(report)));
    let verdicts: Vec<String> = report.scenarios.iter().filter_map(verdict).collect();
    push_blocks(&mut out, &[&verdicts, &report.notes]);
    out
}

/// The cells of the table, with its head first.
pub(crate) fn rows(report: &Report) -> Vec<Vec<String>> {
    let with_floor = report.scenarios.iter().any(|scenario| scenario.floor.is_some());
    let with_cpu =
        report.scenarios.iter().any(|scenario| scenario.server.server_cpu_ns_per_message.is_some());
    let mut head = vec!["", "messages/s", "p50", "p90", "p99", "p99.9", "max"];
    if with_cpu {
        head.push("CPU/message");
    }
    if with_floor {
        head.extend(["floor p50", "p50 ratio", "rate ratio"]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect()];
    for scenario in &report.scenarios {
        for line in lines(scenario) {
            let mut row = line.cells();
            if with_cpu {
                row.push(line.cpu.map_or_else(none, |time| text::time(time as u64)));
            }
            if with_floor {
                row.push(line.floor.map_or_else(none, |floor| text::time(floor.p50)));
                row.push(line.median_ratio.map_or_else(none, ratio));
                row.push(line.throughput_ratio.map_or_else(none, ratio));
            }
            rows.push(row);
        }
    }
    rows
}

/// Whether the scenario reached its goal, and how sure that is.
pub(crate) fn verdict(scenario: &ScenarioReport) -> Option<String> {
    let Goal { metric, limit } = scenario.goal?;
    let (what, ratio, bound) = match metric {
        Metric::Median => ("p50", scenario.median_ratio?, "at most"),
        Metric::Throughput => ("messages/s", scenario.throughput_ratio?, "at least"),
    };
    let Ratio { median, lowest, highest, floor_noise } = ratio;
    let outcome = if scenario.goal_reached? { "met" } else { "MISSED" };
    let (noise, doubt) = match floor_noise {
        Some(noise) => {
            let doubt = if noise > (median - limit).abs() {
                " (uncertain: the floor itself varies more than that)"
            } else {
                ""
            };
            (format!("floor to floor up to {:.1} % apart", noise * 100.0), doubt)
        }
        None => ("a single round".to_owned(), " (uncertain: a single round)"),
    };
    Some(format!(
        "{}: {what} is {median:.3} of the floor's (rounds {lowest:.3} to {highest:.3}; {noise}), \
         target {bound} {limit}: {outcome}{doubt}",
        scenario.title
    ))
}

/// The content of one line.
struct Line<'a> {
    title: String,
    rate: f64,
    latency: &'a Summary,
    cpu: Option<f64>,
    floor: Option<&'a Summary>,
    median_ratio: Option<Ratio>,
    throughput_ratio: Option<Ratio>,
}

impl Line<'_> {
    fn cells(&self) -> Vec<String> {
        let Summary { p50, p90, p99, p999, max, .. } = *self.latency;
        let mut cells = vec![self.title.clone(), text::count(self.rate)];
        cells.extend([p50, p90, p99, p999, max].map(text::time));
        cells
    }
}

/// An echo has one line, a broadcast two: each receiver, and the last receiver, its key figure.
fn lines(scenario: &ScenarioReport) -> Vec<Line<'_>> {
    let server = &scenario.server;
    let floor = scenario.floor.as_ref();
    let judged = Line {
        title: scenario.title.clone(),
        rate: server.messages_per_second,
        latency: &server.latency_ns,
        cpu: server.server_cpu_ns_per_message,
        floor: floor.map(|floor| &floor.latency_ns),
        median_ratio: scenario.median_ratio,
        throughput_ratio: scenario.throughput_ratio,
    };
    let Some((last, receivers)) = server.last_receiver_ns.as_ref().zip(scenario.receivers) else {
        return vec![judged];
    };
    let each = Line { median_ratio: None, ..judged };
    let last = Line {
        title: "  its last receiver".to_owned(),
        rate: server.messages_per_second / receivers as f64,
        latency: last,
        cpu: None,
        floor: floor.and_then(|floor: &Side| floor.last_receiver_ns.as_ref()),
        median_ratio: scenario.median_ratio,
        throughput_ratio: None,
    };
    vec![each, last]
}

fn none() -> String {
    "-".to_owned()
}

/// The median, and the spread over the rounds if there were several.
pub(crate) fn ratio(ratio: Ratio) -> String {
    let Ratio { median, lowest, highest, floor_noise } = ratio;
    match floor_noise {
        Some(_) => format!("{median:.3} ({lowest:.2}-{highest:.2})"),
        None => format!("{median:.3}"),
    }
}

/// Aligns the first column to the left, and all others to the right.
pub(crate) fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (index, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            if index == 0 {
                line.push_str(&format!("{cell:<width$}"));
            } else {
                line.push_str(&format!("  {cell:>width$}"));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Appends blocks of lines, each behind an empty line. Blocks without lines are left out.
pub(crate) fn push_blocks(out: &mut String, blocks: &[&[String]]) {
    for block in blocks.iter().filter(|block| !block.is_empty()) {
        out.push_str(&format!("\n{}\n", block.join("\n")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["", "p50"], vec!["echo", "1.00 µs"]];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect());
        assert_eq!(align(&rows), "          p50\necho  1.00 µs\n");
    }
}
