//! The application's timers: when each must come up, and which must not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use eventwire::{Context, TimerId};

use super::app::App;
use crate::shared::Random;

/// The event of a timer, by its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarm(u64);

/// Later than everything that a run waits for.
const FAR: Duration = Duration::from_secs(30);

/// How late an alarm may be without a jump of the clock: a turn's polls take a microsecond each.
const LATE: Duration = Duration::from_micros(200);

/// What is set, beside the engine's own account of it.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    set: BTreeMap<u64, Set>,
    /// By their time, and for equal times by the order of setting.
    due: BTreeMap<(Instant, u64), u64>,
    /// Timers that came up or were cancelled.
    gone: Vec<TimerId>,
    last: u64,
    /// How late the latest of this turn was.
    late: Duration,
}

#[derive(Debug)]
struct Set {
    timer: TimerId,
    /// `None`: it is too far away for the clock.
    due: Option<Instant>,
    every: Option<Duration>,
}

/// A timer to be set.
pub(super) struct Plan {
    pub(super) after: Duration,
    pub(super) repeats: bool,
    pub(super) alarm: Alarm,
}

impl Alarms {
    pub(super) fn plan(&mut self, random: &mut Random) -> Plan {
        self.last += 1;
        let repeats = random.percent(25);
        let after = if repeats {
            random.pick(&[0, 1_000, 3_000, 700_000, 9_000_000])
        } else {
            random.pick(&[0, 0, 1, 500, 1_000, 1_500, 20_000, 300_000, 4_000_000, 20_000_000])
        };
        let after = match random.below(20) {
            0 if !repeats => Duration::MAX,
            1 => Duration::from_secs(3600),
            _ => Duration::from_micros(after as u64),
        };
        Plan { after, repeats, alarm: Alarm(self.last) }
    }

    /// The timer of a plan was set.
    pub(super) fn set(&mut self, plan: &Plan, now: Instant, timer: TimerId) {
        assert!(!self.set.values().any(|set| set.timer == timer), "{timer:?} is set twice");
        let every = plan.repeats.then_some(plan.after.max(Duration::from_millis(1)));
        let due = now.checked_add(every.unwrap_or(plan.after));
        if let Some(due) = due {
            self.due.insert((due, plan.alarm.0), plan.alarm.0);
        }
        self.set.insert(plan.alarm.0, Set { timer, due, every });
    }

    /// An alarm came up in a turn that began at `now`.
    fn arrive(&mut self, alarm: Alarm, now: Instant) {
        let first = self.due.first_key_value().map(|(&key, &number)| (key, number));
        let Some(((due, order), number)) = first else { panic!("{alarm:?} is not set") };
        assert_eq!(number, alarm.0, "out of order, or cancelled");
        assert!(due <= now, "{alarm:?} is early by {:?}", due - now);
        self.late = self.late.max(now - due);
        self.due.remove(&(due, order));
        let set = self.set.get_mut(&number).expect("what is due is set");
        if let Some(every) = set.every {
            let periods = (now - due).as_nanos() / every.as_nanos() + 1;
            let next = due + every * u32::try_from(periods).expect("a short run");
            set.due = Some(next);
            self.due.insert((next, order), number);
        } else if let Some(set) = self.set.remove(&number) {
            self.gone.push(set.timer);
        }
    }

    /// Some timer that is set: it is being cancelled.
    pub(super) fn take_one(&mut self, random: &mut Random) -> Option<TimerId> {
        let place = random.below(self.set.len());
        let number = *self.set.keys().nth(place)?;
        self.take(number)
    }

    fn take(&mut self, number: u64) -> Option<TimerId> {
        let Set { timer, due, .. } = self.set.remove(&number)?;
        if let Some(due) = due {
            self.due.remove(&(due, number));
        }
        self.gone.push(timer);
        Some(timer)
    }

    /// The loop ends: nothing comes up any more.
    pub(super) fn end(&mut self) {
        let numbers: Vec<_> = self.set.keys().copied().collect();
        for number in numbers {
            self.take(number);
        }
    }

    /// A timer that came up or was cancelled.
    pub(super) fn gone(&self, random: &mut Random) -> Option<TimerId> {
        self.gone.get(random.below(self.gone.len())).copied()
    }

    /// How many are set.
    pub(super) fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether one is due before long.
    pub(super) fn is_soon(&self, now: Instant) -> bool {
        self.next().is_some_and(|due| due < now + FAR)
    }

    /// The number of the alarm that was set last.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// A turn is over which began at `now`, by a jump of the clock or without, and behind alarm
    /// `last`: what was due came up.
    pub(super) fn check(&mut self, last: u64, now: Instant, jumped: bool) {
        let mut left = self.due.range(..=(now, u64::MAX)).filter(|(_, number)| **number <= last);
        assert_eq!(left.next(), None, "an alarm did not come up");
        let late = std::mem::take(&mut self.late);
        assert!(jumped || late < LATE, "an alarm was late by {late:?}");
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|(&(due, _), _)| due)
    }
}

impl App {
    pub(super) fn rang(&mut self, alarm: Alarm, cx: &mut Context<'_>) {
        self.enter(cx);
        self.handled += 1;
        self.alarms.arrive(alarm, cx.now());
        let repeats = self.alarms.set.contains_key(&alarm.0);
        if repeats && self.random.percent(15) {
            let timer = self.alarms.take(alarm.0).expect("it is set");
            assert!(cx.cancel_timer(timer), "a timer that repeats cannot be cancelled");
        }
        self.act_for_others(cx);
        self.may_panic(None, cx);
    }

    /// Sets a timer, or cancels one, in a handler.
    pub(super) fn use_timers(&mut self, cx: &mut Context<'_>) {
        match self.random.below(6) {
            0 | 1 => {
                if let Some(timer) = self.alarms.take_one(&mut self.random) {
                    assert!(cx.cancel_timer(timer), "{timer:?} cannot be cancelled");
                }
            }
            2 => {
                if let Some(timer) = self.alarms.gone(&mut self.random) {
                    assert!(!cx.cancel_timer(timer), "{timer:?} is gone and was cancelled");
                }
            }
            _ => {
                let plan = self.alarms.plan(&mut self.random);
                let set = if plan.repeats {
                    cx.set_interval(plan.after, plan.alarm)
                } else {
                    cx.set_timer(plan.after, plan.alarm)
                };
                match set {
                    Ok(timer) => self.alarms.set(&plan, cx.now(), timer),
                    Err(_) => assert!(self.stopping, "a timer was refused"),
                }
            }
        }
    }
}
