//! The faults of a simulation: which there are, their chances, and their counts.

use std::ops::AddAssign;
use std::time::Duration;

/// Something that a kernel or a network may do at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// `recv`, `send` or `accept` returns `WouldBlock` although readiness was reported.
    WouldBlock,
    /// `recv` returns fewer bytes than there are. The rest arrives later, with an edge.
    ShortRecv,
    /// `send` accepts fewer bytes than there is room for. A writable edge follows.
    ShortSend,
    /// A call on a stream or listener returns `Interrupted`.
    Interrupted,
    /// A connection is reset for both ends.
    Reset,
    /// Bytes under way ahead of a reset are lost.
    LostOnReset,
    /// `accept` or `connect` fails with EMFILE or ENFILE. No readiness reports the end of it.
    DescriptorsExhausted,
    /// `accept` fails with `ConnectionAborted`. The connection is gone.
    Aborted,
    /// A connect is refused although there is a listener.
    Refused,
    /// A connect takes seconds.
    ConnectSlow,
    /// A connect is never answered. It fails after 127 s, as on Linux.
    ConnectNever,
    /// Readiness is reported with the key of a dropped stream or listener.
    Stale,
    /// Readiness is reported without a cause.
    Spurious,
    /// Due readiness is reported by a later poll, together with newer readiness.
    Delayed,
    /// `poll` returns at once with nothing, even if something is due.
    EarlyPoll,
    /// A signal ends the sleep in `poll`.
    PollInterrupted,
    /// The process is stopped while it sleeps in `poll`, and continues later. Everything under way
    /// has then arrived, and `poll` reports nothing.
    Stopped,
    /// Bytes take far longer than the usual latency.
    SlowDelivery,
    /// The bytes of one `send` arrive in pieces.
    Pieces,
    /// The end of a stream arrives together with the bytes before it: a hang-up with unread bytes.
    EarlyHangup,
    /// The clock jumps forward, as after a suspended machine wakes.
    ClockJump,
}

impl Fault {
    /// Every kind, in the order of their declaration.
    pub const ALL: [Self; 21] = [
        Self::WouldBlock,
        Self::ShortRecv,
        Self::ShortSend,
        Self::Interrupted,
        Self::Reset,
        Self::LostOnReset,
        Self::DescriptorsExhausted,
        Self::Aborted,
        Self::Refused,
        Self::ConnectSlow,
        Self::ConnectNever,
        Self::Stale,
        Self::Spurious,
        Self::Delayed,
        Self::EarlyPoll,
        Self::PollInterrupted,
        Self::Stopped,
        Self::SlowDelivery,
        Self::Pieces,
        Self::EarlyHangup,
        Self::ClockJump,
    ];

    /// The chance in [`SimConfig::default`], in millionths.
    const fn default_chance(self) -> u32 {
        match self {
            Self::WouldBlock | Self::ConnectSlow => 30_000,
            Self::ShortRecv | Self::ShortSend | Self::Delayed | Self::SlowDelivery => 50_000,
            Self::Interrupted | Self::Refused | Self::Spurious | Self::Stale => 20_000,
            Self::DescriptorsExhausted | Self::EarlyPoll | Self::PollInterrupted => 20_000,
            Self::Aborted => 20_000,
            Self::ConnectNever => 10_000,
            Self::Pieces => 100_000,
            Self::LostOnReset => 500_000,
            Self::EarlyHangup => 300_000,
            // Either may end every connection, which would hide other faults.
            Self::Reset => 300,
            Self::ClockJump | Self::Stopped => 50,
        }
    }
}

/// The behaviour of the simulated network. [`Default`] is a moderate mix of all [`Fault`]s.
///
/// ```
/// use eventwire::reactor::sim::{Fault, SimConfig};
///
/// let only_short_reads = SimConfig::calm().chance(Fault::ShortRecv, 500_000);
/// let everything_but_resets = SimConfig::default().chance(Fault::Reset, 0);
/// # let _ = (only_short_reads, everything_but_resets);
/// ```
#[derive(Clone, Debug)]
pub struct SimConfig {
    chances: [u32; Fault::ALL.len()],
    pub(super) latency: (Duration, Duration),
    pub(super) slowest: Duration,
    pub(super) clock_jump: Duration,
    /// Not zero.
    pub(super) batch: usize,
    /// Not zero.
    pub(super) window: usize,
    pub(super) descriptors: usize,
    pub(super) has_ipv6: bool,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            chances: Fault::ALL.map(Fault::default_chance),
            latency: (Duration::from_micros(5), Duration::from_micros(200)),
            ..Self::calm()
        }
    }
}

