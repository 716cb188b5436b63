//! The loop of all loads that send messages: send what is due, wait, read and account, send what
//! follows.

use std::time::{Duration, Instant};

use mio::Events;
use mio::event::Event;

use super::course::Course;
use super::ledger::Ledger;
use super::links::{Links, ReadOutcome};
use super::meter::{Measurement, Meter};
use super::opening::PATIENCE;
use super::schedule::{Schedule, WAIT_MAX};
use super::traffic::{Load, Traffic};
use crate::error::Error;
use crate::machine::CpuClock;
use crate::service::ECHO_MARK;

/// How long an open loop waits for missing answers after its time is over.
const GRACE: Duration = Duration::from_secs(2);

/// Runs a load that sends messages.
pub(super) fn run(
    load: &Load,
    course: &Course,
    server: Option<CpuClock>,
) -> Result<Measurement, Error> {
    let mut events = Events::with_capacity(1024);
    let links = course.open(&load.target)?;
    let mut bystander = match load.traffic {
        Traffic::Broadcast { bystander: true, .. } => Some(bystander(load, course, &mut events)?),
        _ => None,
    };
    let mut driver = Driver::new(load, course, links, server);
    driver.spin |= bystander.is_some();
    driver.begin()?;
    loop {
        if let Some(bystander) = &mut bystander {
            // This program does not read meanwhile, so reading is not part of a round trip.
            bystander.round_trip(&mut events)?;
        }
        if driver.turn(&mut events)? {
            break;
        }
    }
    let bystander = bystander.map(Driver::finish);
    let measured = driver.finish();
    Ok(match bystander {
        Some(bystander) => Measurement { bystander: bystander.latency, ..measured },
        None => measured,
    })
}

/// A connection that has requested an echo, so that it gets no broadcasts.
fn bystander(load: &Load, course: &Course, events: &mut Events) -> Result<Driver, Error> {
    let course = course.beside(load.target.wire);
    let mut bystander = Driver::new(load, &course, course.open(&load.target)?, None);
    bystander.ledger.mark = ECHO_MARK;
    bystander.round_trip(events)?;
    Ok(bystander)
}

#[derive(Debug)]
struct Driver {
    links: Links,
    ledger: Ledger,
    /// When the last message arrived, or when the first one was expected.
    heard: Instant,
    /// The measured time is over, and no new message is due.
    over: bool,
    /// Poll without ever sleeping.
    spin: bool,
}

impl Driver {
    fn new(load: &Load, course: &Course, links: Links, server: Option<CpuClock>) -> Self {
        let heard = Instant::now();
        let meter = Meter::begin(load.warm_up, load.duration, server);
        let schedule = Schedule::new(heard, course.per_second);
        let ledger = Ledger::new(&course.rhythms, course.route, schedule, links.carried(), meter);
        Self { links, ledger, heard, over: false, spin: load.spin }
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.links.read_early()?;
        self.ledger.senders().try_for_each(|index| self.go_on(index))
    }

    /// One turn of the loop. Returns whether the run is over.
    fn turn(&mut self, events: &mut Events) -> Result<bool, Error> {
        let now = Instant::now();
        self.over = self.ledger.meter.is_over(now);
        self.release_scheduled(now)?;
        if self.is_settled(now)? {
            return Ok(true);
        }
        let pause = match self.ledger.is_open_loop() {
            _ if self.spin => Duration::ZERO,
            true if !self.over => self.ledger.schedule.pause(self.ledger.released, now),
            _ => WAIT_MAX,
        };
        self.links.wait(events, pause)?;
        for event in &*events {
            self.serve(event)?;
        }
        Ok(false)
    }

    /// Sends the messages whose time has come.
    fn release_scheduled(&mut self, now: Instant) -> Result<(), Error> {
        if !self.ledger.is_open_loop() {
            return Ok(());
        }
        let last = self.ledger.meter.end().map_or(now, |end| now.min(end));
        for _ in self.ledger.released..self.ledger.schedule.due(last) {
            let index = self.ledger.next_scheduled();
            self.ledger.released += 1;
            self.release(index, 1, now);
            self.send(index)?;
        }
        Ok(())
    }

    /// Whether the run may end: its time is over, and every message was answered or abandoned.
    fn is_settled(&mut self, now: Instant) -> Result<bool, Error> {
        let outstanding = self.ledger.outstanding;
        if outstanding == 0 {
            return Ok(self.over);
        }
        let silence = now.saturating_duration_since(self.heard);
        if silence > PATIENCE {
            return Err(Error::Stalled { outstanding, seconds: silence.as_secs() });
        }
        let end = self.ledger.meter.end().filter(|_| self.ledger.is_open_loop());
        let gives_up = end.is_some_and(|end| now >= end + GRACE);
        if gives_up {
            self.ledger.give_up(now);
        }
        Ok(gives_up)
    }

    fn serve(&mut self, event: &Event) -> Result<(), Error> {
        let (link, route) = (event.token().0, self.ledger.route);
        if event.is_writable() && self.links.flush(link)? {
            let sender = link.checked_sub(route.first_sender());
            sender.map_or(Ok(()), |index| self.send(index))?;
        }
        if !event.is_readable() || route.unread().contains(&link) {
            return Ok(());
        }
        loop {
            let outcome = self.read(link)?;
            while let Some(index) = self.ledger.answered.pop() {
                self.go_on(index)?;
            }
            let more = match outcome {
                ReadOutcome::Full => true,
                // The end of the stream is still unread.
                ReadOutcome::Short => event.is_read_closed(),
                ReadOutcome::Empty => false,
            };
            if !more {
                return Ok(());
            }
        }
    }

    fn read(&mut self, link: usize) -> Result<ReadOutcome, Error> {
        let Self { links, ledger, .. } = self;
        let mut clock = None;
        let outcome = links.read(link, |received| {
            let now = *clock.get_or_insert_with(Instant::now);
            ledger.arrived(link, received, now)
        })?;
        if outcome != ReadOutcome::Empty {
            self.heard = clock.unwrap_or_else(Instant::now);
        }
        Ok(outcome)
    }

    /// Sends what follows the last messages of a sender, and what had to wait.
    fn go_on(&mut self, index: usize) -> Result<(), Error> {
        let following = if self.over { 0 } else { self.ledger.following(index) };
        if following > 0 {
            self.release(index, following, Instant::now());
        }
        self.send(index)
    }

    fn release(&mut self, index: usize, messages: u64, now: Instant) {
        if self.ledger.outstanding == 0 {
            self.heard = now;
        }
        self.ledger.release(index, messages, now);
    }

    /// Sends the due messages of a sender, within the limit on unanswered ones.
    fn send(&mut self, index: usize) -> Result<(), Error> {
        let (first, messages) = self.ledger.sendable(index);
        if messages > 0 {
            let link = self.ledger.route.first_sender() + index;
            let sent = self.links.send(link, first, messages)?;
            self.ledger.sent(index, sent);
        }
        Ok(())
    }

    /// Sends one more message of the only sender, and waits for its echo.
    fn round_trip(&mut self, events: &mut Events) -> Result<(), Error> {
        self.release(0, 1, Instant::now());
        self.send(0)?;
        while self.ledger.outstanding > 0 {
            self.turn(events)?;
        }
        Ok(())
    }

    fn finish(self) -> Measurement {
        self.links.close();
        self.ledger.meter.finish()
    }
}
