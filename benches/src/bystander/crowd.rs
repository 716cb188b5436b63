use std::time::Duration;

use mio::Events;

use crate::error::Error;
use crate::load::{Fault, Links, ReadOutcome, Stamp, Target};

/// Connections that only receive broadcasts.
#[derive(Debug)]
pub(crate) struct Crowd {
    links: Links,
    events: Events,
    /// The expected number of each connection's next message.
    next: Vec<u32>,
    delivered: u64,
}

/// How many connections are read from in one batch.
const READ_AT_ONCE: usize = 1024;

impl Crowd {
    pub(crate) fn connect(target: &Target, count: usize, size: usize) -> Result<Self, Error> {
        let links = Links::open(target, count, size, 1)?;
        let events = Events::with_capacity(READ_AT_ONCE);
        Ok(Self { links, events, next: vec![0; count], delivered: 0 })
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> u64 {
        self.next.len() as u64
    }

    /// How many messages arrived on all connections together.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Reads available input from some of them.
    pub(crate) fn read(&mut self) -> Result<(), Error> {
        let Self { links, events, next, delivered } = self;
        links.wait(events, Duration::ZERO)?;
        for event in &*events {
            let index = event.token().0;
            let mut outcome = ReadOutcome::Full;
            while outcome == ReadOutcome::Full {
                outcome = links.read(index, |received| {
                    let expected = Stamp { sender: 0, sequence: next[index] };
                    if received != expected {
                        return Err(Fault::WrongMessage { expected, received });
                    }
                    next[index] = next[index].wrapping_add(1);
                    *delivered += 1;
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Closes every connection.
    pub(crate) fn close(self) {
        self.links.close();
    }
}
