//! Waking a sleeping loop from other threads, at no cost while it is awake.

use super::sync::{AtomicBool, Ordering, fence};

/// Whether the loop, or a worker, sleeps. A producer rings after it has left work. Only the first
/// ring of a sleep makes the system call that wakes the loop.
///
/// No work is lost because of the order on both sides: a producer makes its work visible and then
/// rings; the loop announces its sleep and then looks for work a last time. The fences guarantee
/// that at least one side sees the other.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    asleep: AtomicBool,
}

impl Doorbell {
    /// Call it after leaving work. Returns whether the caller must wake the loop.
    pub(crate) fn ring(&self) -> bool {
        fence(Ordering::SeqCst);
        self.ring_fenced()
    }

    /// [`ring`](Self::ring) for a caller that has issued a sequentially consistent fence after
    /// leaving its work.
    pub(crate) fn ring_fenced(&self) -> bool {
        self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel)
    }

    /// Announces that the loop sleeps unless it finds work after this call.
    pub(crate) fn about_to_sleep(&self) {
        // A swap, although the old value is not used: after a plain store, loom does not order a
        // ring's swap during the previous sleep before it, and shows that to the next ring again.
        self.asleep.swap(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Announces that the loop is awake and will look for work. Returns whether nobody rang since
    /// it announced its sleep.
    pub(crate) fn awake(&self) -> bool {
        self.asleep.swap(false, Ordering::AcqRel)
    }

    /// Whether nobody has rung since the sleep was announced.
    pub(super) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Acquire)
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
