use std::fmt::Write as _;

use super::curve::Curve;
use super::html::escape;
use super::text;

/// One curve of a plot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series<'a> {
    pub(crate) name: &'a str,
    /// The CSS class that colours it.
    pub(crate) class: &'a str,
    pub(crate) curve: &'a Curve,
}

/// Latency by percentile as an SVG element with logarithmic axes: higher percentiles have more
/// room. Empty without data.
pub(crate) fn render(series: &[Series<'_>]) -> String {
    plot(series, WIDTH, legend)
}

/// The same at half the width, without a legend.
pub(crate) fn render_small(series: &[Series<'_>]) -> String {
    plot(series, SMALL_WIDTH, |_, _| {})
}

fn plot(series: &[Series<'_>], width: f64, legend: fn(&mut String, &[Series<'_>])) -> String {
    let Some(frame) = Frame::around(series, width) else {
        return String::new();
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {HEIGHT}\" role=\"img\" \
         aria-label=\"Latency by percentile\">\n"
    );
    frame.grid(&mut svg);
    for series in series {
        frame.line(&mut svg, series);
    }
    for series in series {
        frame.marks(&mut svg, series);
    }
    legend(&mut svg, series);
    svg.push_str("</svg>\n");
    svg
}

const WIDTH: f64 = 760.0;
const SMALL_WIDTH: f64 = 540.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 30.0;
/// Room for the longest label below.
const LABEL: f64 = 72.0;

/// Quantiles with a mark whose tooltip shows the value.
const MARKED: [(f64, &str); 5] =
    [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99")];

/// The axes: the logarithms at the edges of the plot.
struct Frame {
    width: f64,
    /// Orders of magnitude of the distance to 100 %.
    nines: f64,
    lowest: f64,
    highest: f64,
}

impl Frame {
    fn around(series: &[Series<'_>], width: f64) -> Option<Self> {
        let points = || series.iter().flat_map(|series| &series.curve.points);
        let values = || points().map(|&(_, value)| value.max(1) as f64);
        let last = points().map(|&(quantile, _)| nines(quantile)).reduce(f64::max)?;
        let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
        let below = ticks().take_while(|&tick| tick <= low).last().unwrap_or(1.0);
        let above = ticks().find(|&tick| tick > high).unwrap_or(high * 2.0);
        let (lowest, highest) = (below.log10(), above.log10());
        Some(Self { width, nines: last.max(1.0), lowest, highest })
    }

    fn x(&self, quantile: f64) -> f64 {
        LEFT + nines(quantile) / self.nines * (self.width - LEFT - RIGHT)
    }

    fn y(&self, nanoseconds: f64) -> f64 {
        let share = (nanoseconds.max(1.0).log10() - self.lowest) / (self.highest - self.lowest);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    /// Lines and their labels: whole nines across, 1, 2 and 5 of each power of ten upwards.
    fn grid(&self, svg: &mut String) {
        let (right, bottom) = (self.width - RIGHT, HEIGHT - BOTTOM);
        let decades = self.highest - self.lowest;
        for tick in ticks().take_while(|tick| tick.log10() <= self.highest + 1e-9) {
            let crowded = decades > 3.0 && !is_power_of_ten(tick);
            if tick.log10() < self.lowest - 1e-9 || crowded {
                continue;
            }
            let y = self.y(tick);
            push(
                svg,
                format_args!(
                    "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                    LEFT - 8.0,
                    y + 4.0,
                    tick_label(tick),
                ),
            );
        }
        for nines in 0..=(self.nines + 1e-9) as i32 {
            let x = self.x(1.0 - 10_f64.powi(-nines));
            push(svg, format_args!("<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>"));
            // Longer labels leave room for fewer of them.
            let crowded = right - LEFT < LABEL * self.nines && nines % 2 == 1 && nines > 1;
            if !crowded {
                push(svg, format_args!("{}\n", self.percent(nines, x, bottom + 20.0)));
            }
        }
    }

    /// A label below the plot, within its edges.
    fn percent(&self, nines: i32, x: f64, y: f64) -> String {
        let label = percent_label(nines);
        if x + LABEL / 2.0 > self.width {
            return format!(
                "<text x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\">{label}</text>",
                self.width
            );
        }
        format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{label}</text>")
    }

    fn line(&self, svg: &mut String, series: &Series<'_>) {
        let points: Vec<String> = series
            .curve
            .points
            .iter()
            .map(|&(quantile, value)| {
                format!("{:.1},{:.1}", self.x(quantile), self.y(value as f64))
            })
            .collect();
        push(
            svg,
            format_args!(
                "<polyline class=\"{}\" points=\"{}\"/>\n",
                series.class,
                points.join(" "),
            ),
        );
    }

    fn marks(&self, svg: &mut String, series: &Series<'_>) {
        for (quantile, name) in MARKED {
            let point = series.curve.points.iter().find(|point| point.0 >= quantile);
            let Some(&(_, value)) = point else {
                return;
            };
            push(
                svg,
                format_args!(
                    "<circle class=\"{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\">\
                 <title>{} {name}: {}</title></circle>\n",
                    series.class,
                    self.x(quantile),
                    self.y(value as f64),
                    escape(series.name),
                    text::time(value),
                ),
            );
        }
    }
}

fn legend(svg: &mut String, series: &[Series<'_>]) {
    let mut x = LEFT;
    for series in series {
        push(
            svg,
            format_args!(
                "<line class=\"{}\" x1=\"{x}\" x2=\"{}\" y1=\"14\" y2=\"14\"/>\
             <text x=\"{}\" y=\"18\">{}</text>\n",
                series.class,
                x + 26.0,
                x + 34.0,
                escape(series.name),
            ),
        );
        x += 60.0 + series.name.len() as f64 * 7.5;
    }
}

fn push(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("writing to a string cannot fail");
}

/// How many nines the quantile has: 0.99 has two.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-9).log10()
}

/// 1, 2, 5, 10, 20 … nanoseconds, to a thousand seconds.
fn ticks() -> impl Iterator<Item = f64> {
    (0..12).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)))
}

fn is_power_of_ten(tick: f64) -> bool {
    (tick.log10() - tick.log10().round()).abs() < 1e-9
}

fn tick_label(tick: f64) -> String {
    let (value, unit) = match tick {
        ..1e3 => (tick, "ns"),
        ..1e6 => (tick / 1e3, "µs"),
        ..1e9 => (tick / 1e6, "ms"),
        _ => (tick / 1e9, "s"),
    };
    format!("{value:.0} {unit}")
}

fn percent_label(nines: i32) -> String {
    match nines {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        more => format!("99.{} %", "9".repeat(more as usize - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, u64)]) -> Curve {
        Curve { points: points.to_vec() }
    }

    fn series(curve: &Curve) -> Series<'_> {
        Series { name: "server", class: "server", curve }
    }

    #[test]
    fn a_plot_shows_its_series_within_the_frame() {
        let curve = curve(&[(0.0, 9_000), (0.5, 12_000), (0.9, 20_000), (0.999, 3_000_000)]);
        let svg = render(&[series(&curve)]);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        for part in [">0 %<", ">99.9 %<", ">10 µs<", "server p50: 12.0 µs", "<polyline"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        let frame = Frame::around(&[series(&curve)], WIDTH).unwrap();
        for &(quantile, value) in &curve.points {
            let (x, y) = (frame.x(quantile), frame.y(value as f64));
            assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{x}");
            assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{y}");
        }
    }

    #[test]
    fn odd_curves_are_plotted_too() {
        assert_eq!(render(&[series(&curve(&[]))]), "");
        for points in [&[(0.0, 5)][..], &[(0.0, 0), (0.5, 0)], &[(0.0, u64::MAX)]] {
            let svg = render(&[series(&curve(points))]);
            assert!(svg.contains("<polyline") && !svg.contains("NaN"), "{svg}");
        }
    }

    #[test]
    fn labels_are_exact() {
        assert_eq!([0, 1, 2, 3, 5].map(percent_label).join(" "), "0 % 90 % 99 % 99.9 % 99.999 %");
        assert_eq!(tick_label(200_000.0), "200 µs");
        assert_eq!(tick_label(1e9), "1 s");
    }
}
