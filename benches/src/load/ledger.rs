use std::collections::VecDeque;
use std::iter::repeat_n;
use std::ops::Range;
use std::time::Instant;

use super::fault::Fault;
use super::meter::Meter;
use super::schedule::Schedule;
use super::stamp::Stamp;

/// The messages of a load: which ones are due, sent and received. Checks that each receiver gets
/// all that it is to get, in order.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) route: Route,
    senders: Vec<Sender>,
    /// By receiver of broadcasts, then sender: the number of the next expected message.
    next: Vec<u32>,
    /// The bits of a stamp that messages have room for.
    carried: u64,
    /// The highest byte of all stamps.
    pub(super) mark: u8,
    /// Messages of all senders that are due and that some receiver does not have.
    pub(super) outstanding: u64,
    /// Senders of which a message arrived everywhere since they last went on.
    pub(super) answered: Vec<usize>,
    pub(super) schedule: Schedule,
    /// How many senders follow the schedule, in turns: the first ones.
    scheduled: usize,
    /// Messages that the schedule has released.
    pub(super) released: u64,
    pub(super) meter: Meter,
}

/// The receivers of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Its sender. Senders and connections have the same indices.
    Back,
    /// The first connections, of which the first `reading` are read from. Those after them send.
    Spread { receivers: usize, reading: usize },
}

/// When the messages of a sender become due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rhythm {
    /// So many are kept in flight.
    Depth(u64),
    /// The same, but only the other senders' latencies count.
    Flood(u64),
    /// So many at once follow when all receivers have the last ones.
    Burst(u64),
    /// At the times of the schedule. At most so many are in flight.
    Schedule(u64),
}

/// One sender. `complete <= sent <= due`.
#[derive(Clone, Debug)]
struct Sender {
    rhythm: Rhythm,
    /// Messages that are due.
    due: u64,
    sent: u64,
    /// Messages that every receiver has.
    complete: u64,
    /// The messages after the complete ones: to the last one that is due, or with a schedule, to
    /// the last one that was sent.
    flights: VecDeque<Flight>,
}

/// One message in flight.
#[derive(Clone, Copy, Debug)]
struct Flight {
    intended: Instant,
    /// How many receivers do not have it.
    missing: usize,
}

impl Ledger {
    pub(super) fn new(
        rhythms: &[Rhythm],
        route: Route,
        schedule: Schedule,
        carried: u64,
        meter: Meter,
    ) -> Self {
        let sender =
            |&rhythm| Sender { rhythm, due: 0, sent: 0, complete: 0, flights: VecDeque::new() };
        Self {
            route,
            senders: rhythms.iter().map(sender).collect(),
            next: vec![0; rhythms.len() * route.first_sender()],
            carried,
            mark: 0,
            outstanding: 0,
            answered: Vec::new(),
            schedule,
            scheduled: rhythms.iter().filter(|one| matches!(one, Rhythm::Schedule(_))).count(),
            released: 0,
            meter,
        }
    }

    pub(super) fn senders(&self) -> Range<usize> {
        0..self.senders.len()
    }

    /// Whether the schedule says when messages leave.
    pub(super) fn is_open_loop(&self) -> bool {
        self.scheduled > 0
    }

    /// When a message of a sender that follows the schedule is due.
    fn scheduled(&self, index: usize, message: u64) -> Instant {
        self.schedule.time(message * self.scheduled as u64 + index as u64)
    }

    /// The sender of the next message of the schedule.
    pub(super) fn next_scheduled(&self) -> usize {
        (self.released % self.scheduled as u64) as usize
    }

    /// How many messages follow at once.
    pub(super) fn following(&self, index: usize) -> u64 {
        let Sender { rhythm, due, complete, .. } = self.senders[index];
        match rhythm {
            Rhythm::Depth(depth) | Rhythm::Flood(depth) => depth.saturating_sub(due - complete),
            Rhythm::Burst(burst) if due == complete => burst,
            Rhythm::Burst(_) | Rhythm::Schedule(_) => 0,
        }
    }

