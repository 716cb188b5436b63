use serde::Serialize;

use crate::load::Latencies;

/// Latency by percentile: pairs of a quantile, below 1, and nanoseconds, both rising.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Curve {
    pub(crate) points: Vec<(f64, u64)>,
}

/// Points for each halving of the distance to 100 %.
const POINTS_PER_HALF: u32 = 8;

impl Curve {
    /// Ends where the histogram has no more samples: with n samples, at the quantile 1 - 1/n.
    pub(crate) fn of(latencies: &Latencies) -> Self {
        if latencies.is_empty() {
            return Self { points: Vec::new() };
        }
        let end = 1.0 - 1.0 / latencies.len() as f64;
        let mut points: Vec<(f64, u64)> = latencies
            .iter_quantiles(POINTS_PER_HALF)
            .map(|value| (value.quantile_iterated_to(), value.value_iterated_to()))
            .take_while(|&(quantile, _)| quantile < end)
            .collect();
        points.push((end, latencies.max()));
        Self { points }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::no_latencies;

    #[test]
    fn a_curve_rises_to_the_maximum() {
        let mut latencies = no_latencies();
        for value in 1..=10_000 {
            latencies.saturating_record(value);
        }
        let points = Curve::of(&latencies).points;
        assert!(points.len() > 20);
        assert!(points.is_sorted());
        let &(quantile, value) = points.last().unwrap();
        assert!((quantile - 0.9999).abs() < 1e-9);
        assert!(value >= 10_000);
    }

    #[test]
    fn an_empty_curve_has_no_points() {
        assert!(Curve::of(&no_latencies()).points.is_empty());
    }

    #[test]
    fn a_single_sample_is_a_point() {
        let mut latencies = no_latencies();
        latencies.saturating_record(7);
        assert_eq!(Curve::of(&latencies).points, [(0.0, 7)]);
    }
}
