//! Closing many connections, spread evenly over a time.

use std::time::Duration;

use crate::slots::Key;
use crate::time::Time;

/// Connections that are to be closed, and when.
#[derive(Debug)]
pub(crate) struct Farewell {
    conns: Vec<Key>,
    /// How many of them are closed.
    closed: usize,
    began: Time,
    over: Duration,
}

impl Farewell {
    pub(crate) const fn new() -> Self {
        Self { conns: Vec::new(), closed: 0, began: Time::BEGINNING, over: Duration::ZERO }
    }

    /// Begins to close these connections, the first one at once.
    pub(crate) fn begin(&mut self, conns: Vec<Key>, began: Time, over: Duration) {
        *self = Self { conns, closed: 0, began, over };
    }

    /// The next connection to close by that moment.
    pub(crate) fn next(&mut self, now: Time) -> Option<Key> {
        if self.next_due()? > now {
            return None;
        }
        self.closed += 1;
        Some(self.conns[self.closed - 1])
    }

    /// When the next connection is to be closed, if one is left.
    pub(crate) fn next_due(&self) -> Option<Time> {
        if self.closed == self.conns.len() {
            return None;
        }
        let part = self.closed as f64 / self.conns.len() as f64;
        Some(self.began + self.over.mul_f64(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: u64) -> Vec<Key> {
        (1..=count).map(|number| Key::from_bits(number << 32)).collect()
    }

    #[test]
    fn connections_are_closed_one_after_another_over_the_time() {
        let (mut farewell, second) = (Farewell::new(), Duration::from_secs(1));
        assert_eq!((farewell.next_due(), farewell.next(Time::NEVER)), (None, None));
        let began = Time::BEGINNING + second;
        farewell.begin(keys(4), began, 8 * second);
        let mut closed_at = Vec::new();
        while let Some(due) = farewell.next_due() {
            assert_eq!(farewell.next(Time::BEGINNING), None, "too early");
            assert!(farewell.next(due).is_some());
            closed_at.push(due.since(began).as_secs());
        }
        assert_eq!(closed_at, [0, 2, 4, 6]);
    }

    #[test]
    fn without_a_time_all_are_closed_at_once() {
        let mut farewell = Farewell::new();
        farewell.begin(keys(3), Time::BEGINNING, Duration::ZERO);
        let closed: Vec<_> = std::iter::from_fn(|| farewell.next(Time::BEGINNING)).collect();
        assert_eq!(closed, keys(3));
    }
}
