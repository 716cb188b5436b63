//! Subscribers to the application's events: what each must get, and what it may miss.

use eventwire::reactor::SimReactor;
use eventwire::{EventLoop, OverflowPolicy, RecvError, Subscriber, TryRecvError};

use super::app::App;
use super::news::News;
use crate::shared::Random;

/// One subscriber, and what of the log it has seen.
pub(super) struct Follower {
    subscriber: Subscriber<News>,
    policy: OverflowPolicy,
    capacity: usize,
    /// How much of the log is behind it: received, missed, or from before its time.
    place: usize,
    /// How long the log was when it last received all that was there.
    looked: usize,
    /// How many events it found missing.
    skipped: u64,
    ended: bool,
}

impl Follower {
    pub(super) fn new(event_loop: &mut EventLoop<App, SimReactor>, app: &mut App) -> Self {
        let policy = app.random.pick(&[
            OverflowPolicy::Close,
            OverflowPolicy::DropNewest,
            OverflowPolicy::DropOldest,
            OverflowPolicy::KeepLatest,
        ]);
        let capacity = app.random.pick(&[1, 2, 10, 200]);
        let subscriber = event_loop.subscriber(capacity, policy);
        let capacity = if policy == OverflowPolicy::KeepLatest { 1 } else { capacity };
        let place = app.news.log.len();
        let (looked, skipped, ended) = (place, 0, false);
        Self { subscriber, policy, capacity, place, looked, skipped, ended }
    }

    /// Receives one event, or all that are there.
    pub(super) fn look(&mut self, log: &[News], random: &mut Random) {
        let all = random.percent(70);
        while !self.ended && self.receive(log) && all {}
    }

    /// Receives everything, after the loop has ended.
    pub(super) fn look_at_all(&mut self, log: &[News]) {
        while !self.ended && self.receive(log) {}
        assert!(self.ended, "a subscriber does not learn of the loop's end");
    }

    /// Receives one event; whether there was one.
    fn receive(&mut self, log: &[News]) -> bool {
        match self.subscriber.try_recv() {
            Ok(news) => {
                self.got(news, log);
                return true;
            }
            Err(TryRecvError::Empty) => self.found_nothing(log),
            Err(TryRecvError::Ended(RecvError::Closed)) => {
                self.found_nothing(log);
                self.ended = true;
            }
            Err(TryRecvError::Ended(RecvError::Overflowed)) => {
                assert_eq!(self.policy, OverflowPolicy::Close, "another policy ends nothing");
                assert!(log.len() - self.looked > self.capacity, "it had room");
                self.ended = true;
            }
            Err(end) => panic!("{end}"),
        }
        false
    }

    fn got(&mut self, news: News, log: &[News]) {
        let found = log[self.place..].iter().position(|other| *other == news);
        let Some(skipped) = found else { panic!("{news:?} is old or unknown") };
        assert!(skipped == 0 || self.policy != OverflowPolicy::Close, "a gap before {news:?}");
        self.skipped += skipped as u64;
        self.place += skipped + 1;
        assert!(self.subscriber.missed() >= self.skipped, "a gap is not counted");
        self.check_room(log);
    }

    fn found_nothing(&mut self, log: &[News]) {
        let missed = log.len() - self.place;
        assert!(missed == 0 || self.policy == OverflowPolicy::DropNewest, "{missed} are lost");
        self.check_room(log);
        self.skipped += missed as u64;
        self.place = log.len();
        self.looked = log.len();
        assert_eq!(self.subscriber.missed(), self.skipped, "{:?}", self.policy);
    }

    /// Nothing is missed as long as no more came than there was room for.
    fn check_room(&self, log: &[News]) {
        let fits = log.len() - self.looked <= self.capacity;
        assert!(!fits || self.subscriber.missed() == self.skipped, "there was room for all");
    }

    pub(super) fn missed(&self) -> u64 {
        self.subscriber.missed()
    }
}
