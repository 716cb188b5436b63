//! CPU time that other programs and the hypervisor took.

use std::fs;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

/// CPU time at a point in time: of all CPUs since boot, and of this program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuUse {
    system: SystemTicks,
    own: Duration,
}

/// The shares of all CPU time that this program did not get, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interference {
    /// Taken away by the hypervisor.
    pub(crate) stolen: f64,
    /// Used by other programs.
    pub(crate) others: f64,
}

impl CpuUse {
    /// `None` if the system does not report it.
    pub(crate) fn now() -> Option<Self> {
        let system = SystemTicks::parse(&fs::read_to_string("/proc/stat").ok()?)?;
        let own = clock_gettime(ClockId::ProcessCPUTime).try_into().ok()?;
        Some(Self { system, own })
    }

    /// Adds the CPU time of processes that this program started to its own.
    pub(crate) fn with(self, children: Duration) -> Self {
        Self { own: self.own + children, ..self }
    }

    /// The interference since `earlier`.
    pub(crate) fn interference_since(self, earlier: Self) -> Interference {
        let since = |ticks: fn(SystemTicks) -> u64| {
            ticks(self.system).saturating_sub(ticks(earlier.system)) as f64
        };
        let total = since(|ticks| ticks.total).max(1.0);
        let own = self.own.saturating_sub(earlier.own).as_secs_f64();
        let own = own * clock_ticks_per_second() as f64;
        Interference {
            stolen: since(|ticks| ticks.stolen) * 100.0 / total,
            others: (since(|ticks| ticks.busy) - own).max(0.0) * 100.0 / total,
        }
    }
}

/// Interference above these shares of CPU time, in percent, makes figures doubtful.
const STOLEN_MAX: f64 = 1.0;
const OTHERS_MAX: f64 = 5.0;

impl Interference {
    /// A note if the interference was high.
    pub(crate) fn doubts(self) -> Option<String> {
        let Self { stolen, others } = self;
        (stolen > STOLEN_MAX || others > OTHERS_MAX).then(|| {
            format!(
                "the machine was not quiet: other programs used {others:.1} % of the CPU time, \
                 the hypervisor took {stolen:.1} % away; the figures are doubtful"
            )
        })
    }
}

/// The sums of the first line of `/proc/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SystemTicks {
    total: u64,
    /// Neither idle nor stolen.
    busy: u64,
    stolen: u64,
}

impl SystemTicks {
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let mut ticks = line.split_whitespace().map_while(|tick| tick.parse::<u64>().ok());
        let mut next = || ticks.next();
        let (user, nice, system) = (next()?, next()?, next()?);
        let (idle, waiting) = (next()?, next()?);
        let (hard_interrupts, soft_interrupts, stolen) = (next()?, next()?, next()?);
        let busy = user + nice + system + hard_interrupts + soft_interrupts;
        Some(Self { total: busy + idle + waiting + stolen, busy, stolen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_had_is_a_percentage_of_all_time() {
        let at = |stat: &str, own| CpuUse {
            system: SystemTicks::parse(stat).unwrap(),
            own: Duration::from_secs_f64(own / clock_ticks_per_second() as f64),
        };
        let before = at("cpu  10 0 10 80 0 0 0 0 0 0\ncpu0 1\n", 10.0);
        let after = at("cpu  30 5 20 105 5 2 3 20 0 0\n", 35.0);
        let Interference { stolen, others } = after.interference_since(before);
        // Of 90 ticks 20 were stolen; of 40 busy ones 25 were ours.
        assert!((stolen - 100.0 * 20.0 / 90.0).abs() < 1e-6, "{stolen}");
        assert!((others - 100.0 * 15.0 / 90.0).abs() < 1e-6, "{others}");
        assert_eq!(SystemTicks::parse("nothing"), None);
        assert_eq!(SystemTicks::parse("cpu 1 2 3"), None);
    }
}
