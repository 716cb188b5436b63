use std::time::Duration;

/// When a client tries again after its connection has ended or could not be made:
/// [`ClientConfig::reconnect`](crate::ClientConfig::reconnect).
///
/// The delay before an attempt is random, with equal chances from zero up to a bound ("full
/// jitter"). So the clients of a server that has failed come back spread over time, and not all at
/// once. The bound doubles with each failure in a row, from [`first`](Self::first) up to
/// [`longest`](Self::longest). It begins anew after a connection that [held](Self::reset_after).
///
/// ```
/// use std::time::Duration;
/// use eventwire::{Backoff, ClientConfig};
///
/// let backoff = Backoff::default().longest(Duration::from_secs(120));
/// let config = ClientConfig::default().reconnect(backoff);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    pub(crate) reset_after: Option<Duration>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            reset_after: None,
        }
    }
}

impl Backoff {
    /// The bound of the first delay. Default: 0.5 s, which a user hardly notices.
    #[must_use]
    pub const fn first(mut self, delay: Duration) -> Self {
        self.first = delay;
        self
    }

    /// The longest bound. Default: 30 s, after which a thousand clients make about 70 attempts a
    /// second.
    #[must_use]
    pub const fn longest(mut self, delay: Duration) -> Self {
        self.longest = delay;
        self
    }

    /// How long a connection must have been open for the delays to begin anew. Default: as long as
    /// the longest bound, so that a server that accepts and then fails is not tried more and more
    /// often.
    #[must_use]
    pub const fn reset_after(mut self, time: Duration) -> Self {
        self.reset_after = Some(time);
        self
    }

    /// Whether a connection that was open for that long held.
    pub(crate) fn has_held(&self, open: Duration) -> bool {
        open >= self.reset_after.unwrap_or(self.longest)
    }

    /// The delay after that many failures in a row before this one. `random` chooses it.
    pub(crate) fn delay(&self, failures: u32, random: u32) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
        let bound = doubled.min(self.longest);
        // 2^-32 of the bound, `random` times. The product of the nanoseconds has up to 126 bits.
        let nanos = (bound.as_nanos().saturating_mul(u128::from(random))) >> 32;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest() {
        let backoff = Backoff::default();
        let bounds = [0, 1, 2, 5, 6, 31, 32, u32::MAX];
        let bounds = bounds.map(|failures| backoff.delay(failures, u32::MAX).as_millis());
        assert_eq!(bounds, [499, 999, 1_999, 15_999, 29_999, 29_999, 29_999, 29_999]);
    }

    #[test]
    fn delays_are_spread_evenly_from_zero_to_the_bound() {
        let backoff = Backoff::default().first(Duration::from_secs(4));
        let quarters = [0, 1 << 30, 1 << 31, 3 << 30];
        let delays = quarters.map(|random| backoff.delay(0, random).as_secs());
        assert_eq!(delays, [0, 1, 2, 3]);
    }

    #[test]
    fn no_configuration_overflows() {
        for (first, longest) in [
            (Duration::MAX, Duration::MAX),
            (Duration::ZERO, Duration::MAX),
            (Duration::MAX, Duration::ZERO),
        ] {
            let backoff = Backoff::default().first(first).longest(longest);
            for failures in [0, 40, u32::MAX] {
                assert!(backoff.delay(failures, u32::MAX) <= longest);
                assert_eq!(backoff.delay(failures, 0), Duration::ZERO);
            }
        }
    }

    #[test]
    fn a_connection_holds_for_the_longest_bound_unless_configured() {
        let second = Duration::from_secs(1);
        assert!(!Backoff::default().has_held(29 * second));
        assert!(Backoff::default().has_held(30 * second));
        assert!(Backoff::default().reset_after(second).has_held(second));
    }
}
