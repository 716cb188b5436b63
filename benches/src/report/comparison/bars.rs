//! A bar chart of one figure, with a row for each entrant.

use super::ScenarioReport;
use super::entry::Entry;
use super::spread::Spread;
use super::words;
use crate::compare::Metric;
use crate::report::html::escape;

/// The bars of one figure as HTML: name, bar with its spread, value. Empty without figures.
///
/// Only the bars are drawings, so that the text keeps its size at every width of the page.
pub(super) fn render(scenario: &ScenarioReport, metric: Metric) -> String {
    let known: Vec<(&Entry, Spread)> = scenario
        .entries
        .iter()
        .filter_map(|entry| Some((entry, *entry.figures.get(&metric)?)))
        .collect();
    let Some(scale) = Scale::of(&known) else {
        return String::new();
    };
    let base = scenario.base();
    let mark = base.and_then(|base| base.median(metric));
    let direction = match metric {
        _ if metric.is_gain() => "more is better",
        Metric::ServerShare => "of one CPU",
        _ => "less is better",
    };
    let mut html = format!(
        "<figure>\n<figcaption>{} <small>{direction}</small></figcaption>\n\
         <div class=\"bars\">\n",
        escape(&words::name(metric, scenario.kind))
    );
    for (entry, spread) in &known {
        let is_base = base.is_some_and(|base| base.name == entry.name);
        let ratio = match scenario.to_base(entry).get(&metric) {
            Some(ratio) if !is_base => {
                format!(" <small>×{}</small>", words::times(ratio.median))
            }
            _ => String::new(),
        };
        html.push_str(&format!(
            "<span class=\"name\">{}</span>{}<span class=\"value\">{}{ratio}</span>\n",
            escape(&entry.name),
            scale.bar(&entry.class, *spread, mark),
            words::value(metric, spread.median),
        ));
    }
    html.push_str("</div>\n</figure>\n");
    html
}

/// From zero to the longest bar. A bar that would make all others invisible is cut.
struct Scale {
    end: f64,
}

/// A bar is cut if it is this many times as long as the longest of the shorter half.
const CUT: f64 = 6.0;
/// The length and height of a bar's drawing.
const LENGTH: f64 = 1000.0;
const HEIGHT: f64 = 16.0;

impl Scale {
    fn of(known: &[(&Entry, Spread)]) -> Option<Self> {
        let mut medians: Vec<f64> = known.iter().map(|(_, spread)| spread.median).collect();
        medians.sort_by(f64::total_cmp);
        let &longest = medians.last()?;
        let &middle = medians.get((medians.len() - 1) / 2)?;
        let highest = known.iter().map(|(_, spread)| spread.highest).fold(0.0, f64::max);
        // Leave room for the spread, unless it is excessive.
        let end = highest.min(longest * 1.25).min(middle * CUT).max(f64::MIN_POSITIVE);
        Some(Self { end })
    }

    fn x(&self, value: f64) -> f64 {
        (value / self.end).clamp(0.0, 1.0) * LENGTH
    }

    /// The bar of one median, with a whisker from the lowest round to the highest and a mark
    /// where that of the floor ends.
    fn bar(&self, class: &str, spread: Spread, mark: Option<f64>) -> String {
        let Spread { median, lowest, highest } = spread;
        let cut = if median > self.end { " cut" } else { "" };
        let (low, high, middle) = (self.x(lowest), self.x(highest), HEIGHT / 2.0);
        let mark = mark.map(|mark| {
            let x = self.x(mark);
            format!("<path class=\"mark\" d=\"M{x:.1} 0V{HEIGHT}\"/>")
        });
        format!(
            "<svg class=\"bar{cut}\" viewBox=\"0 0 {LENGTH} {HEIGHT}\" \
             preserveAspectRatio=\"none\" aria-hidden=\"true\">\
             <rect class=\"{class}\" width=\"{:.1}\" y=\"2\" height=\"{}\" rx=\"2\"/>\
             <path class=\"whisker\" d=\"M{low:.1} {middle}H{high:.1}\"/>{}</svg>",
            self.x(median),
            HEIGHT - 4.0,
            mark.unwrap_or_default(),
        )
    }
}
