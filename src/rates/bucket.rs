//! What is left of a rate.

use super::rate::Rate;
use crate::time::Time;

/// What is left of a rate: a bucket that is refilled evenly, up to the burst.
///
/// It counts in whole units of which every nanosecond refills a whole number, so that nothing is
/// rounded: after any calls, at any times, exactly the rate has come in. More may be taken than is
/// there. The debt is refilled first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// What is missing to a full bucket, and the debt.
    missing_units: u128,
    /// When it was last refilled.
    at: Time,
}

impl Bucket {
    pub(super) const FULL: Self = Self { missing_units: 0, at: Time::BEGINNING };

    /// How many there are.
    pub(super) fn available(&mut self, rate: &Rate, now: Time) -> u64 {
        self.refill(rate, now);
        rate.whole(rate.capacity_units().saturating_sub(self.missing_units))
    }

    /// Whether more was taken than was there.
    pub(super) fn is_overdrawn(&mut self, rate: &Rate, now: Time) -> bool {
        self.refill(rate, now);
        self.missing_units > rate.capacity_units()
    }

    /// Whether it is full.
    pub(super) fn is_full(&mut self, rate: &Rate, now: Time) -> bool {
        self.refill(rate, now);
        self.missing_units == 0
    }

    /// Takes `count`, whether they are there or not.
    pub(super) fn take(&mut self, rate: &Rate, count: u64, now: Time) {
        self.refill(rate, now);
        self.missing_units = self.missing_units.saturating_add(rate.units(count));
    }

    /// When there will be `count`. `None` if never.
    pub(super) fn ready_at(&mut self, rate: &Rate, count: u64, now: Time) -> Option<Time> {
        self.refill(rate, now);
        let (wanted, capacity) = (rate.units(count), rate.capacity_units());
        if wanted > capacity {
            return None;
        }
        let refilled = self.missing_units.saturating_add(wanted).saturating_sub(capacity);
        rate.refill_time(refilled, now)
    }

    /// Goes on with another rate, with as many missing as before.
    pub(super) fn change_rate(&mut self, from: &Rate, to: &Rate, now: Time) {
        self.refill(from, now);
        self.missing_units = to.units(from.whole(self.missing_units));
    }

    /// The time may have been turned back since the last call.
    fn refill(&mut self, rate: &Rate, now: Time) {
        let refilled = rate.refilled_units(self.at, now);
        self.missing_units = self.missing_units.saturating_sub(refilled);
        self.at = self.at.max(now);
    }
}
