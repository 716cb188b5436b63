//! How many holds keep a loop from ending.

use super::sync::{AtomicUsize, Ordering};

/// The number of holds, and whether the loop waits for their end.
///
/// The state has both in one word, so that a loop reads no more than that before each sleep.
#[derive(Debug)]
pub(crate) struct HoldCount(AtomicUsize);

impl Default for HoldCount {
    fn default() -> Self {
        Self(AtomicUsize::new(0))
    }
}

impl HoldCount {
    /// The loop is ending, and waits until the last hold is dropped.
    const AWAITED: usize = 1 << (usize::BITS - 1);

    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether the caller must ring for the loop: it waits, and this was the last hold.
    pub(crate) fn remove(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == Self::AWAITED + 1
    }

    /// How many holds there are.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire) & !Self::AWAITED
    }

    /// Whether there is none. If there are some, the end of the last one is awaited from here on.
    pub(crate) fn has_ended(&self) -> bool {
        let is_over = self.0.fetch_or(Self::AWAITED, Ordering::AcqRel) & !Self::AWAITED == 0;
        if is_over {
            self.0.fetch_and(!Self::AWAITED, Ordering::AcqRel);
        }
        is_over
    }

    /// Whether the last hold was dropped while its end was awaited, and the loop has not noticed.
    pub(crate) fn has_news(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::AWAITED
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_of_awaited_holds_rings() {
        let holds = HoldCount::default();
        assert!(holds.has_ended() && !holds.has_news());
        holds.add();
        assert!(!holds.remove(), "nobody waits");
        holds.add();
        holds.add();
        assert!(!holds.has_ended());
        assert!(!holds.remove() && !holds.has_news());
        assert_eq!(holds.count(), 1);
        assert!(holds.remove() && holds.has_news());
        assert!(holds.has_ended() && !holds.has_news());
        assert_eq!(holds.count(), 0);
    }
}
