//! Up to when all readiness has been served: the moment by which peers are judged.

use crate::reactor::Polled;
use crate::time::Time;

/// Readiness that has come and is not served, as far as waits tell.
///
/// Whether a peer has done in time what it had to lies in its socket until that is read. So no
/// deadline is judged before everything is served that was ready by then:
///
/// - A wait that told of [all](Polled::All) that was ready, and whose readiness is served, leaves
///   nothing that came before it began.
/// - A wait that told of a [part](Polled::Part), or was interrupted, may leave readiness of every
///   connection and listener, once each. What comes later is told of later. So everything that it
///   left has been told of as soon as that many were, however many are ready all the time.
///
/// That takes no call of its own: a loop over a deadline that it may not judge yet waits again,
/// without sleeping.
#[derive(Debug)]
pub(crate) struct Backlog {
    served_until: Time,
    /// The first wait that may have left something, since the last that did not.
    left: Option<Left>,
}

/// What a wait may have left.
#[derive(Clone, Copy, Debug)]
struct Left {
    /// When the wait began.
    begun: Time,
    /// How many at most are still to be told of.
    count: usize,
}

impl Backlog {
    pub(crate) const fn new(now: Time) -> Self {
        Self { served_until: now, left: None }
    }

    /// Everything has been served that was ready before this moment.
    #[inline]
    pub(crate) const fn served_until(&self) -> Time {
        self.served_until
    }

    /// What a wait told of is served: it began at `begun` at the earliest, and told of `told` of
    /// those that are `registered`.
    #[inline]
    pub(crate) fn served(
        &mut self,
        polled: Polled,
        begun: Time,
        told: usize,
        registered: impl FnOnce() -> usize,
    ) {
        match polled {
            Polled::All => *self = Self::new(begun),
            Polled::Part => self.served_part(begun, told, registered()),
        }
    }

    #[cold]
    fn served_part(&mut self, begun: Time, told: usize, registered: usize) {
        let left = self.left.get_or_insert(Left { begun, count: registered });
        left.count = left.count.saturating_sub(told);
        if left.count == 0 {
            *self = Self::new(left.begun);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SOURCES: usize = 12;
    const BATCH: usize = 3;

    /// What a kernel keeps: those that are ready, in order, each once, and since when.
    #[derive(Default)]
    struct Kernel {
        ready: VecDeque<(usize, Time)>,
    }

    impl Kernel {
        fn raise(&mut self, source: usize, now: Time) {
            if !self.ready.iter().any(|(other, _)| *other == source) {
                self.ready.push_back((source, now));
            }
        }

        fn poll(&mut self) -> (Polled, usize) {
            let told = self.ready.len().min(BATCH);
            self.ready.drain(..told);
            (if told < BATCH { Polled::All } else { Polled::Part }, told)
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Raise(usize),
        Poll,
        Interrupted,
        /// Nothing is looked at for a while.
        Pause(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..SOURCES).prop_map(Step::Raise),
            2 => Just(Step::Poll),
            1 => Just(Step::Interrupted),
            1 => any::<u8>().prop_map(Step::Pause),
        ];
        vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn nothing_is_left_that_was_ready_before_the_moment(steps in steps()) {
            let (mut kernel, mut now) = (Kernel::default(), Time::BEGINNING);
            let mut backlog = Backlog::new(now);
            for step in steps {
                now += std::time::Duration::from_nanos(1);
                match step {
                    Step::Raise(source) => kernel.raise(source, now),
                    Step::Pause(nanos) => now += std::time::Duration::from_nanos(nanos.into()),
                    Step::Interrupted => backlog.served(Polled::Part, now, 0, || SOURCES),
                    Step::Poll => {
                        let (polled, told) = kernel.poll();
                        backlog.served(polled, now, told, || SOURCES);
                    }
                }
                let first = kernel.ready.front().map_or(Time::NEVER, |(_, since)| *since);
                prop_assert!(first >= backlog.served_until(), "ready since {first:?}");
            }
        }
    }

    #[test]
    fn those_that_are_ready_all_the_time_do_not_hold_the_moment_up() {
        let (mut kernel, mut now) = (Kernel::default(), Time::BEGINNING);
        let mut backlog = Backlog::new(now);
        for _ in 0..100 {
            now += std::time::Duration::from_secs(1);
            (0..SOURCES).for_each(|source| kernel.raise(source, now));
            let (polled, told) = kernel.poll();
            assert_eq!(polled, Polled::Part);
            backlog.served(polled, now, told, || SOURCES);
            // Those four polls that tell of all, and four more to find out.
            assert!(now.since(backlog.served_until()).as_secs() <= 8);
        }
    }

    #[test]
    fn a_wait_that_tells_of_all_makes_up_for_those_before() {
        let at = |nanos| Time::BEGINNING + std::time::Duration::from_nanos(nanos);
        let mut backlog = Backlog::new(at(0));
        backlog.served(Polled::Part, at(1), 3, || 10);
        assert_eq!(backlog.served_until(), at(0));
        backlog.served(Polled::All, at(2), 0, || 10);
        assert_eq!(backlog.served_until(), at(2));
        // Where nobody is, nobody can be left.
        backlog.served(Polled::Part, at(3), 0, || 0);
        assert_eq!(backlog.served_until(), at(3));
    }
}