    /// More messages of a sender are due.
    pub(super) fn release(&mut self, index: usize, messages: u64, now: Instant) {
        let flight = Flight { intended: now, missing: self.route.receivers_of_one() };
        let sender = &mut self.senders[index];
        sender.due += messages;
        self.outstanding += messages;
        if !matches!(sender.rhythm, Rhythm::Schedule(_)) {
            sender.flights.extend(repeat_n(flight, messages as usize));
        }
    }

    /// The messages of a sender that may be sent: the stamp of the first, and how many.
    pub(super) fn sendable(&self, index: usize) -> (Stamp, usize) {
        let Sender { rhythm, due, sent, complete, .. } = self.senders[index];
        let allowed = match rhythm {
            Rhythm::Schedule(in_flight_max) => due.min(complete + in_flight_max),
            _ => due,
        };
        let sender = u32::from(self.mark) << 24 | index as u32;
        (Stamp { sender, sequence: sent as u32 }, (allowed - sent) as usize)
    }

    /// More messages of a sender were sent.
    pub(super) fn sent(&mut self, index: usize, messages: usize) {
        let missing = self.route.receivers_of_one();
        let before = self.senders[index].sent;
        let after = before + messages as u64;
        self.senders[index].sent = after;
        if index >= self.scheduled {
            return;
        }
        let now = Instant::now();
        for message in before..after {
            let intended = self.scheduled(index, message);
            self.meter.left(intended, now);
            self.senders[index].flights.push_back(Flight { intended, missing });
        }
    }

    /// Notes what arrived at a connection.
    pub(super) fn arrived(
        &mut self,
        link: usize,
        received: Stamp,
        now: Instant,
    ) -> Result<(), Fault> {
        match self.route {
            Route::Back => self.came_back(link, received, now),
            // Messages that the server sends to publishers are read, and their frames are checked.
            Route::Spread { receivers, .. } if link >= receivers => Ok(()),
            Route::Spread { .. } => self.was_delivered(link, received, now),
        }
    }

    /// Notes an echo. Each sender is the only receiver of its messages.
    fn came_back(&mut self, index: usize, received: Stamp, now: Instant) -> Result<(), Fault> {
        let sender = &mut self.senders[index];
        let (sequence, mark) = (sender.complete as u32, u32::from(self.mark) << 24);
        if sender.complete == sender.sent {
            return Err(Fault::Unasked);
        }
        let expected = Stamp { sender: mark | index as u32, sequence };
        if (received.to_bits() ^ expected.to_bits()) & self.carried != 0 {
            return Err(Fault::WrongMessage { expected, received });
        }
        let flight = sender.flights.pop_front().ok_or(Fault::Unasked)?;
        match sender.rhythm {
            Rhythm::Flood(_) => self.meter.count(),
            _ => self.meter.arrived(flight.intended, now),
        }
        sender.complete += 1;
        self.note_everywhere(index);
        Ok(())
    }

    /// Notes a broadcast, which arrived at one receiver.
    fn was_delivered(&mut self, link: usize, received: Stamp, now: Instant) -> Result<(), Fault> {
        let index = received.sender as usize;
        let place = link * self.senders.len() + index;
        let sender = self.senders.get_mut(index).ok_or(Fault::Unasked)?;
        let expected = Stamp { sender: received.sender, sequence: self.next[place] };
        if received != expected {
            return Err(Fault::WrongMessage { expected, received });
        }
        let position = received.sequence.wrapping_sub(sender.complete as u32);
        if u64::from(position) >= sender.sent - sender.complete {
            return Err(Fault::Unasked);
        }
        self.next[place] = expected.plus(1).sequence;
        let flight = &mut sender.flights[position as usize];
        flight.missing -= 1;
        let Flight { intended, missing } = *flight;
        self.meter.arrived(intended, now);
        if missing == 0 {
            // Receivers get a sender's messages in order, so all earlier ones have arrived.
            self.meter.arrived_everywhere(intended, now);
            sender.flights.pop_front();
            sender.complete += 1;
            self.note_everywhere(index);
        }
        Ok(())
    }

