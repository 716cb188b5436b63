//! Finds the rounds in which the machine had one speed.

/// Speeds that differ by less than this share are one speed.
const TOLERANCE: f64 = 0.12;

/// The indices of the rounds of the speed that most rounds have, in order; of several, the first.
/// `speeds` has the floor's figure in each round. A round without it has no speed of its own, and
/// counts.
pub(super) fn steady(speeds: &[Option<f64>]) -> Vec<usize> {
    let beside = |speed: f64| -> Vec<usize> {
        let is_beside = |other: &f64| (other / speed).max(speed / other) - 1.0 <= TOLERANCE;
        let counts = |other: &Option<f64>| other.as_ref().is_none_or(is_beside);
        (0..speeds.len()).filter(|&round| counts(&speeds[round])).collect()
    };
    let candidates = speeds.iter().flatten().map(|&speed| beside(speed));
    // `max_by_key` would return the last of several.
    let largest = candidates.reduce(|best, next| if next.len() > best.len() { next } else { best });
    largest.unwrap_or_else(|| (0..speeds.len()).collect())
}

#[cfg(test)]
mod tests {
    use super::steady;

    #[test]
    fn rounds_of_another_speed_do_not_count() {
        let speeds = [1.0, 1.05, 1.6, 0.97, 1.65].map(Some);
        assert_eq!(steady(&speeds), [0, 1, 3]);
        assert_eq!(steady(&[1.0, 1.6].map(Some)), [0]);
    }

    #[test]
    fn rounds_without_a_floor_count() {
        assert_eq!(steady(&[None, Some(2.0), None, Some(1.0), Some(1.0)]), [0, 2, 3, 4]);
        assert_eq!(steady(&[None, None]), [0, 1]);
    }
}
