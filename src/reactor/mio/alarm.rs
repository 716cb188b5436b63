//! A timer of the kernel's that ends sleeps.
//!
//! A sleep with a timeout makes the kernel set a timer and take it back, and mio rounds it up to
//! whole milliseconds. This one is exact, and is set once for all sleeps that are to end by one
//! moment: a busy loop's next deadline is the same for thousands of them.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::time::Time;

/// Ends sleeps at a moment.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: OwnedFd,
    /// When it will ring; `Time::NEVER` if it is not set.
    at: Time,
}

impl Alarm {
    /// An alarm that is reported as `token` when it rings.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // Edge-triggered: it is never read, for every ring is an edge of its own.
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer, at: Time::NEVER })
    }

    /// Sees to it that a sleep ends by `until`, which is after `now`. It may end before: what was
    /// to be done earlier may have been put off meanwhile.
    #[inline]
    pub(super) fn set(&mut self, now: Time, until: Time) -> io::Result<()> {
        if self.at <= until { Ok(()) } else { self.set_earlier(now, until) }
    }

    #[inline(never)]
    fn set_earlier(&mut self, now: Time, until: Time) -> io::Result<()> {
        // From the present on, which is not before `now`: so it is not early.
        let after = until.since(now);
        let value = Timespec::try_from(after).map_err(|_| io::ErrorKind::InvalidInput)?;
        let once = Itimerspec { it_interval: Timespec::default(), it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        self.at = until;
        Ok(())
    }

    /// It has rung.
    pub(super) fn rang(&mut self) {
        self.at = Time::NEVER;
    }
}
