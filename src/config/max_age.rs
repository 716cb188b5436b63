use std::time::Duration;

use crate::proto::CloseCode;

/// How old connections may become: [`ServerConfig::max_age`](crate::ServerConfig::max_age) and
/// [`StreamConfig::max_age`](crate::StreamConfig::max_age). A [`Duration`] converts into one with
/// this age.
///
/// Clients that are closed connect again, so that after a deployment or behind a load balancer
/// connections spread over all servers, and authentication is checked again. The age of each
/// connection is drawn with equal chances from the maximum less the [jitter](Self::jitter) up to
/// the maximum. So connections that opened together do not end together.
///
/// ```
/// use std::time::Duration;
/// use eventwire::{CloseCode, MaxAge, ServerConfig};
///
/// let hour = Duration::from_secs(3600);
/// let config = ServerConfig::default().max_age(hour);
///
/// let age = MaxAge::new(8 * hour).jitter(hour).code(CloseCode::POLICY, "sign in again");
/// let config = ServerConfig::default().max_age(age);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaxAge {
    age: Duration,
    jitter: Duration,
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
}

impl MaxAge {
    /// Connections are closed at that age at the latest, counted from `on_open`. With zero they are
    /// closed as soon as they are open.
    #[must_use]
    pub const fn new(age: Duration) -> Self {
        let jitter = match age.checked_div(10) {
            Some(tenth) => tenth,
            None => Duration::ZERO,
        };
        Self { age, jitter, code: CloseCode::RESTART, reason: String::new() }
    }

    /// How much earlier than the maximum a connection may be closed. Default: a tenth of the age,
    /// which spreads connections that opened within a minute of each other over six minutes of
    /// every hour. Zero closes all of them at the same age. More than the age counts as the age.
    #[must_use]
    pub const fn jitter(mut self, time: Duration) -> Self {
        self.jitter = time;
        self
    }

    /// The code and reason with which connections are closed. Default: 1012 (service restart),
    /// after which clients connect again, and no reason. The reason is truncated to 123 bytes. A
    /// code that must not be sent (RFC 6455 §7.4.1) is omitted.
    #[must_use]
    pub fn code(mut self, code: CloseCode, reason: impl Into<String>) -> Self {
        self.code = code;
        self.reason = reason.into();
        self
    }

    /// The age of one connection. `random` chooses it.
    pub(crate) fn draw(&self, random: u32) -> Duration {
        // 2^-32 of the jitter, `random` times. The product of the nanoseconds has up to 126 bits.
        let jitter = self.jitter.min(self.age);
        let nanos = jitter.as_nanos().saturating_mul(u128::from(random)) >> 32;
        self.age.saturating_sub(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

impl From<Duration> for MaxAge {
    fn from(age: Duration) -> Self {
        Self::new(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ages_are_spread_evenly_over_the_jitter_before_the_maximum() {
        let age = MaxAge::new(100 * SECOND).jitter(40 * SECOND);
        let ages = [0, 1 << 30, 1 << 31, 3 << 30].map(|random| age.draw(random).as_secs());
        assert_eq!(ages, [100, 90, 80, 70]);
        assert!(age.draw(u32::MAX) > 60 * SECOND);
    }

    #[test]
    fn the_jitter_is_a_tenth_unless_configured_and_at_most_the_age() {
        assert_eq!(MaxAge::new(100 * SECOND).draw(1 << 31), 95 * SECOND);
        let exact = MaxAge::from(SECOND).jitter(Duration::ZERO);
        assert_eq!((exact.draw(0), exact.draw(u32::MAX)), (SECOND, SECOND));
        let wide = MaxAge::new(SECOND).jitter(Duration::MAX);
        assert_eq!((wide.draw(0), wide.draw(1 << 31)), (SECOND, SECOND / 2));
    }

    #[test]
    fn no_configuration_overflows() {
        for age in [Duration::ZERO, Duration::MAX] {
            for jitter in [Duration::ZERO, Duration::MAX] {
                let age = MaxAge::new(age).jitter(jitter);
                assert!(age.draw(0) >= age.draw(u32::MAX));
            }
            assert!(MaxAge::new(age).draw(7) <= age);
        }
    }
}
