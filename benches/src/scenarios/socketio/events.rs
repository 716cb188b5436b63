//! Events that sessions send one after the other. Each is checked when it arrives.

use std::rc::Rc;
use std::time::Instant;

use super::crowd::unexpected;
use crate::error::Error;
use crate::load::Meter;

/// Bytes of the text that an event carries.
pub(super) const TEXT: usize = 64;

#[derive(Debug)]
pub(super) struct Events {
    /// Whether the first session sends to all. Otherwise all send, and events are acknowledged.
    to_all: bool,
    /// Whether the server returns or broadcasts whole messages, without Socket.IO.
    is_plain: bool,
    /// The number of the last event.
    number: u64,
    /// What each session awaits.
    awaited: Vec<Option<Rc<Awaited>>>,
    /// How many sessions await something.
    outstanding: usize,
    /// When the last packet arrived.
    pub(super) heard: Instant,
    pub(super) meter: Meter,
}

#[derive(Debug)]
struct Awaited {
    packet: String,
    since: Instant,
}

impl Events {
    pub(super) fn new(to_all: bool, is_plain: bool, sessions: usize, meter: Meter) -> Self {
        let (awaited, heard) = (vec![None; sessions], Instant::now());
        Self { to_all, is_plain, number: 0, awaited, outstanding: 0, heard, meter }
    }

    /// Whether nothing that a session has begun is incomplete.
    pub(super) fn is_complete(&self) -> bool {
        !self.to_all || self.outstanding == 0
    }

    /// The sessions that send, and their next events, unless events are outstanding.
    pub(super) fn due(&mut self) -> Vec<(usize, Vec<u8>)> {
        let senders = match (self.outstanding, self.to_all) {
            (0, true) => 1,
            (0, false) => self.awaited.len(),
            _ => 0,
        };
        (0..senders).map(|sender| (sender, self.next(sender))).collect()
    }

    /// Checks a packet. Returns the session's next event, unless it waits for others.
    pub(super) fn arrived(
        &mut self,
        session: usize,
        packet: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        let awaited = self.awaited[session].take().filter(|one| one.packet.as_bytes() == packet);
        let awaited = awaited.ok_or_else(|| unexpected(session, packet))?;
        self.heard = Instant::now();
        self.meter.arrived(awaited.since, self.heard);
        self.outstanding -= 1;
        Ok((!self.to_all).then(|| self.next(session)))
    }

    fn next(&mut self, sender: usize) -> Vec<u8> {
        self.number += 1;
        let number = self.number;
        let text = format!("{number:0TEXT$}");
        let (event, packet) = match self.to_all {
            true => (format!("42[\"all\",\"{text}\"]"), format!("42[\"all-event\",\"{text}\"]")),
            false => (
                format!("42{number}[\"message-with-ack\",\"{text}\"]"),
                format!("43{number}[\"{text}\"]"),
            ),
        };
        // A delivery is as long as with Socket.IO.
        let (event, packet) = match (self.is_plain, self.to_all) {
            (false, _) => (event, packet),
            (true, true) => (packet.clone(), packet),
            (true, false) => (event.clone(), event),
        };
        let awaited = Some(Rc::new(Awaited { packet, since: Instant::now() }));
        let receivers = if self.to_all { 0..self.awaited.len() } else { sender..sender + 1 };
        self.outstanding += receivers.len();
        self.awaited[receivers].fill(awaited);
        event.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn events(to_all: bool, is_plain: bool) -> Events {
        Events::new(to_all, is_plain, 2, Meter::begin(Duration::ZERO, Duration::ZERO, None))
    }

    #[test]
    fn acknowledgements_that_are_wrong_or_come_twice_are_refused() {
        let mut events = events(false, false);
        assert_eq!(events.due().len(), 2);
        let acknowledgement = |number| format!("43{number}[\"{number:064}\"]").into_bytes();
        let next = events.arrived(0, &acknowledgement(1)).unwrap().unwrap();
        assert!(next.starts_with(b"423[\"message-with-ack\",\"0"));
        assert!(events.arrived(0, &acknowledgement(1)).is_err());
        // That is the other session's.
        assert!(events.arrived(1, &acknowledgement(3)).is_err());
    }

    #[test]
    fn an_event_to_all_is_followed_by_the_next_when_all_have_it() {
        let mut events = events(true, false);
        let (_, event) = events.due().remove(0);
        let delivered = String::from_utf8(event).unwrap().replace("all", "all-event").into_bytes();
        for session in 0..2 {
            assert!(events.due().is_empty() && !events.is_complete());
            assert!(events.arrived(session, &delivered).unwrap().is_none());
            assert!(events.arrived(session, &delivered).is_err());
        }
        assert!(events.is_complete());
        assert_eq!(events.due().len(), 1);
    }

    #[test]
    fn a_plain_server_returns_and_broadcasts_whole_messages() {
        for to_all in [false, true] {
            let mut events = events(to_all, true);
            let (_, event) = events.due().remove(0);
            assert!(events.arrived(0, &event).is_ok());
        }
    }
}
