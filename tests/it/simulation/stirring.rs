//! What an application does between two turns: it publishes, sets timers, subscribes and looks what
//! subscribers got.

use eventwire::reactor::Reactor;

use super::followers::Follower;
use super::world::World;

/// Things that are done between turns in one run.
const STIRS: usize = 150;

impl World {
    /// Has handlers, and the program around the loop, publish events and set timers.
    pub(super) fn publish(&mut self) {
        self.app.publishes = true;
        self.stirs = STIRS;
        self.add_publisher();
    }

    fn add_publisher(&mut self) {
        let publisher = match self.publishers.last() {
            Some((_, publisher)) if self.app.random.percent(50) => publisher.clone(),
            _ => self.event_loop.publisher(),
        };
        self.publishers.push((self.app.news.add_source(), publisher));
    }

    /// Does something, or nothing.
    pub(super) fn stir(&mut self) {
        if self.stirs == 0 || !self.app.random.percent(30) {
            return;
        }
        self.stirs -= 1;
        match self.app.random.below(12) {
            0..=3 => self.publish_some(),
            4 | 5 => self.use_timers(),
            6 if self.publishers.len() < 4 => self.add_publisher(),
            7 if self.followers.len() < 6 => {
                let follower = Follower::new(&mut self.event_loop, &mut self.app);
                self.followers.push(follower);
            }
            8 if self.app.random.percent(20) && !self.followers.is_empty() => {
                let place = self.app.random.below(self.followers.len());
                self.missed_before += self.followers.swap_remove(place).missed();
                self.has_left = true;
            }
            _ => {
                for follower in &mut self.followers {
                    follower.look(&self.app.news.log, &mut self.app.random);
                }
            }
        }
    }

    /// Publishes events, as another thread, if anything is published in this run.
    pub(super) fn publish_some(&mut self) {
        if self.publishers.is_empty() {
            return;
        }
        let place = self.app.random.below(self.publishers.len());
        let (source, publisher) = &self.publishers[place];
        for _ in 0..self.app.random.pick(&[1, 1, 5, 90]) {
            let outcome = publisher.publish(self.app.news.next(*source));
            if !self.app.news.note(*source, outcome) {
                return;
            }
        }
    }

    fn use_timers(&mut self) {
        let now = self.event_loop.reactor_mut().instant();
        let app = &mut self.app;
        if app.random.percent(30) {
            if let Some(timer) = app.alarms.take_one(&mut app.random) {
                assert!(self.event_loop.cancel_timer(timer), "{timer:?} cannot be cancelled");
            }
            return;
        }
        let plan = app.alarms.plan(&mut app.random);
        let set = if plan.repeats {
            self.event_loop.set_interval(plan.after, plan.alarm)
        } else {
            self.event_loop.set_timer(plan.after, plan.alarm)
        };
        match set {
            Ok(timer) => self.app.alarms.set(&plan, now, timer),
            Err(_) => panic!("a timer was refused"),
        }
    }

    /// Cancels the timers that are too far away to wait for; whether none are left.
    pub(super) fn end_timers(&mut self) -> bool {
        let are_none = self.app.alarms.len() == 0;
        while let Some(timer) = self.app.alarms.take_one(&mut self.app.random) {
            assert!(self.event_loop.cancel_timer(timer), "{timer:?} cannot be cancelled");
        }
        are_none
    }
}