impl SimConfig {
    /// A network without faults, in which everything arrives after 20 µs.
    #[must_use]
    pub const fn calm() -> Self {
        Self {
            chances: [0; Fault::ALL.len()],
            latency: (Duration::from_micros(20), Duration::from_micros(20)),
            slowest: Duration::from_millis(20),
            clock_jump: Duration::from_secs(24 * 3600),
            batch: usize::MAX,
            window: 64 * 1024,
            descriptors: usize::MAX,
            has_ipv6: true,
        }
    }

    /// Sets the chance of a fault at each opportunity, in millionths. At most 900,000, so that a
    /// repeated call succeeds in the end.
    #[must_use]
    pub const fn chance(mut self, fault: Fault, per_million: u32) -> Self {
        self.chances[fault as usize] = per_million;
        self
    }

    /// Sets the usual time that bytes, ends of streams and connects take to arrive. Default: 5 to
    /// 200 µs.
    #[must_use]
    pub const fn latency(mut self, min: Duration, max: Duration) -> Self {
        self.latency = (min, max);
        self
    }

    /// Sets the longest extra time of [`Fault::SlowDelivery`]. Default: 20 ms.
    #[must_use]
    pub const fn slowest(mut self, extra: Duration) -> Self {
        self.slowest = extra;
        self
    }

    /// Sets the longest [`Fault::ClockJump`] and [`Fault::Stopped`]. Default: 24 hours.
    #[must_use]
    pub const fn clock_jump(mut self, longest: Duration) -> Self {
        self.clock_jump = longest;
        self
    }

    /// Sets the most streams and listeners that one `poll` reports. At least 1. The next `poll`
    /// reports the others first. Default: no limit.
    #[must_use]
    pub fn batch(mut self, count: usize) -> Self {
        self.batch = count.max(1);
        self
    }

    /// Sets the most bytes that one direction of a connection holds between `send` and `recv`. At
    /// least 1. Default: 64 KiB.
    #[must_use]
    pub fn window(mut self, bytes: usize) -> Self {
        self.window = bytes.max(1);
        self
    }

    /// Sets the most open streams and listeners. Beyond it, `listen`, `accept` and `connect` fail
    /// with EMFILE. Raw peers do not count. Default: no limit.
    #[must_use]
    pub const fn descriptors(mut self, limit: usize) -> Self {
        self.descriptors = limit;
        self
    }

    /// Sets whether the system has IPv6. If not, `listen` and `connect` with an IPv6 address fail
    /// with `AddrNotAvailable`. Default: true.
    #[must_use]
    pub const fn ipv6(mut self, is_there: bool) -> Self {
        self.has_ipv6 = is_there;
        self
    }

    /// The chance of `fault`, in millionths.
    pub(super) const fn chance_of(&self, fault: Fault) -> u32 {
        self.chances[fault as usize]
    }
}

/// How often each [`Fault`] was injected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    counts: [u64; Fault::ALL.len()],
}

impl FaultCounts {
    /// How often `fault` was injected.
    #[must_use]
    pub const fn get(&self, fault: Fault) -> u64 {
        self.counts[fault as usize]
    }

    /// Every kind with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64)> + '_ {
        Fault::ALL.into_iter().map(|fault| (fault, self.get(fault)))
    }

    /// How many faults were injected in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) const fn add(&mut self, fault: Fault) {
        self.counts[fault as usize] += 1;
    }
}

impl AddAssign for FaultCounts {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_every_kind_at_its_own_place() {
        for (place, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, place);
            assert!(SimConfig::default().chance_of(fault) > 0);
            assert_eq!(SimConfig::calm().chance_of(fault), 0);
        }
        assert_eq!(Fault::ALL.len(), Fault::ClockJump as usize + 1);
    }
}
