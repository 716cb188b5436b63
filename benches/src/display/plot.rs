//! The plot of latencies, as an SVG element for light and for dark pages.

use plotters::prelude::*;

use super::units;
use crate::results::Unit;

/// The entrants' colours.
const COLORS: [u32; 12] = [
    0x2f_81_f7, 0xe1_6f_24, 0x2d_a4_4e, 0xd6_40_9f, 0xa3_71_f7, 0xbf_87_00, 0x1b_9e_9e, 0xe5_53_4b,
    0x8c_6d_46, 0x6f_8f_00, 0x5b_6e_e1, 0x7d_85_90,
];
const SIZE: (u32, u32) = (720, 320);

/// Quantiles with their latencies in nanoseconds, both rising.
type Curve<'a> = &'a [(f64, u64)];

/// A colour that is legible on light and on dark ground.
pub(super) const fn color(index: usize) -> u32 {
    COLORS[index % COLORS.len()]
}

/// Curves with their colours. Both axes are logarithmic, and high quantiles have more room than
/// low ones. `None` without data.
pub(super) fn curves(curves: &[(u32, Curve<'_>)]) -> Option<String> {
    let latencies = || curves.iter().flat_map(|curve| curve.1).map(|point| point.1.max(1) as f64);
    // The labels begin with a power of ten.
    let lowest = 10_f64.powf(latencies().reduce(f64::min)?.log10().floor());
    let highest = latencies().reduce(f64::max)?.max(lowest * 2.0);
    let last = curves.iter().flat_map(|curve| points(curve.1)).map(|(x, _)| x).reduce(f64::max)?;
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .margin_right(40)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d(
            (1.0..last.max(10.0) * 1.1).log_scale(),
            (lowest..highest * 1.1).log_scale(),
        )
        .ok()?;
    chart
        .configure_mesh()
        .label_style(("sans-serif", 16))
        .axis_style(BLACK.mix(0.6))
        .bold_line_style(BLACK.mix(0.2))
        .light_line_style(TRANSPARENT)
        .x_labels(8)
        .x_label_formatter(&|x| format!("{} %", 100.0 - 100.0 / x))
        .y_label_formatter(&|y| time(*y))
        .draw()
        .ok()?;
    for (color, curve) in curves {
        let [_, red, green, blue] = color.to_be_bytes();
        let style = RGBColor(red, green, blue).stroke_width(2);
        chart.draw_series(LineSeries::new(points(curve), style)).ok()?;
    }
    area.present().ok()?;
    drop(chart);
    drop(area);
    // Black stands for the colour of the page's text.
    Some(svg.replace("\"#000000\"", "\"currentColor\""))
}

/// The points of a curve, with 1 / (1 - quantile) across. It ends where it reaches the maximum,
/// because the quantiles beyond have no samples of their own.
fn points(curve: Curve<'_>) -> Vec<(f64, f64)> {
    let maximum = curve.last().map_or(0, |last| last.1);
    let end = curve.iter().position(|point| point.1 == maximum).unwrap_or(0);
    let shown = curve.iter().take(end + 1).filter(|(quantile, _)| *quantile < 1.0);
    shown.map(|&(quantile, latency)| (1.0 / (1.0 - quantile), latency.max(1) as f64)).collect()
}

/// A label for 1, 2 and 5 of each power of ten. More have no room.
fn time(nanoseconds: f64) -> String {
    let digit = nanoseconds / 10_f64.powf((nanoseconds.log10() + 1e-9).floor());
    match digit.round() as u32 {
        1 | 2 | 5 => units::value(Unit::Nanoseconds, nanoseconds),
        _ => String::new(),
    }
}
