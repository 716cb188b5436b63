use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

#[test]
fn each_type_has_its_own_order_and_bound() {
    let mut events = LocalEvents::new(2, 0);
    assert!(matches!(events.push('a'), Err(PublishError::NoHandler('a'))));
    events.register::<char>();
    events.register::<u8>();
    events.register::<char>();
    for letter in ['a', 'b'] {
        assert!(events.push(letter).is_ok());
    }
    assert!(matches!(events.push('c'), Err(PublishError::Full('c'))));
    assert!(events.push(1_u8).is_ok());
    assert_eq!((events.pop(), events.pop(), events.pop::<char>()), (Some('a'), Some('b'), None));
    assert!(!events.is_empty());
    assert_eq!(events.pop(), Some(1_u8));
    assert!(events.is_empty());
    assert_eq!(events.pop::<u8>(), None);
}

#[test]
fn a_full_queue_takes_the_events_of_due_timers_and_no_more_than_a_turn_has() {
    let start = Time::BEGINNING;
    let mut events = LocalEvents::new(1, 1000);
    events.register::<u32>();
    for number in 1..=300_u32 {
        events.set_timer(Some(start), number).unwrap();
    }
    events.push(0_u32).unwrap();
    events.expire(start);
    assert_eq!(events.len, 1 + TIMERS_PER_TURN_MAX);
    assert!(matches!(events.push(0_u32), Err(PublishError::Full(0))));
    assert_eq!(events.next_due(), Some(start));
    events.expire(start);
    assert_eq!(events.next_due(), None);
    let taken: Vec<u32> = std::iter::from_fn(|| events.pop()).collect();
    assert_eq!(taken, (0..=300).collect::<Vec<_>>());
}

#[test]
fn what_is_refused_comes_back_and_what_is_closed_takes_nothing() {
    let start = Time::BEGINNING;
    let mut events = LocalEvents::new(8, 2);
    assert!(matches!(events.set_timer(None, 'a'), Err(PublishError::NoHandler('a'))));
    events.register::<char>();
    let never = events.set_timer(None, 'a').unwrap();
    let soon = events.set_interval(start, MS, 'b').unwrap();
    assert!(matches!(events.set_timer(None, 'c'), Err(PublishError::Full('c'))));
    assert!(events.cancel_timer(never));
    assert!(!events.cancel_timer(never));
    let other = events.set_timer(Some(start), 'c').unwrap();
    assert_eq!(other.key.index(), never.key.index());
    assert!(!events.cancel_timer(never));
    events.expire(start);
    events.close();
    events.register::<char>();
    assert!(events.is_empty() && events.next_due().is_none());
    assert!(!events.cancel_timer(soon) && !events.cancel_timer(other));
    assert!(matches!(events.set_timer(None, 'd'), Err(PublishError::Closed('d'))));
    assert!(matches!(events.push('d'), Err(PublishError::Closed('d'))));
}

#[test]
fn a_million_cancelled_timers_leave_little_behind() {
    const MANY: usize = 1_000_000;
    let start = Time::BEGINNING;
    let mut events = LocalEvents::new(8, MANY);
    events.register::<usize>();
    let set = |events: &mut LocalEvents, number: usize| {
        let millis = (number as u64).wrapping_mul(0x9E37_79B9) % 60_000 + 1;
        events.set_timer(start.checked_add(Duration::from_millis(millis)), number).unwrap()
    };
    let keys: Vec<TimerKey> = (0..MANY).map(|number| set(&mut events, number)).collect();
    assert_eq!(events.timers.len(), MANY);
    // Looking costs nothing while nothing is due.
    events.expire(start);
    assert!(events.is_empty());
    for key in keys {
        assert!(events.cancel_timer(key));
        assert!(events.timers.len() <= 2 * events.timers_set + 130);
    }
    assert_eq!((events.timers_set, events.next_due()), (0, None));
    // Set and cancelled one at a time, they need no room that grows.
    for number in 0..MANY {
        let key = set(&mut events, number);
        assert!(events.cancel_timer(key) && events.timers.len() <= 130);
    }
}

