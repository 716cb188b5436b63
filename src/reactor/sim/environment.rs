//! What surrounds the sockets of a simulation: time, chance and history.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::choices::Choices;
use super::config::{Fault, FaultCounts, SimConfig};
use super::trace::Trace;

/// The shortest [`Fault::ClockJump`] and [`Fault::Stopped`].
const JUMP_MIN: Duration = Duration::from_secs(1);

const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// Decides which faults happen, knows the time, and records the history.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) config: SimConfig,
    pub(super) choices: Choices,
    pub(super) trace: Trace,
    pub(super) counts: FaultCounts,
    /// Virtual time since the beginning.
    pub(super) elapsed: Duration,
    last_number: u64,
}

impl Environment {
    pub(super) fn new(choices: Choices, config: SimConfig) -> Self {
        Self {
            config,
            choices,
            trace: Trace::new(),
            counts: FaultCounts::default(),
            elapsed: Duration::ZERO,
            last_number: 0,
        }
    }

    /// A number that was not used before.
    pub(super) const fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.record(self.elapsed, what);
    }

    /// Whether an event with the chance of `fault` happens. Does not count it.
    pub(super) fn would_hit(&mut self, fault: Fault) -> bool {
        self.choices.chance(self.config.chance_of(fault))
    }

    /// Whether `fault` happens now. Counts it if so.
    pub(super) fn hits(&mut self, fault: Fault) -> bool {
        let hit = self.would_hit(fault);
        if hit {
            self.count(fault);
        }
        hit
    }

    pub(super) fn count(&mut self, fault: Fault) {
        self.counts.add(fault);
        self.note(format_args!("fault {fault:?}"));
    }

    /// # Errors
    ///
    /// `Interrupted` if [`Fault::Interrupted`] hits.
    pub(super) fn interruptible(&mut self) -> io::Result<()> {
        if self.hits(Fault::Interrupted) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    /// # Errors
    ///
    /// EMFILE if the engine has the most descriptors that it may have.
    pub(super) fn check_descriptors(&self, open: usize) -> io::Result<()> {
        if open < self.config.descriptors {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(EMFILE))
        }
    }

    /// # Errors
    ///
    /// EMFILE or ENFILE if [`Fault::DescriptorsExhausted`] hits.
    pub(super) fn exhaust_descriptors(&mut self) -> io::Result<()> {
        if self.hits(Fault::DescriptorsExhausted) {
            let code = if self.choices.index(2) == 0 { EMFILE } else { ENFILE };
            return Err(io::Error::from_raw_os_error(code));
        }
        Ok(())
    }

    /// # Errors
    ///
    /// If the address is an IPv6 one and the system has no IPv6.
    pub(super) fn check_family(&self, address: SocketAddr) -> io::Result<()> {
        if address.is_ipv4() || self.config.has_ipv6 {
            return Ok(());
        }
        Err(io::ErrorKind::AddrNotAvailable.into())
    }

    /// When something that is sent now arrives.
    pub(super) fn arrival(&mut self) -> Duration {
        let (min, max) = self.config.latency;
        let usual = self.choices.span(min, max);
        let extra = if self.hits(Fault::SlowDelivery) {
            self.choices.span(Duration::ZERO, self.config.slowest)
        } else {
            Duration::ZERO
        };
        self.elapsed.saturating_add(usual).saturating_add(extra)
    }

    /// How far the clock jumps.
    pub(super) fn jump(&mut self) -> Duration {
        self.choices.span(JUMP_MIN, self.config.clock_jump.max(JUMP_MIN))
    }

    /// Chooses one of several ids or keys.
    pub(super) fn one_of(&mut self, ids: &[u64]) -> Option<u64> {
        if ids.is_empty() { None } else { Some(ids[self.choices.index(ids.len())]) }
    }
}
