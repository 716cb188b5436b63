//! How other threads get a sleeping loop's attention, and cost a waking one nothing.

use super::sync::{AtomicBool, Ordering, fence};

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
        self.ring_fenced()
    }

    /// The same, of a caller with a sequentially consistent fence behind what it left.
    pub(crate) fn ring_fenced(&self) -> bool {
        self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel)
    }

    /// The loop is about to sleep, unless it finds work after this.
    pub(crate) fn about_to_sleep(&self) {
        // A swap though the former value is of no use: behind a store, loom does not know that a
        // ring's swap of the sleep before came first, and lets the next ring see that again.
        self.asleep.swap(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The loop is awake and will look for work.
    pub(crate) fn awake(&self) {
        self.asleep.swap(false, Ordering::AcqRel);
    }
}

#[cfg(all(test, not(loom)))]
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