#[derive(Clone, Debug)]
enum Command {
    Set(u64),
    Never,
    Repeat(u64),
    Cancel(prop::sample::Index),
    Pass(u64),
    Take,
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => (0..30_u64).prop_map(Command::Set),
        1 => Just(Command::Never),
        2 => (0..20_u64).prop_map(Command::Repeat),
        4 => any::<prop::sample::Index>().prop_map(Command::Cancel),
        3 => (0..40_u64).prop_map(Command::Pass),
        2 => Just(Command::Take),
    ]
}

/// A timer of the model, which is searched in full for everything.
struct Slow {
    key: TimerKey,
    number: usize,
    due: Option<u64>,
    every: Option<u64>,
    cancelled: bool,
}

struct Model {
    start: Time,
    now: u64,
    timers: Vec<Slow>,
    /// By their place in `timers`.
    waiting: Vec<usize>,
}

impl Model {
    fn add(&mut self, key: TimerKey, due: Option<u64>, every: Option<u64>) {
        let number = self.timers.len();
        self.timers.push(Slow { key, number, due, every, cancelled: false });
    }

    fn pass(&mut self, millis: u64) {
        self.now += millis;
        let mut due: Vec<_> = self.timers.iter().filter(|t| !t.cancelled).collect();
        due.retain(|timer| timer.due.is_some_and(|due| due <= self.now));
        due.sort_by_key(|timer| (timer.due, timer.number));
        let due: Vec<usize> = due.iter().map(|timer| timer.number).collect();
        for &number in &due {
            let timer = &mut self.timers[number];
            timer.due = timer.every.and_then(|every| {
                (1..).map(|n| timer.due.unwrap() + n * every).find(|due| *due > self.now)
            });
        }
        self.waiting.extend(due);
    }

    fn take(&mut self) -> Option<usize> {
        self.waiting.retain(|number| !self.timers[*number].cancelled);
        if self.waiting.is_empty() {
            return None;
        }
        let number = self.waiting.remove(0);
        let timer = &mut self.timers[number];
        timer.cancelled = timer.every.is_none();
        Some(number)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]
    #[test]
    fn timers_do_what_a_list_of_them_does(commands in prop::collection::vec(command(), 0..200)) {
        let start = Time::BEGINNING;
        let mut events = LocalEvents::new(1, 1000);
        events.register::<usize>();
        let mut model = Model { start, now: 0, timers: Vec::new(), waiting: Vec::new() };
        for command in commands {
            let (number, now) = (model.timers.len(), model.start + model.now as u32 * MS);
            match command {
                Command::Set(after) => {
                    let key = events.set_timer(Some(now + after as u32 * MS), number).unwrap();
                    model.add(key, Some(model.now + after), None);
                }
                Command::Never => {
                    model.add(events.set_timer(None, number).unwrap(), None, None);
                }
                Command::Repeat(every) => {
                    let key = events.set_interval(now, every as u32 * MS, number).unwrap();
                    let every = every.max(1);
                    model.add(key, Some(model.now + every), Some(every));
                }
                Command::Cancel(index) if number > 0 => {
                    let timer = &mut model.timers[index.index(number)];
                    prop_assert_eq!(events.cancel_timer(timer.key), !timer.cancelled);
                    timer.cancelled = true;
                }
                Command::Cancel(_) => {}
                Command::Pass(millis) => {
                    model.pass(millis);
                    events.expire(start + model.now as u32 * MS);
                }
                Command::Take => prop_assert_eq!(events.pop::<usize>(), model.take()),
            }
            let live = model.timers.iter().filter(|timer| !timer.cancelled);
            prop_assert_eq!(events.timers_set, live.clone().count());
            let next = live.filter_map(|timer| timer.due).min();
            prop_assert_eq!(events.next_due(), next.map(|next| start + next as u32 * MS));
        }
        while let Some(number) = events.pop::<usize>() {
            prop_assert_eq!(Some(number), model.take());
        }
        prop_assert_eq!(model.take(), None);
        prop_assert!(events.is_empty());
    }
}
