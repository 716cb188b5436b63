//! Tracks the time up to which all readiness was served. Peers' deadlines are checked against it.

use crate::reactor::Polled;
use crate::time::Time;

/// The time up to which all readiness was served.
///
/// A peer may have sent in time what a deadline requires, and the bytes lie unread in its socket.
/// So a deadline is not checked before everything that was ready by then is served:
///
/// - If a wait reported [all](Polled::All) ready sources, and these are served, nothing is left
///   that came before the wait began.
/// - If a wait reported a [part](Polled::Part) of them, or was interrupted, every connection and
///   listener may still be ready, once each. The kernel reports ready sources in order. So once as
///   many sources as are registered were reported, everything that the wait left was reported, too,
///   even if many sources are always ready.
///
/// This needs no system call of its own: a loop whose deadline has passed and may not be checked
/// yet waits again without sleeping.
#[derive(Debug)]
pub(crate) struct Backlog {
    served_until: Time,
    /// The first wait that may have left readiness unreported, since the last wait that did not.
    left: Option<Left>,
}

/// Readiness that a wait may have left unreported.
#[derive(Clone, Copy, Debug)]
struct Left {
    /// When the wait began.
    begun: Time,
    /// How many sources are unreported, at most.
    count: usize,
}

impl Backlog {
    pub(crate) const fn new(now: Time) -> Self {
        Self { served_until: now, left: None }
    }

    /// Everything that was ready before this time was served.
    #[inline]
    pub(crate) const fn served_until(&self) -> Time {
        self.served_until
    }

    /// Whether a wait may have left readiness unreported.
    pub(crate) const fn is_behind(&self) -> bool {
        self.left.is_some()
    }

    /// Notes that the readiness which a wait reported is served. The wait began at `begun` or
    /// later, and it reported this many of the `registered` sources.
    #[inline]
    pub(crate) fn served(
        &mut self,
        polled: Polled,
        begun: Time,
        reported: usize,
        registered: impl FnOnce() -> usize,
    ) {
        match polled {
            Polled::All => *self = Self::new(begun),
            Polled::Part => self.served_part(begun, reported, registered()),
        }
    }

    #[cold]
    fn served_part(&mut self, begun: Time, reported: usize, registered: usize) {
        let left = self.left.get_or_insert(Left { begun, count: registered });
        left.count = left.count.saturating_sub(reported);
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

    /// A model of the kernel: the ready sources in order, each once, with the time since when.
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
            let reported = self.ready.len().min(BATCH);
            self.ready.drain(..reported);
            (if reported < BATCH { Polled::All } else { Polled::Part }, reported)
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Raise(usize),
        Poll,
        Interrupted,
        /// The loop does not wait for a while.
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
                        let (polled, reported) = kernel.poll();
                        backlog.served(polled, now, reported, || SOURCES);
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
            let (polled, reported) = kernel.poll();
            assert_eq!(polled, Polled::Part);
            backlog.served(polled, now, reported, || SOURCES);
            // Four polls report all sources, and the loop learns this after four more.
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
        // Without registered sources, none can be unreported.
        backlog.served(Polled::Part, at(3), 0, || 0);
        assert_eq!(backlog.served_until(), at(3));
    }
}
