//! A kernel timer that ends sleeps.
//!
//! For a sleep with a timeout, the kernel sets a timer and cancels it, and mio rounds the timeout
//! up to whole milliseconds. This timer is exact, and is set once for all sleeps with the same end:
//! the next deadline of a busy loop stays the same for thousands of sleeps.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::time::Time;

/// Ends a sleep at a set time.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: OwnedFd,
    /// When it will ring. `Time::NEVER` if it is not set.
    at: Time,
}

impl Alarm {
    /// An alarm that is reported as `token` when it rings.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // It is edge-triggered and every ring is a new edge, so it never has to be read.
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer, at: Time::NEVER })
    }

    /// Ensures that a sleep ends by `until`, which is after `now`. It may end earlier, if the alarm
    /// was set for a deadline that has moved since.
    #[inline]
    pub(super) fn set(&mut self, now: Time, until: Time) -> io::Result<()> {
        if self.at <= until { Ok(()) } else { self.set_earlier(now, until) }
    }

    #[inline(never)]
    fn set_earlier(&mut self, now: Time, until: Time) -> io::Result<()> {
        // The kernel counts from the present, which is not before `now`: the alarm is not early.
        let after = until.since(now);
        let value = Timespec::try_from(after).map_err(|_| io::ErrorKind::InvalidInput)?;
        let once = Itimerspec { it_interval: Timespec::default(), it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        self.at = until;
        Ok(())
    }

    /// Records that the alarm has rung.
    pub(super) fn rang(&mut self) {
        self.at = Time::NEVER;
    }
}
