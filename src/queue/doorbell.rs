//! How other threads get a sleeping loop's attention, and cost a waking one nothing.

use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Whether the loop sleeps. Whoever leaves work for it rings; only the first ring of a sleep
/// makes the wake's system call.
///
/// The rule that loses no work: a producer makes its work visible, then rings; the loop first
/// says that it is about to sleep, and then looks for work a last time. The fences make sure that
/// at least one of the two sees the other.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    asleep: AtomicBool,
}

impl Doorbell {
    /// After work was left: whether the caller must wake the loop.
    pub(crate) fn ring(&self) -> bool {
        fence(Ordering::SeqCst);
        self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel)
    }

    /// The loop is about to sleep, unless it finds work after this.
    pub(crate) fn about_to_sleep(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The loop is awake and will look for work.
    pub(crate) fn awake(&self) {
        self.asleep.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_ring_of_a_sleep_wakes() {
        let bell = Doorbell::default();
        assert!(!bell.ring());
        bell.about_to_sleep();
        assert!(bell.ring());
        assert!(!bell.ring());
        bell.about_to_sleep();
        bell.awake();
        assert!(!bell.ring());
    }
}
