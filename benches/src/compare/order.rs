//! The order of entrants in a round.

/// The order of `count` entrants in one round. It rotates from round to round, and every second
/// round is reversed, so that no entrant has the same place or the same neighbours in all rounds.
pub(crate) fn order(count: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    if count > 0 {
        order.rotate_left(round % count);
    }
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_goes_once_in_every_round() {
        for count in 0..6 {
            for round in 0..12 {
                let mut places = order(count, round);
                places.sort_unstable();
                assert!(places.into_iter().eq(0..count));
            }
        }
    }

    #[test]
    fn places_and_neighbours_change() {
        assert_eq!(order(4, 0), [0, 1, 2, 3]);
        assert_eq!(order(4, 1), [0, 3, 2, 1]);
        assert_eq!(order(4, 2), [2, 3, 0, 1]);
        assert_eq!(order(4, 3), [2, 1, 0, 3]);
    }
}
