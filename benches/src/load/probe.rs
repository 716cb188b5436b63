use std::time::{Duration, Instant};

use mio::Events;

use super::links::Links;
use super::payload::Stamp;
use super::scanner::Fault;
use super::{PATIENCE, pause};
use crate::error::Error;
use crate::target::Target;

/// A connection that measures round trips, one after the other.
#[derive(Debug)]
pub(crate) struct Probe {
    links: Links,
    events: Events,
    sender: u32,
    sent: u32,
    /// How long one wait for an echo may take.
    timeout: Duration,
}

impl Probe {
    /// Payloads have `size` bytes, at least the length of a stamp, and the stamp names `sender`.
    pub(crate) fn connect(
        target: &Target,
        size: usize,
        sender: u32,
        spin: bool,
    ) -> Result<Self, Error> {
        let links = Links::open(target, 1, size, 1)?;
        Ok(Self { links, events: Events::with_capacity(8), sender, sent: 0, timeout: pause(spin) })
    }

    /// Sends a message and waits for its echo.
    pub(crate) fn round_trip(&mut self) -> Result<Duration, Error> {
        let expected = Stamp { sender: self.sender, sequence: self.sent };
        self.sent = self.sent.wrapping_add(1);
        let start = Instant::now();
        if self.links.send(0, expected, 1)? == 0 {
            return Err(Error::Connection { index: 0, fault: Fault::Unasked.to_string() });
        }
        loop {
            self.links.wait(&mut self.events, self.timeout)?;
            let mut arrived = false;
            if !self.events.is_empty() {
                self.links.read(0, |received| {
                    arrived = true;
                    match received == expected {
                        true => Ok(()),
                        false => Err(Fault::WrongMessage { expected, received }),
                    }
                })?;
            }
            let time = start.elapsed();
            if arrived {
                return Ok(time);
            }
            if time > PATIENCE {
                return Err(Error::Stalled { outstanding: 1, seconds: time.as_secs() });
            }
        }
    }

    /// Sends a close frame.
    pub(crate) fn close(self) {
        self.links.close();
    }
}