    /// A message of this sender has arrived everywhere.
    fn note_everywhere(&mut self, index: usize) {
        self.outstanding -= 1;
        if self.answered.last() != Some(&index) {
            self.answered.push(index);
        }
    }

    /// Records that the run is abandoned before all messages of the schedule have arrived.
    pub(super) fn give_up(&mut self, now: Instant) {
        for index in 0..self.scheduled {
            let Sender { complete, due, .. } = self.senders[index];
            for message in complete..due {
                let intended = self.scheduled(index, message);
                self.meter.gave_up(intended, now);
                if self.route != Route::Back {
                    self.meter.arrived_everywhere(intended, now);
                }
            }
        }
    }
}

impl Route {
    /// How many receivers each message has.
    const fn receivers_of_one(self) -> usize {
        match self {
            Self::Back => 1,
            Self::Spread { reading, .. } => reading,
        }
    }

    /// The connection of the first sender.
    pub(super) const fn first_sender(self) -> usize {
        match self {
            Self::Back => 0,
            Self::Spread { receivers, .. } => receivers,
        }
    }

    /// The connections that are not read from.
    pub(super) fn unread(self) -> Range<usize> {
        match self {
            Self::Back => 0..0,
            Self::Spread { receivers, reading } => reading..receivers,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ledger(rhythms: &[Rhythm], route: Route) -> Ledger {
        let second = Duration::from_secs(1);
        let schedule = Schedule::new(Instant::now(), 1.0);
        Ledger::new(rhythms, route, schedule, u64::MAX, Meter::begin(second, second, None))
    }

    #[test]
    fn a_burst_follows_when_all_receivers_have_each_message_of_the_last_one() {
        let route = Route::Spread { receivers: 2, reading: 2 };
        let mut ledger = ledger(&[Rhythm::Burst(2)], route);
        let now = Instant::now();
        assert_eq!(ledger.following(0), 2);
        ledger.release(0, 2, now);
        assert_eq!(ledger.sendable(0), (Stamp { sender: 0, sequence: 0 }, 2));
        ledger.sent(0, 2);
        for (link, sequence, outstanding) in [(0, 0, 2), (0, 1, 2), (1, 0, 1), (1, 1, 0)] {
            assert_eq!(ledger.following(0), 0);
            ledger.arrived(link, Stamp { sender: 0, sequence }, now).unwrap();
            assert_eq!(ledger.outstanding, outstanding);
        }
        assert_eq!((ledger.following(0), ledger.answered.as_slice()), (2, &[0][..]));
        let mut arrived = |sender, sequence| ledger.arrived(0, Stamp { sender, sequence }, now);
        assert_eq!(arrived(0, 2), Err(Fault::Unasked));
        assert_eq!(arrived(1, 0), Err(Fault::Unasked));
        assert!(matches!(arrived(0, 1), Err(Fault::WrongMessage { .. })));
    }

    #[test]
    fn the_quiet_ones_take_turns_beside_a_flood() {
        let rhythms = [Rhythm::Schedule(9), Rhythm::Schedule(9), Rhythm::Flood(5)];
        let mut ledger = ledger(&rhythms, Route::Back);
        for index in [0, 1, 0] {
            assert_eq!(ledger.next_scheduled(), index);
            ledger.released += 1;
        }
        assert_eq!([0, 1, 2].map(|index| ledger.following(index)), [0, 0, 5]);
        let echo = Stamp { sender: 2, sequence: 0 };
        assert_eq!(ledger.arrived(2, echo, Instant::now()), Err(Fault::Unasked));
    }
}
