use std::time::Duration;

/// What the stream of a connection with a conflating subscription may hold unsent: newer messages
/// wait in the topic, where they replace older ones. Enough for some segments to be on their way
/// while the next ones are made.
const CONFLATING_BYTES_MAX: u32 = 16 * 1024;

/// How often that is halved for a peer that reads slowly.
const HALVINGS_MAX: u8 = 2;

/// A stream becomes writable when half of what it may hold is sent. If that takes longer than this,
/// the messages are too old when they leave.
const SLOW: Duration = Duration::from_millis(20);

/// If that takes less than this, the stream may be empty before the next messages are made. Less
/// than half of `SLOW`, so that no rate is both.
const FAST: Duration = Duration::from_millis(5);

/// How much the stream of a connection may hold unsent. What a stream has taken can be neither
/// dropped nor overtaken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnsentLimit {
    /// How many bytes in any case; 0: no limit. The bytes of an integer, because an integer would
    /// be followed by padding.
    bytes: [u8; 4],
    /// One of the connection's subscriptions conflates: only its latest message matters.
    pub(crate) conflates: bool,
    /// How often the limit of a conflating connection is halved.
    halvings: u8,
}

impl UnsentLimit {
    /// Sets how many bytes the stream may hold in any case; 0: no limit.
    pub(crate) const fn set_bytes(&mut self, bytes: u32) {
        self.bytes = bytes.to_ne_bytes();
    }

    /// The limit that applies, in bytes.
    pub(crate) fn get(self) -> Option<u32> {
        let own = Some(u32::from_ne_bytes(self.bytes)).filter(|bytes| *bytes > 0);
        let conflating = self.conflates.then_some(CONFLATING_BYTES_MAX >> self.halvings);
        own.into_iter().chain(conflating).min()
    }

    /// Adapts the limit of a conflating connection to its peer, for which output had to wait for
    /// this long.
    pub(crate) fn adapt(&mut self, waited: Duration) {
        if waited > SLOW {
            self.halvings = (self.halvings + 1).min(HALVINGS_MAX);
        } else if waited < FAST {
            self.halvings = self.halvings.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_of(bytes: u32, conflates: bool, halvings: u8) -> UnsentLimit {
        UnsentLimit { bytes: bytes.to_ne_bytes(), conflates, halvings }
    }

    #[test]
    fn the_lower_limit_applies() {
        let limit = |bytes, conflates| limit_of(bytes, conflates, 0).get();
        assert_eq!((limit(0, false), limit(5, false)), (None, Some(5)));
        assert_eq!(limit(0, true), Some(CONFLATING_BYTES_MAX));
        assert_eq!((limit(5, true), limit(u32::MAX, true)), (Some(5), Some(CONFLATING_BYTES_MAX)));
    }

    /// The limit of a peer that reads so many bytes a second.
    fn limit_at(rate: u32, mut limit: UnsentLimit) -> u32 {
        for _ in 0..5 {
            let half = limit.get().unwrap() / 2;
            limit.adapt(Duration::from_secs(1) * half / rate);
        }
        limit.get().unwrap()
    }

    #[test]
    fn a_conflating_connection_holds_less_for_a_slow_peer() {
        let conflates = |halvings| limit_of(0, true, halvings);
        for (rate, expected) in [(1_000, 4096), (100_000, 4096), (300_000, 8192)] {
            assert_eq!(limit_at(rate, conflates(0)), expected, "{rate}");
        }
        for rate in [2_000_000, 100_000_000] {
            assert_eq!(limit_at(rate, conflates(HALVINGS_MAX)), CONFLATING_BYTES_MAX, "{rate}");
        }
        // No rate makes the limit change all the time.
        for rate in (10_000..5_000_000).step_by(10_000) {
            for halvings in 0..=HALVINGS_MAX {
                let limit = limit_at(rate, conflates(halvings));
                let settled = CONFLATING_BYTES_MAX.ilog2() - limit.ilog2();
                assert_eq!(limit_at(rate, conflates(settled as u8)), limit, "{rate}");
            }
        }
    }
}
